"""Connections to SQLite or PostgreSQL, their clock, and their errors in our words."""

import sqlite3
import time
from pathlib import Path
from typing import Final

from sqlalchemy import (
    BigInteger,
    Connection,
    Engine,
    create_engine,
    event,
    func,
    make_url,
    select,
)
from sqlalchemy import exc as sql_errors
from sqlalchemy.engine import URL, ExceptionContext
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from labwm.errors import (
    ConflictError,
    InvalidInputError,
    LabwmError,
    StoreError,
    UnavailableError,
)

WAIT_SECONDS: Final = 30
"""How long a writer waits for the writers before it."""

IMMEDIATE: Final = "labwm_immediate"
_NAMES: Final = 0x6C61626E616D65  # "labname"


class database_ms(FunctionElement[int]):  # noqa: N801 - it is an SQL function
    """Milliseconds since 1970 by the database's clock, the one clock of all leases."""

    type = BigInteger()
    inherit_cache = True


@compiles(database_ms, "sqlite")
def _sqlite_ms(*_: object, **__: object) -> str:
    return "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)"


@compiles(database_ms, "postgresql")
def _postgresql_ms(*_: object, **__: object) -> str:
    return "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)"


def connect(url: str) -> Engine:
    """Return an engine whose connections keep every promise of the ledger.

    SQLite gets WAL, foreign keys, full synchronisation and a busy timeout;
    PostgreSQL a lock timeout.

    Raises:
        InvalidInputError: If the address is of neither database.
        UnavailableError: If PostgreSQL's driver is not installed.
        StoreError: If the folder of an SQLite file cannot be made.
    """
    address = _address(url)
    if address.get_backend_name() == "sqlite":
        _make_folder(Path(str(address.database)).parent)
        engine = create_engine(address, connect_args={"timeout": WAIT_SECONDS})
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    else:
        engine = _postgresql(address)
    event.listen(engine, "handle_error", _raise_in_our_words)
    return engine


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"The ledger lies in a folder that can be made; {folder}: "
            f"{error.strerror}. Mend LABWM_HOME or its rights."
        ) from error


def shown_address(url: str) -> str:
    """Return a database's address for people: a password in it is hidden.

    Raises:
        InvalidInputError: If the address is of neither database.
    """
    return _address(url).render_as_string(hide_password=True)


def writing(engine: Engine) -> Engine:
    """Return the engine with transactions that take the write lock at their start.

    SQLite's default transactions take it at the first write: two that have both
    read before then break one another's chain.
    """
    return engine.execution_options(**{IMMEDIATE: True})


def reading(engine: Engine) -> Engine:
    """Return the engine with transactions that see one moment throughout."""
    if engine.dialect.name == "postgresql":
        return engine.execution_options(isolation_level="REPEATABLE READ")
    return engine


def lock_names(connection: Connection) -> None:
    """Let transactions that give out names for ever pass one after the other.

    SQLite's write lock does so by itself. In PostgreSQL two that look for a name at
    once both miss it, and the second one's row would be refused instead of known.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(_NAMES)))


def _address(url: str) -> URL:
    try:
        address = make_url(url)
    except sql_errors.ArgumentError as error:
        raise InvalidInputError(
            "The ledger's address is a URL such as sqlite:////folder/ledger.db or "
            "postgresql://user@host/database; got something else. Mend "
            "LABWM_DATABASE_URL."
        ) from error
    backend = address.get_backend_name()
    if backend == "postgresql":
        return address.set(drivername="postgresql+psycopg")
    if backend == "sqlite" and address.database not in {None, "", ":memory:"}:
        return address
    raise InvalidInputError(
        "The ledger lives in an SQLite file or in PostgreSQL; got "
        f"{address.render_as_string()!r}. Mend LABWM_DATABASE_URL."
    )


def _postgresql(address: URL) -> Engine:
    options = f"-c lock_timeout={WAIT_SECONDS}s -c timezone=UTC"
    try:
        return create_engine(
            address,
            pool_pre_ping=True,
            connect_args={"connect_timeout": 10, "options": options},
        )
    except ModuleNotFoundError as error:
        raise UnavailableError(
            "PostgreSQL needs the driver psycopg; it is not installed. Run "
            "`pip install 'labwm[postgres]'`."
        ) from error


def _prepare_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    # Transactions begin by our word, not by sqlite3's guess.
    connection.isolation_level = None
    for pragma in (
        f"busy_timeout={WAIT_SECONDS * 1000}",
        "foreign_keys=ON",
        "recursive_triggers=ON",
        "synchronous=FULL",
    ):
        connection.execute(f"PRAGMA {pragma}").close()
    _use_write_ahead_log(connection)


def _use_write_ahead_log(connection: sqlite3.Connection) -> None:
    # The switch does not honour the busy timeout, hence the loop.
    give_up = time.monotonic() + WAIT_SECONDS
    while connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        try:
            connection.execute("PRAGMA journal_mode=WAL").fetchone()
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > give_up:
                raise
            time.sleep(0.05)


def _begin_sqlite(connection: Connection) -> None:
    immediate = connection.get_execution_options().get(IMMEDIATE, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")


_REMEDIES = (
    ("disk is full", "Free space on the disk; what was stored before is whole"),
    ("disk I/O error", "Free space or mend the disk; what was stored before is whole"),
    ("No space left", "Free space on the disk; what was stored before is whole"),
    ("locked", "Another process has been writing for long; try again, or end it"),
    ("lock timeout", "Another process has been writing for long; try again, or end it"),
    ("not a database", "Point LABWM_DATABASE_URL at another file, or restore a backup"),
    ("malformed", "Restore a backup; `labwm db verify` tells what is broken"),
    ("readonly", "Give this user the right to write the file and its folder"),
    ("unable to open", "Check that the folder exists and may be written"),
    ("no such table", "Run `labwm db upgrade`"),
    ("does not exist", "Create the database, or run `labwm db upgrade`"),
)


def _raise_in_our_words(context: ExceptionContext) -> None:
    original = context.original_exception
    if isinstance(original, LabwmError) or context.is_pre_ping:
        return
    text = " ".join(str(original).split())
    if isinstance(context.sqlalchemy_exception, sql_errors.IntegrityError):
        raise ConflictError(
            f"The ledger's rules refuse this write; got: {text}. Read the present "
            "state and decide again."
        ) from original
    if isinstance(context.sqlalchemy_exception, sql_errors.DBAPIError):
        remedy = next(
            (remedy for part, remedy in _REMEDIES if part in text),
            "See whether the database answers, then try again",
        )
        raise StoreError(f"The ledger must be able to serve; got: {text}. {remedy}.")
