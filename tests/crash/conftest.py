"""Ledgers on both databases."""

from tests.ledgers import (
    ledger,
    postgres_ledger,
    postgres_server,
    sqlite_template,
    url,
)
from tests.unit.store.conftest import protocol

__all__ = [
    "ledger",
    "postgres_ledger",
    "postgres_server",
    "protocol",
    "sqlite_template",
    "url",
]
