"""Verifying folds everything again and finds what was altered from outside."""

import sqlite3

import pytest
from sqlalchemy import Connection

from labwm.errors import IntegrityError, NotFoundError
from labwm.schema import Job
from labwm.store import Ledger
from labwm.store.migrate import verify_database
from labwm.store.verify import verify_campaign
from tests.unit.store.conftest import CARD, measurement, prediction, proposal

ALTERATIONS = {
    "an event's body": "UPDATE events SET body = '{}' WHERE seq = 3",
    "an event's actor": "UPDATE events SET actor = 'eve' WHERE seq = 3",
    "an event within": "DELETE FROM events WHERE seq = 3",
    "a campaign": "UPDATE campaigns SET spec = replace(spec, '8', '9')",
    "an admitted origin": "INSERT INTO dataset_origins VALUES ('boil', 'virtual')",
    "a proposal's body": "UPDATE proposals SET body = replace(body, 'first', 'second')",
    "a proposal's column": "UPDATE proposals SET proposer = 'eve'",
    "a prediction": "DELETE FROM predictions WHERE id = 'loose'",
    "an observation's origin": "UPDATE observations SET origin = 'measured'",
    "an observation": "UPDATE observations SET body = replace(body, '300', '200')",
    "a batch": "UPDATE batches SET proposer = 'eve'",
    "a well": "UPDATE wells SET proposal_id = 'p-other' WHERE well = 'a2'",
    "an approver's note": 'UPDATE approval_moves SET detail = \'{"note":"no"}\'',
    "a step": "DELETE FROM submission_moves WHERE step = 2",
    "a job's state": "UPDATE submission_states SET state = 'finished'",
    "a well's state": "DELETE FROM well_states WHERE well = 'a2'",
    "what counts": "DELETE FROM observation_slots",
    "what a result answers": "UPDATE observation_slots SET experiment = NULL",
    "how many were answered": "UPDATE tallies SET n = n + 1",
    "a retraction": "DELETE FROM retractions",
    "why it was retracted": "UPDATE retractions SET body = replace(body, 'sp', 'k')",
    "what a model learnt from": "UPDATE trainings SET as_of = 1",
    "what names a model": "DELETE FROM model_uses",
    "a row of the data set": "DELETE FROM dataset_rows",
    "a row's origin": "UPDATE dataset_rows SET origin = 'virtual'",
    "the protocol": "UPDATE protocols SET body = replace(body, '2500', '9500')",
    "who opened it": "UPDATE campaigns SET opened_by = 'eve'",
    "when it was opened": "UPDATE campaigns SET opened_at = '2020-01-01T00:00:00'",
    "a model card": "UPDATE model_cards SET body = replace(body, 'default', 'other')",
}


@pytest.fixture
def full(ledger: Ledger, campaign, sent: Job) -> Ledger:
    """A ledger with something in each table."""
    with ledger.visit(campaign, actor="ada") as w:
        w.add_model_card(CARD, as_of=0)
        w.add_predictions([prediction("x"), prediction("loose")])
        w.add_proposals([proposal("p", prediction_id="x")])
        w.add_observations([measurement("a1"), measurement("a2", 310.0)])
        w.retract(measurement("a2", 310.0).digest(), reason="spilled")
        w.event("last", {})
    return ledger


def alter(connection: Connection, statement: str) -> None:
    """Do what an owner of the database could: drop the guards, then write."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SET LOCAL session_replication_role = replica")
    else:
        connection.exec_driver_sql("PRAGMA defer_foreign_keys=ON")
        query = "SELECT name FROM sqlite_master WHERE type = 'trigger'"
        for name in connection.exec_driver_sql(query).scalars().all():
            connection.exec_driver_sql(f"DROP TRIGGER {name}")
    connection.exec_driver_sql(statement)


def is_found(ledger: Ledger, statement: str) -> bool:
    with ledger.engine.connect() as connection:
        alter(connection, statement)
        try:
            verify_campaign(connection, "boil")
        except IntegrityError as error:
            return "Restore a backup" in str(error)
        finally:
            connection.rollback()
    return False


def test_every_alteration_from_outside_is_found(full: Ledger):
    full.verify("boil")
    missed = [what for what, sql in ALTERATIONS.items() if not is_found(full, sql)]
    assert missed == []
    full.verify("boil")


def test_a_chain_cut_short_is_told_by_its_head(full: Ledger):
    before = full.verify("boil")
    with full.engine.connect() as connection:
        alter(connection, "DELETE FROM events WHERE kind = 'last'")
        after = verify_campaign(connection, "boil")
        connection.rollback()
    assert after.n_events == before.n_events - 1
    assert after.head_sha256 != before.head_sha256


def test_an_unknown_campaign_cannot_be_verified(ledger: Ledger):
    with pytest.raises(NotFoundError):
        ledger.verify("boil")


def test_sqlites_own_checks_find_loose_rows(full: Ledger):
    verify_database(full.engine)
    if full.engine.dialect.name == "sqlite":
        connection = sqlite3.connect(str(full.engine.url.database))
        connection.execute("DROP TRIGGER jobs_no_delete")
        connection.execute("DELETE FROM jobs")
        connection.commit()
        connection.close()
        with pytest.raises(IntegrityError, match="is loose"):
            verify_database(full.engine)
