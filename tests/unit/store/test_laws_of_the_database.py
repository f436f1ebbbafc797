"""What the database itself refuses, whoever asks: raw SQL, no labwm in between."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, inspect, text

from labwm.errors import ConflictError
from labwm.schema import Job, Origin
from labwm.store import Ledger
from labwm.store.engine import writing
from labwm.store.machine_tables import legal
from labwm.store.machines import MACHINES
from labwm.store.tables import VERSION_TABLE
from tests.unit.store.conftest import CARD, measurement, prediction, proposal


@pytest.fixture
def raw(ledger: Ledger, campaign, sent: Job) -> Iterator[Connection]:
    """A connection to a ledger with something in each table."""
    ledger.create_key("ada", kind="person", scopes=["read"])
    with ledger.visit(campaign, actor="ada") as w:
        w.add_model_card(CARD, as_of=0)
        w.add_predictions([prediction("x")])
        w.add_proposals([proposal("p", prediction_id="x")])
        w.add_observations([measurement("a1"), measurement("a2")])
        w.retract(measurement("a2").digest(), reason="spilled")
        w.supply(("boil", "budget"), 8, "experiments", key="opened", note="")
    with writing(ledger.engine).connect() as connection:
        yield connection


MOVE = (
    "INSERT INTO submission_moves (submission_key, step, previous_step, from_state,"
    " to_state, campaign_id, event_seq, detail) VALUES"
    " ('boil-round-0', :step, :previous, :start, :to, 'boil', 0, '{}')"
)


def test_a_legal_next_step_is_taken(raw: Connection):
    step = {"step": 3, "previous": 2, "start": "accepted", "to": "running"}
    assert raw.execute(text(MOVE), step).rowcount == 1


@pytest.mark.parametrize(
    "step",
    [
        {"step": 3, "previous": 2, "start": "accepted", "to": "reserved"},
        {"step": 3, "previous": 2, "start": "accepted", "to": "vanished"},
        {"step": 2, "previous": 1, "start": "submitting", "to": "in_doubt"},
        {"step": 4, "previous": 3, "start": "accepted", "to": "running"},
        {"step": 4, "previous": 2, "start": "accepted", "to": "running"},
        {"step": 3, "previous": 2, "start": "running", "to": "finished"},
        {"step": 3, "previous": None, "start": "accepted", "to": "running"},
        {"step": 0, "previous": None, "start": "new", "to": "reserved"},
        {"step": 7, "previous": None, "start": "new", "to": "reserved"},
    ],
    ids=[
        "backwards",
        "unknown-state",
        "repeated",
        "after-a-gap",
        "over-a-gap",
        "from-another-state",
        "from-nowhere",
        "again-from-the-start",
        "a-second-start",
    ],
)
def test_an_illegal_repeated_or_gapped_step_is_refused(raw: Connection, step):
    with pytest.raises(ConflictError, match="refuse this write"):
        raw.execute(text(MOVE), step)


def test_a_state_cannot_run_ahead_of_its_steps(raw: Connection):
    with pytest.raises(ConflictError):
        raw.execute(text("UPDATE submission_states SET state = 'finished'"))


APPEND_ONLY = [
    ("protocols", "at"),
    ("campaigns", "opened_by"),
    ("events", "body"),
    ("predictions", "body"),
    ("proposals", "body"),
    ("batches", "body"),
    ("jobs", "body"),
    ("wells", "proposal_id"),
    ("observations", "body"),
    ("observations", "origin"),
    ("datasets", "actor"),
    ("dataset_origins", "origin"),
    ("dataset_rows", "origin"),
    ("approval_moves", "to_state"),
    ("submission_moves", "detail"),
    ("well_moves", "detail"),
    ("campaign_legal", "to_state"),
    ("model_cards", "body"),
    ("model_uses", "model_id"),
    ("trainings", "as_of"),
    ("retractions", "body"),
    ("principals", "kind"),
    ("account_entries", "free"),
]


def test_what_was_appended_is_never_updated_or_deleted(raw: Connection):
    for table, column in APPEND_ONLY:
        assert raw.execute(text(f"SELECT count(*) FROM {table}")).scalar_one() > 0
        # Also where nothing would change: the trigger asks no question.
        with pytest.raises(ConflictError, match=f"{table} are append-only"):
            raw.execute(text(f"UPDATE {table} SET {column} = {column}"))
        raw.rollback()
        with pytest.raises(ConflictError, match=f"{table} are append-only"):
            raw.execute(text(f"DELETE FROM {table}"))
        raw.rollback()


def test_every_table_but_the_folded_ones_is_protected(ledger: Ledger):
    folded = {f"{m.name}_states" for m in MACHINES} | {"observation_slots", "tallies"}
    free = folded | {"leases", "keys", "accounts", VERSION_TABLE}
    tables = set(inspect(ledger.engine).get_table_names())
    tried = {table for table, _ in APPEND_ONLY}
    same = {f"{m.name}_{kind}" for m in MACHINES for kind in ("legal", "moves")}
    assert tables - free - same == tried - same


def test_rows_are_not_replaced_or_truncated(raw: Connection):
    if raw.dialect.name == "sqlite":
        # A plain connection, as of a database browser: no pragma of ours helps.
        raw.exec_driver_sql("PRAGMA recursive_triggers=OFF")
        statement = "INSERT OR REPLACE INTO events SELECT * FROM events WHERE seq = 0"
    else:
        statement = "TRUNCATE events CASCADE"
    with pytest.raises(ConflictError, match=r"append-only|has this row already"):
        raw.execute(text(statement))


@pytest.mark.parametrize(
    "change",
    ["seq = 99, previous_seq = 98", "prev_sha256 = 'forged', seq = 99"],
    ids=["after-a-gap", "onto-a-forged-digest"],
)
def test_an_event_follows_the_last_one(raw: Connection, change: str):
    columns = "campaign_id, kind, body, at, actor, token, sha256"
    values = {"seq": "99", "previous_seq": "0", "prev_sha256": "sha256"}
    values |= dict(part.split(" = ") for part in change.split(", "))
    with pytest.raises(ConflictError):
        raw.execute(
            text(
                f"INSERT INTO events ({columns}, {', '.join(values)}) SELECT {columns},"
                f" {', '.join(values.values())} FROM events WHERE seq = 0"
            )
        )


ROW = (
    "INSERT INTO dataset_rows (dataset_id, campaign_id, observation_id, origin)"
    " SELECT :dataset, campaign_id, id, {origin} FROM observations"
)


def test_a_data_set_refuses_origins_that_it_does_not_admit(
    ledger: Ledger, raw: Connection
):
    raw.rollback()
    ledger.add_dataset("wet", [Origin.MEASURED], actor="ada")
    ledger.add_dataset("dry", [Origin.REPLAYED], actor="ada")
    with pytest.raises(ConflictError):
        raw.execute(text(ROW.format(origin="origin")), {"dataset": "wet"})
    raw.rollback()
    with pytest.raises(ConflictError):
        # Lying about the origin: the row no longer matches its observation.
        raw.execute(text(ROW.format(origin="'measured'")), {"dataset": "wet"})
    raw.rollback()
    raw.execute(text(ROW.format(origin="origin")), {"dataset": "dry"})
    with pytest.raises(ConflictError, match="no further origin"):
        raw.execute(text("INSERT INTO dataset_origins VALUES ('dry', 'measured')"))


@pytest.mark.parametrize("origin", ["measured", "virtual"])
def test_no_update_moves_an_observation_over_the_wall(raw: Connection, origin: str):
    for table in ("observations", "dataset_rows", "dataset_origins"):
        with pytest.raises(ConflictError, match="append-only"):
            raw.execute(text(f"UPDATE {table} SET origin = '{origin}'"))
        raw.rollback()
    with pytest.raises(ConflictError, match="append-only"):
        raw.execute(text("UPDATE dataset_rows SET dataset_id = 'wet'"))


def test_an_observation_has_the_origin_that_its_content_says(raw: Connection):
    columns = (
        "campaign_id, slot, revision, measured_at, job_key, well, proposal_id,"
        " raw_sha256, event_seq, sha256, body"
    )
    copy = (
        f"INSERT INTO observations ({columns}, id, origin) SELECT {columns},"
        " 'copy-' || id, {origin} FROM observations"
    )
    assert raw.execute(text(copy.format(origin="origin"))).rowcount == 2
    raw.rollback()
    with pytest.raises(ConflictError, match="the origin that its content says"):
        raw.execute(text(copy.format(origin="'measured'")))


def test_the_wall_stands_where_nobody_asks_foreign_keys(
    ledger: Ledger, raw: Connection
):
    raw.rollback()
    ledger.add_dataset("wet", [Origin.MEASURED], actor="ada")
    if raw.dialect.name == "sqlite":
        raw.exec_driver_sql("ROLLBACK")
        raw.exec_driver_sql("PRAGMA foreign_keys=OFF")
        raw.exec_driver_sql("BEGIN IMMEDIATE")
    for origin in ("origin", "'measured'"):
        with pytest.raises(ConflictError):
            raw.execute(text(ROW.format(origin=origin)), {"dataset": "wet"})
        if raw.dialect.name == "postgresql":
            raw.rollback()


def test_a_submission_key_is_used_once_for_ever(raw: Connection):
    columns = (
        "batch_id, campaign_id, content_sha256, approval_step, approval, round, lab,"
        " event_seq, sha256, body"
    )
    with pytest.raises(ConflictError):
        raw.execute(
            text(
                f"INSERT INTO jobs (submission_key, attempt, {columns})"
                f" SELECT submission_key, 7, {columns} FROM jobs"
            )
        )


@pytest.mark.parametrize(
    "change",
    [{"content_sha256": "'other'"}, {"approval_step": "1"}, {"approval": "'awaiting'"}],
    ids=["other-content", "before-approval", "unapproved"],
)
def test_a_job_rests_on_the_approval_of_its_content(raw: Connection, change):
    same = ["batch_id", "campaign_id", "round", "lab", "event_seq", "sha256", "body"]
    values = {name: name for name in same} | {
        "content_sha256": "content_sha256",
        "approval_step": "approval_step",
        "approval": "approval",
    }
    insert = (
        "INSERT INTO jobs (submission_key, attempt, {}) SELECT '{}', {}, {} FROM jobs"
    )
    ok = insert.format(", ".join(values), "key-again", 1, ", ".join(values.values()))
    assert raw.execute(text(ok)).rowcount == 1
    raw.rollback()
    values |= change
    bad = insert.format(", ".join(values), "key-again", 1, ", ".join(values.values()))
    with pytest.raises(ConflictError):
        raw.execute(text(bad))


def test_the_database_knows_the_same_legal_steps_as_the_program(ledger: Ledger):
    with ledger.engine.connect() as connection:
        for machine in MACHINES:
            rows = connection.execute(legal[machine.name].select())
            assert {tuple(row) for row in rows} == machine.legal
