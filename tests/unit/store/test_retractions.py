"""Retracted results are kept and do not count, whatever arrives and in which order."""

import random
from itertools import permutations

import pytest
from alembic.script import ScriptDirectory

from labwm.errors import ConflictError, NotFoundError, SchemaRevisionError
from labwm.schema import Job
from labwm.store import Ledger
from labwm.store.engine import writing
from labwm.store.migrate import alembic_config, migrate
from labwm.store.revision import revision_of
from tests.unit.store.conftest import CARD, measurement, prediction, proposal

FIRST = measurement("a1", 300.0)
LATER = [
    measurement("a1", 301.0, revision=1),
    measurement("a1", 302.0, revision=2),
    measurement("a2", 310.0),
]


def retract(ledger: Ledger, name: str = FIRST.digest()) -> None:
    with ledger.visit("boil", actor="ada") as w:
        w.retract(name, reason="spilled")


def take_in(ledger: Ledger, *results) -> None:
    with ledger.visit("boil", actor="lab") as w:
        w.add_observations(results)


def test_a_retracted_result_is_kept_and_counts_no_longer(
    ledger: Ledger, campaign, sent: Job
):
    take_in(ledger, FIRST)
    retract(ledger)
    assert ledger.measurements(campaign) == ()
    ((row, kept),) = ledger.revisions(campaign)
    assert (row.is_current, kept) == (False, FIRST)
    assert ledger.well_states(sent.submission_key)["a1"] == "excluded"
    assert ledger.retracted_slots(campaign) == {"boil-round-0/a1/0"}
    ledger.verify(campaign)
    with pytest.raises(ConflictError, match="it was retracted before"):
        retract(ledger)


def test_lifting_a_retraction_lets_the_latest_revision_count(
    ledger: Ledger, campaign, sent: Job
):
    take_in(ledger, FIRST)
    retract(ledger)
    take_in(ledger, *LATER)
    assert ledger.measurements(campaign) == (LATER[2],)
    with ledger.visit(campaign, actor="ada") as w:
        w.reinstate(FIRST.digest(), reason="it was the other one")
        w.reinstate(FIRST.digest(), reason="twice is once")
    assert ledger.measurements(campaign) == (LATER[1], LATER[2])
    assert ledger.well_states(sent.submission_key)["a1"] == "measured"
    retract(ledger, LATER[1].digest())
    assert ledger.measurements(campaign) == (LATER[2],)
    ledger.verify(campaign)


@pytest.mark.parametrize("order", list(permutations(range(3))), ids=str)
def test_the_order_of_arrival_after_a_retraction_changes_nothing(
    ledger: Ledger, campaign, sent: Job, order: tuple[int, ...]
):
    take_in(ledger, FIRST)
    retract(ledger)
    for i in order:
        take_in(ledger, *random.Random(i).choices([FIRST, LATER[i]], k=3), LATER[i])
    assert ledger.measurements(campaign) == (LATER[2],)
    ledger.verify(campaign)


def test_what_does_not_count_cannot_be_retracted(ledger: Ledger, campaign, sent: Job):
    take_in(ledger, FIRST, LATER[0])
    with pytest.raises(ConflictError, match="counts instead"):
        retract(ledger)
    with pytest.raises(NotFoundError, match="known by its digest"):
        retract(ledger, "0" * 64)


def test_going_back_is_refused_where_something_is_retracted(
    ledger: Ledger, campaign, sent: Job
):
    take_in(ledger, FIRST)
    retract(ledger)
    with pytest.raises(SchemaRevisionError, match="holds 1"):
        downgrade(ledger)
    assert ledger.measurements(campaign) == ()


def test_going_back_and_coming_again_loses_nothing(ledger: Ledger, campaign, sent: Job):
    with ledger.visit(campaign, actor="ada") as w:
        w.add_model_card(CARD, as_of=0)
        w.add_predictions([prediction("x")])
        w.add_proposals([proposal("p", prediction_id="x")])
    before = ledger.verify(campaign)
    downgrade(ledger)
    migrate(ledger.engine)
    assert ledger.verify(campaign) == before
    with ledger.tracing() as tracer:
        assert tracer.model(campaign, CARD.digest()).as_of == 0
        uses, n_uses = tracer.uses(campaign, "0" * 64, "prediction", 5)
    assert (uses, n_uses) == (["x"], 1)


def downgrade(ledger: Ledger) -> None:
    from alembic import command

    with writing(ledger.engine).begin() as connection:
        config = alembic_config(connection)
        steps = ScriptDirectory.from_config(config).walk_revisions()
        (before,) = [
            str(step.down_revision) for step in steps if "amendments" in step.path
        ]
        command.downgrade(config, before)
    assert revision_of(ledger.engine) == before
