"""The doors: command line, REST, MCP and pages. None has logic of its own."""
