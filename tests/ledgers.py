"""Ledgers on both databases, as fixtures that a conftest imports."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from labwm.store import Ledger
from labwm.store.machine_tables import metadata
from labwm.store.machines import MACHINES
from labwm.store.tables import VERSION_TABLE
from tests.conftest import skip_or_fail
from tests.postgres import PostgresServer, binaries, running_postgres


@pytest.fixture(scope="session")
def postgres_server() -> PostgresServer:
    """The private server of this test run; each room's conftest may import this."""
    folder = binaries()
    if folder is None:
        skip_or_fail("PostgreSQL is not installed (Debian: postgresql)")
        raise AssertionError
    return running_postgres(folder)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with an empty ledger, to copy: migrating each time would be slow."""
    path = tmp_path_factory.mktemp("template") / "ledger.db"
    Ledger.open(f"sqlite:///{path}").close()
    return path


@pytest.fixture(scope="session")
def postgres_ledger(postgres_server: PostgresServer) -> str:
    """A database with a ledger that each test leaves empty."""
    url = postgres_server.new_database()
    Ledger.open(url).close()
    return url


def empty_postgres(url: str) -> None:
    """Empty the ledger in PostgreSQL, past the triggers that refuse it."""
    kept = {f"{machine.name}_legal" for machine in MACHINES} | {VERSION_TABLE}
    tables = sorted(set(metadata.tables) - kept)
    with psycopg.connect(url) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute(f"TRUNCATE {', '.join(tables)}")


DATABASES = ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)]


@pytest.fixture(params=DATABASES)
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Address of a database without tables, of each kind."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'empty.db'}"
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    url = server.new_database()
    yield url
    server.drop_database(url)


@pytest.fixture(params=DATABASES)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Address of a database with an empty ledger, of each kind."""
    if request.param == "sqlite":
        path = tmp_path / "ledger.db"
        shutil.copy(request.getfixturevalue("sqlite_template"), path)
        yield f"sqlite:///{path}"
        return
    address: str = request.getfixturevalue("postgres_ledger")
    yield address
    empty_postgres(address)


@pytest.fixture
def ledger(url: str) -> Iterator[Ledger]:
    opened = Ledger.open(url)
    yield opened
    opened.close()
