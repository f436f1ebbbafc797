"""One module per group of commands; `labwm.api.cli` names them without importing."""
