"""Ledgers on both databases, and the server of lives that end early."""

from collections.abc import Iterator

import pytest

from tests.crash.mover import Movers, movers
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


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Movers]:
    """It imports labwm once and forks: a life costs tenths of a second."""
    with movers(tmp_path_factory.mktemp("movers")) as running:
        yield running
