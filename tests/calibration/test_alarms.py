"""Alarms on public tables: rarely without cause, and soon when an instrument is off."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pytest

from labwm.campaign.alarms import alarms_in
from labwm.campaign.learning import Scored
from labwm.data.assay import read_assay
from labwm.data.catalogue import catalogue
from labwm.data.protocols import load_protocol
from labwm.design.propose import propose
from labwm.design.state import Batch
from labwm.evaluation.backtest import Errors, Plan, state_of
from labwm.evaluation.lookup import Lookup, lookup_from
from labwm.schema import Prediction
from labwm.world_model.contract import SupportsFeedback

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

SETS = ("direct_arylation", "crossed_barrel", "agnp", "hplc", "buchwald_a", "oer_3496")
SEEDS = range(4)
PLAN = Plan(batch=8, budget=56)
OFF_FROM = 4
"""Round from which an instrument is off."""


@dataclass(frozen=True)
class Campaign:
    """What one back-test predicted and measured, and the scatter of its values."""

    scored: tuple[Scored, ...]
    sd: float

    def rounds_to_alarm(self, offset: float) -> int | None:
        """Return how many rounds an offset [sd] stood until an alarm; None if none."""
        rows = [self._moved(one, offset) for one in self.scored]
        for number in sorted({one.round for one in rows}):
            if alarms_in([one for one in rows if one.round <= number]):
                return number - OFF_FROM + 1
        return None

    def _moved(self, one: Scored, offset: float) -> Scored:
        if one.round < OFF_FROM or offset == 0.0:
            return one
        return replace(one, measured=one.measured + offset * self.sd)


def play(lookup: Lookup, *, policy: str, seed: int) -> Campaign:
    """Run a back-test, and keep what was said before each measurement."""
    measured: list[int] = []
    errors, scored = Errors(), []
    for number in range(PLAN.budget // PLAN.batch):
        state = state_of(lookup, PLAN, measured, number=number, seed=seed)
        batch = propose(state, n=PLAN.batch, policy=policy)
        rows = [choice.row for choice in batch.choices]
        new = [lookup.measure(row, seed=seed) for row in rows]
        if (prediction := told(lookup, batch, rows, errors)) is not None:
            values = lookup.observed.values[new]
            scored += list(score(prediction, values, number))
            errors.add(prediction, values)
        measured += new
    return Campaign(tuple(scored), float(np.std([one.measured for one in scored])))


def told(
    lookup: Lookup, batch: Batch, rows: Sequence[int], errors: Errors
) -> Prediction | None:
    if batch.model is None:
        return None
    model = batch.model
    if isinstance(model, SupportsFeedback):
        model = model.under_feedback(errors.so_far())
    return model.predict(lookup.pool.take(list(rows)))


def score(prediction: Prediction, values: np.ndarray, number: int) -> Iterator[Scored]:
    low, high = prediction.interval(0.9)
    stated = [record[prediction.readouts[0]] for record in prediction.records()]
    for i in range(len(values)):
        yield Scored(
            proposal_id=f"{number}-{i}",
            readout=prediction.readouts[0],
            round=number,
            predicted=float(prediction.location[i, 0]),
            low90=float(low[i, 0]),
            high90=float(high[i, 0]),
            measured=float(values[i, 0]),
            stated=stated[i],
            is_first=True,
        )


@pytest.fixture(scope="module")
def campaigns(request) -> list[Campaign]:
    request.getfixturevalue("shared")
    played = []
    for name in SETS:
        rules = load_protocol(catalogue()[name].protocol)
        lookup = lookup_from(rules, read_assay(name, rules).measurements)
        played += [play(lookup, policy="default", seed=seed) for seed in SEEDS]
    return played


@pytest.fixture(scope="module", autouse=True)
def _mirror():
    from tests.conftest import SHARED

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LABWM_DATA_MIRROR", str(SHARED / "data" / "mirror"))
        yield


def test_campaigns_whose_instrument_is_well_are_not_frozen(campaigns):
    frozen = [c for c in campaigns if c.rounds_to_alarm(0.0) is not None]
    assert len(frozen) <= 2  # 3 % are expected


@pytest.mark.parametrize(("offset", "least"), [(2.0, 0.8), (4.0, 0.95)])
def test_an_instrument_that_is_off_freezes_within_three_rounds(
    campaigns, offset, least
):
    rounds = [c.rounds_to_alarm(offset) for c in campaigns]
    found = [n for n in rounds if n is not None and n <= 3]
    assert len(found) >= least * len(campaigns)
