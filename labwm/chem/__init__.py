"""Molecules to plain strings and arrays; the only room that knows RDKit."""
