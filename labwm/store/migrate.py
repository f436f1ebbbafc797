"""Moving a database to this program's revision, and copying it whole."""

import shutil
import sqlite3
import subprocess
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from sqlalchemy import Connection, Engine, text

from labwm import settings
from labwm.errors import (
    IntegrityError,
    InvalidInputError,
    SchemaRevisionError,
    StoreError,
    UnavailableError,
)
from labwm.store.engine import connect, writing
from labwm.store.revision import HEAD, RELEASED, revision_of

if TYPE_CHECKING:
    from alembic.config import Config

_LOCK = 0x6C6162776D  # "labwm"


@dataclass(frozen=True)
class Upgraded:
    """What a migration did; `backup` is None where there was nothing to lose."""

    before: str | None
    after: str
    backup: Path | None


def current_revision(url: str | None = None) -> str | None:
    """Return the revision of a database; None where it is empty.

    Raises:
        SchemaRevisionError: If it holds tables of something else.
        StoreError: If it does not answer.
    """
    engine = connect(url or settings.database_url())
    try:
        return revision_of(engine)
    finally:
        engine.dispose()


def upgrade(url: str | None = None) -> Upgraded:
    """Bring a database to this program's revision, after a backup, under a lock.

    Raises:
        SchemaRevisionError: If a newer labwm made it.
        UnavailableError: If PostgreSQL's `pg_dump` is needed for the backup and absent.
    """
    engine = connect(url or settings.database_url())
    try:
        before = revision_of(engine)
        if before == HEAD:
            return Upgraded(before, HEAD, None)
        copy = None if before is None else _backup_beside(url, before)
        migrate(engine)
        return Upgraded(before, HEAD, copy)
    finally:
        engine.dispose()


def downgrade(url: str | None = None) -> Upgraded:
    """Take a database back to the release before this one, after a backup.

    Rows that only this release knows are lost from the database, not from the backup.

    Raises:
        SchemaRevisionError: If it is of another revision than this program's: a
            downgrade goes back one release, never further.
        UnavailableError: If PostgreSQL's `pg_dump` is needed for the backup and absent.
    """
    engine = connect(url or settings.database_url())
    try:
        before = revision_of(engine)
        if before != HEAD:
            raise SchemaRevisionError(
                f"A downgrade goes from revision {HEAD}, this program's, to "
                f"{RELEASED}, the release before, and no further; the database is of "
                f"{before}. "
                "Restore an older backup to go further back."
            )
        copy = _backup_beside(url, before)
        _run(engine, "downgrade", RELEASED)
        return Upgraded(before, RELEASED, copy)
    finally:
        engine.dispose()


def _backup_beside(url: str | None, revision: str) -> Path:
    stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime())
    return backup(url, settings.home() / "backups" / f"ledger-{revision}-{stamp}")


def make_ready(engine: Engine) -> None:
    """Make the tables of an empty database; refuse any other revision than ours.

    Raises:
        SchemaRevisionError: If the database is of another revision.
    """
    found = revision_of(engine)
    if found is None:
        migrate(engine)
        found = revision_of(engine)
    if found != HEAD:
        raise SchemaRevisionError(
            f"This labwm works with tables of revision {HEAD}; the database is of "
            f"{found}. Run `labwm db upgrade`, or install the labwm that made it."
        )


def migrate(engine: Engine, revision: str = "head") -> None:
    """Run the missing migrations in one transaction that no other writer shares.

    Raises:
        SchemaRevisionError: If a newer labwm made the database.
    """
    _run(engine, "upgrade", revision)


def _run(
    engine: Engine, direction: Literal["upgrade", "downgrade"], revision: str
) -> None:
    from alembic import command
    from alembic.util import CommandError

    move = command.upgrade if direction == "upgrade" else command.downgrade
    with writing(engine).begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK})"))
        try:
            move(alembic_config(connection), revision)
        except CommandError as error:
            raise SchemaRevisionError(
                f"This labwm knows revisions up to {HEAD}; the database's is unknown "
                f"to it ({error}). Install the labwm that made it."
            ) from error


def alembic_config(connection: Connection) -> "Config":
    """Return Alembic's configuration, for a checkout and a wheel alike."""
    from alembic.config import Config

    config = Config()
    config.set_main_option(
        "script_location", str(Path(__file__).with_name("migrations"))
    )
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def backup(url: str | None, path: Path) -> Path:
    """Copy the whole ledger to a new file while others go on writing.

    SQLite: a database file. PostgreSQL: a dump for `pg_restore`.

    Raises:
        InvalidInputError: If the file exists.
        UnavailableError: If PostgreSQL's `pg_dump` is absent.
        StoreError: If the copy could not be written.
    """
    if path.exists():
        raise InvalidInputError(
            f"A backup is a new file; {path} exists. Choose another name."
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    engine = connect(url or settings.database_url())
    try:
        if engine.dialect.name == "sqlite":
            _copy_sqlite(Path(str(engine.url.database)), path)
        else:
            _dump_postgresql(engine, path)
    finally:
        engine.dispose()
    return path


def _copy_sqlite(source: Path, path: Path) -> None:
    if not source.exists():
        raise UnavailableError(
            f"A backup needs a ledger; {source} does not exist. Check "
            "LABWM_DATABASE_URL."
        )
    part = path.with_name(f"{path.name}.part")
    try:
        with (
            closing(sqlite3.connect(source)) as original,
            closing(sqlite3.connect(part)) as copy,
        ):
            original.backup(copy)
            # One file without a log beside it can be carried anywhere.
            copy.execute("PRAGMA journal_mode=DELETE")
    except sqlite3.Error as error:
        part.unlink(missing_ok=True)
        raise StoreError(
            f"A backup is written whole or not at all; got: {error}. Free space or "
            "choose another folder."
        ) from error
    part.rename(path)


def _dump_postgresql(engine: Engine, path: Path) -> None:
    program = shutil.which("pg_dump")
    if program is None:
        raise UnavailableError(
            "A backup of PostgreSQL needs its program pg_dump; it is not on PATH. "
            "Install postgresql-client of the server's version."
        )
    address = engine.url.set(drivername="postgresql")
    part = path.with_name(f"{path.name}.part")
    done = subprocess.run(
        [
            program,
            "--format=custom",
            f"--file={part}",
            f"--dbname={address.render_as_string(hide_password=False)}",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        part.unlink(missing_ok=True)
        raise StoreError(f"pg_dump must succeed; got: {done.stderr.strip()}. Mend it.")
    part.rename(path)


def verify_database(engine: Engine) -> None:
    """Let the database check its own pages and foreign keys.

    Raises:
        IntegrityError: If it finds a fault.
    """
    if engine.dialect.name != "sqlite":
        return  # PostgreSQL enforces its constraints for every connection
    with engine.connect() as connection:
        pages = connection.scalars(text("PRAGMA integrity_check")).all()
        orphans = connection.execute(text("PRAGMA foreign_key_check")).all()
    if pages != ["ok"] or orphans:
        fault = pages[0] if pages != ["ok"] else f"a row of {orphans[0][0]!r} is loose"
        raise IntegrityError(
            f"A sound database passes SQLite's own checks; got: {fault}. Restore a "
            "backup."
        )
