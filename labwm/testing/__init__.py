"""Conformance suites and fault injection; needs pytest, never imported at run time."""
