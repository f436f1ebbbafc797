"""A ledger of the first release is upgraded with its data, and taken back once."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, inspect, text

from labwm.errors import ConflictError, SchemaRevisionError
from labwm.store import Ledger
from labwm.store.engine import connect, writing
from labwm.store.migrate import downgrade, migrate, upgrade, verify_database
from labwm.store.revision import HEAD, RELEASED, revision_of
from labwm.store.tables import VERSION_TABLE
from tests.unit.store.conftest import measurement

ROWS = Path(__file__).with_name("ledger_0001.json")
"""Rows of a ledger as the first release wrote them, by table, in their order."""


@pytest.fixture
def old(empty_url: str) -> Iterator[Engine]:
    """A database of the first release, with data in each table."""
    engine = connect(empty_url)
    migrate(engine, "0001")
    with writing(engine).begin() as connection:
        for table, rows in json.loads(ROWS.read_text()).items():
            for row in rows:
                marks = ", ".join(f":{name}" for name in row)
                statement = f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})"
                connection.execute(text(statement), row)
    yield engine
    engine.dispose()


def contents(connection: Connection, tables: list[str]) -> dict[str, list[object]]:
    """Return the rows of tables, whatever their order."""
    return {
        name: sorted(
            str(dict(row))
            for row in connection.execute(text(f"SELECT * FROM {name}")).mappings()
        )
        for name in tables
    }


def rules(connection: Connection) -> set[tuple[str, str]]:
    """Return every trigger, index, check, unique and foreign key of the database."""
    found: set[tuple[str, str]] = set()
    inspector = inspect(connection)
    for table in inspector.get_table_names():
        rules_of_table = [
            *inspector.get_foreign_keys(table),
            *inspector.get_check_constraints(table),
            *inspector.get_unique_constraints(table),
            *inspector.get_indexes(table),
        ]
        found |= {(table, str(rule["name"])) for rule in rules_of_table}
    if connection.dialect.name == "sqlite":
        query = "SELECT tbl_name, name FROM sqlite_master WHERE type = 'trigger'"
    else:
        query = (
            "SELECT c.relname, t.tgname FROM pg_trigger t JOIN pg_class c"
            " ON c.oid = t.tgrelid WHERE NOT t.tgisinternal"
        )
    return found | {(row[0], row[1]) for row in connection.execute(text(query))}


def look(engine: Engine, tables: list[str]) -> tuple[dict[str, list[object]], set]:
    with engine.connect() as connection:
        return contents(connection, tables), rules(connection)


def tables_of(engine: Engine) -> list[str]:
    return sorted(set(inspect(engine).get_table_names()) - {VERSION_TABLE})


def address(engine: Engine) -> str:
    return engine.url.render_as_string(hide_password=False)


def test_an_upgrade_keeps_every_row_rule_and_chain(old: Engine):
    tables = tables_of(old)
    columns = {
        name: {c["name"] for c in inspect(old).get_columns(name)} for name in tables
    }
    rows, rules_before = look(old, tables)
    done = upgrade(address(old))
    assert (done.before, done.after) == ("0001", HEAD)
    assert done.backup is not None
    assert done.backup.stat().st_size > 0
    assert rules_before <= look(old, tables)[1]
    after = look(old, tables)[0]
    grown = {"campaign_legal"}  # a done campaign may be opened again
    for name, kept in rows.items():
        assert len(after[name]) == len(kept) + (name in grown), name
    for name, written in json.loads(ROWS.read_text()).items():
        columns = ", ".join(written[0])
        with old.connect() as connection:
            kept = connection.execute(text(f"SELECT {columns} FROM {name}")).mappings()
            found = sorted(str(dict(row)) for row in kept)
        assert found == sorted(map(str, written)), name
    ledger = Ledger(old)
    with ledger.survey() as survey:  # what the older program did not count
        assert survey.tallies() == {"boil": {"answered": 2, "failed": 1}}
    assert ledger.verify("boil").dataset_sha256.startswith("9f828056f503")
    assert ledger.verify("boil").head_sha256.startswith("da8bcad120fe")
    verify_database(old)
    with ledger.visit("boil", actor="next") as w:
        w.add_observations([measurement("a1", 298.0, revision=2)])
    assert ledger.verify("boil").n_events == 24


def test_an_upgraded_ledger_is_as_closed_as_a_new_one(old: Engine, tmp_path: Path):
    upgrade(address(old))
    upgraded = look(old, [])[1]
    downgrade(address(old))
    migrate(old)
    assert look(old, [])[1] == upgraded
    with (
        pytest.raises(ConflictError, match="append-only"),
        writing(old).begin() as connection,
    ):
        connection.execute(text("UPDATE observations SET origin = 'measured'"))


def test_a_downgrade_goes_back_one_release_and_no_further(old: Engine):
    tables = tables_of(old)
    before = look(old, tables)
    upgrade(address(old))
    done = downgrade(address(old))
    assert (done.before, done.after) == (HEAD, RELEASED)
    assert done.backup is not None
    assert done.backup.exists()
    assert look(old, tables) == before
    assert revision_of(old) == RELEASED
    with pytest.raises(SchemaRevisionError, match=r"and no further.*older backup"):
        downgrade(address(old))
    with pytest.raises(SchemaRevisionError, match="labwm db upgrade"):
        Ledger.open(address(old))
    assert look(old, tables) == before
