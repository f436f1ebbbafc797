"""A database is made, recognised, refused, upgraded and copied."""

import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text

from labwm import settings
from labwm.errors import (
    ConflictError,
    InvalidInputError,
    SchemaRevisionError,
    StoreError,
    UnavailableError,
)
from labwm.schema import parse_protocol
from labwm.store import Ledger, shown_address
from labwm.store.engine import connect, writing
from labwm.store.machine_tables import metadata
from labwm.store.migrate import (
    alembic_config,
    backup,
    current_revision,
    migrate,
    upgrade,
)
from labwm.store.revision import HEAD
from labwm.store.tables import VERSION_TABLE
from tests.unit.store.conftest import PROTOCOL, open_campaign


def execute(url: str, statement: str) -> None:
    engine = connect(url)
    with writing(engine).begin() as connection:
        connection.execute(text(statement))
    engine.dispose()


def test_an_empty_database_becomes_a_ledger(empty_url: str):
    assert current_revision(empty_url) is None
    ledger = Ledger.open(empty_url)
    assert ledger.campaigns() == ()
    ledger.close()
    assert current_revision(empty_url) == HEAD
    done = upgrade(empty_url)
    assert (done.before, done.after, done.backup) == (HEAD, HEAD, None)


def test_migrations_make_exactly_the_tables_of_the_program(ledger: Ledger):
    with ledger.engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"version_table": VERSION_TABLE}
        )
        assert compare_metadata(context, metadata) == []
        config = alembic_config(connection)
        assert ScriptDirectory.from_config(config).get_current_head() == HEAD


def test_another_revision_is_refused_and_names_the_command(url: str):
    execute(url, f"UPDATE {VERSION_TABLE} SET version_num = '9999'")
    with pytest.raises(SchemaRevisionError, match=r"9999\. Run `labwm db upgrade`"):
        Ledger.open(url)
    if url.startswith("sqlite"):
        with pytest.raises(SchemaRevisionError, match="Install the labwm that made"):
            upgrade(url)
        (copy,) = (settings.home() / "backups").iterdir()
        assert current_revision(f"sqlite:///{copy}") == "9999"
    execute(url, f"UPDATE {VERSION_TABLE} SET version_num = '{HEAD}'")


def test_a_database_of_something_else_is_left_alone(empty_url: str):
    execute(empty_url, "CREATE TABLE theirs (x INTEGER)")
    with pytest.raises(SchemaRevisionError, match="other tables: theirs"):
        Ledger.open(empty_url)


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("mysql://localhost/labwm", "SQLite file or in PostgreSQL; got 'mysql:"),
        ("sqlite://", "SQLite file or in PostgreSQL"),
        ("ledger.db", "address is a URL"),
    ],
)
def test_other_addresses_are_refused(address: str, message: str):
    with pytest.raises(InvalidInputError, match=message):
        Ledger.open(address)


def test_a_password_is_never_shown():
    with pytest.raises(InvalidInputError) as caught:
        Ledger.open("mysql://me:hunter2@localhost/labwm")
    assert "hunter2" not in str(caught.value)
    shown = shown_address("postgresql://me:hunter2@localhost/labwm")
    assert shown == "postgresql+psycopg://me:***@localhost/labwm"


def test_a_file_of_something_else_is_named_as_such(tmp_path: Path):
    path = tmp_path / "ledger.db"
    path.write_text("name,value\n" * 1000)
    with pytest.raises(StoreError, match="not a database"):
        Ledger.open(f"sqlite:///{path}")


def test_a_server_that_does_not_answer_is_a_store_error(tmp_path: Path):
    with pytest.raises(StoreError, match="must be able to serve"):
        Ledger.open(f"postgresql://nobody@/none?host={tmp_path}")


def test_a_locked_database_says_so(tmp_path: Path, monkeypatch, sqlite_template: Path):
    monkeypatch.setattr("labwm.store.engine.WAIT_SECONDS", 0.1)
    path = tmp_path / "ledger.db"
    shutil.copy(sqlite_template, path)
    ledger = Ledger.open(f"sqlite:///{path}")
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match=r"locked\. Another process has been writing"):
        ledger.create_key("ada", kind="person", scopes=[])
    other.close()
    ledger.create_key("ada", kind="person", scopes=[])
    ledger.close()


def test_a_backup_is_a_whole_ledger(tmp_path: Path, sqlite_template: Path, protocol):
    url = f"sqlite:///{shutil.copy(sqlite_template, tmp_path / 'ledger.db')}"
    ledger = Ledger.open(url)
    open_campaign(ledger, protocol, "boil")
    copy = backup(url, tmp_path / "copies" / "ledger.db")
    with ledger.visit("boil", actor="ada") as w:
        w.event("later", {})
    restored = Ledger.open(f"sqlite:///{copy}")
    assert restored.verify("boil").n_events == ledger.verify("boil").n_events - 1
    restored.close()
    ledger.close()
    with pytest.raises(InvalidInputError, match=r"exists\. Choose another name"):
        backup(url, copy)


@pytest.mark.postgres
def test_a_backup_of_postgresql_is_a_dump(postgres_server, postgres_ledger, tmp_path):
    copy = backup(postgres_ledger, tmp_path / "ledger.dump")
    assert copy.read_bytes().startswith(b"PGDMP")


@pytest.mark.postgres
def test_a_backup_of_postgresql_needs_its_program(
    postgres_ledger: str, tmp_path: Path, monkeypatch
):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UnavailableError, match="pg_dump; it is not on PATH"):
        backup(postgres_ledger, tmp_path / "ledger.dump")
    assert list(tmp_path.iterdir()) == []


def test_a_ledger_that_is_not_there_cannot_be_backed_up(tmp_path: Path):
    with pytest.raises(UnavailableError, match="does not exist"):
        backup(f"sqlite:///{tmp_path / 'none.db'}", tmp_path / "copy.db")


def test_processes_that_open_an_empty_database_together_all_get_one(empty_url: str):
    code = f"from labwm.store import Ledger; Ledger.open({empty_url!r}).campaigns()"
    openers = [
        subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE)
        for _ in range(3)
    ]
    for opener in openers:
        assert opener.wait(60) == 0, opener.stderr.read().decode()  # type: ignore[union-attr]
        opener.stderr.close()  # type: ignore[union-attr]
    assert current_revision(empty_url) == HEAD


def test_a_ledger_goes_back_one_revision_and_forth_with_its_data(empty_url: str):
    from alembic import command

    ledger = Ledger.open(empty_url)
    open_campaign(ledger, parse_protocol(PROTOCOL), "boil")
    with ledger.visit("boil", actor="ada") as w:
        w.count(("boil", "budget"), 8, "experiments", key="opened", note="")
    before = ledger.verify("boil")
    with writing(ledger.engine).begin() as connection:
        command.downgrade(alembic_config(connection), "0001")
    ledger.close()
    assert current_revision(empty_url) == "0001"
    with pytest.raises(SchemaRevisionError, match="labwm db upgrade"):
        Ledger.open(empty_url)
    if empty_url.startswith("sqlite"):
        assert upgrade(empty_url).after == HEAD
    else:
        engine = connect(empty_url)
        migrate(engine)
        engine.dispose()
    again = Ledger.open(empty_url)
    (budget,) = again.accounts(["boil"])
    assert budget.free == 8
    assert again.verify("boil") == before
    with pytest.raises(ConflictError), writing(again.engine).begin() as connection:
        connection.execute(text("DELETE FROM campaign_legal"))
    again.close()
