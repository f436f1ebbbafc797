"""Values of which only a limit is known."""

from dataclasses import replace

import numpy as np
import pytest

from labwm.errors import NotEnoughDataError
from labwm.schema import Status
from labwm.space.questions import Observations
from labwm.world_model import fit
from tests.unit.world_model.assays import (
    dose_assay,
    dose_questions,
    dose_response,
    two_numbers,
)


def capped(n: int, cap: float, *, seed: int = 0) -> Observations:
    """Return an assay that reports `>cap` instead of what exceeds it."""
    rows = dose_assay(n, seed=seed)
    above = rows.values > cap
    statuses = rows.statuses.copy()
    statuses[above] = Status.ABOVE
    return replace(
        rows,
        values=np.minimum(rows.values, cap),
        censoring=above.astype(np.int8),
        statuses=statuses,
    )


def test_limits_are_better_used_than_taken_as_values_or_dropped():
    rows, asked = capped(40, 0.9), dose_questions(300, seed=5)
    truth = dose_response(asked, noise=0.0, seed=0)
    high = truth > 1.0
    as_limits = fit(rows, two_numbers())
    as_values = fit(replace(rows, censoring=np.zeros((40, 1), np.int8)), two_numbers())
    dropped = fit(rows.take(np.flatnonzero(rows.censoring[:, 0] == 0)), two_numbers())

    def loss(model) -> float:
        return -float(model.predict(asked).log_density(truth[:, None])[high].mean())

    assert loss(as_limits) < loss(as_values)
    assert loss(as_limits) < loss(dropped)
    assert as_limits.predict(asked).mean[high].mean() > 1.0
    assert any("values are limits" in note for note in as_limits.card.notes)


def test_a_limit_that_agrees_with_the_forecast_changes_little():
    model = fit(dose_assay(40), two_numbers())
    asked = dose_questions(1, seed=7)
    before = model.predict(asked)
    far_below = float(before.mean[0, 0]) - 20.0
    after = model.condition_on(_limit(asked, far_below, 1)).predict(asked)
    np.testing.assert_allclose(after.mean, before.mean, atol=1e-3)


@pytest.mark.parametrize("side", [-1, 1], ids=["below", "above"])
def test_a_limit_beyond_the_forecast_pulls_towards_its_side(side: int):
    model = fit(dose_assay(12), two_numbers())
    asked = dose_questions(1, seed=7)
    before = model.predict(asked)
    bound = float(before.mean[0, 0]) + side * 2 * float(before.sd[0, 0])
    after = model.condition_on(_limit(asked, bound, side)).predict(asked)
    assert side * (after.location[0, 0] - before.location[0, 0]) > 0
    assert after.epistemic[0, 0] < before.epistemic[0, 0]


def test_limits_alone_are_not_enough_data():
    rows = capped(20, -5.0)
    with pytest.raises(NotEnoughDataError, match="measured values; got 0"):
        fit(rows, two_numbers())


def test_the_order_of_limits_does_not_matter():
    rows, asked = capped(30, 0.9), dose_questions(10, seed=5)
    order = np.random.default_rng(0).permutation(30)
    first = fit(rows, two_numbers()).predict(asked)
    other = fit(rows.take(order), two_numbers()).predict(asked)
    np.testing.assert_array_equal(first.mean, other.mean)


def test_each_limit_counts_even_of_one_experiment():
    rows = dose_assay(12)
    asked = rows.questions.take([0])
    bound = float(rows.values[0, 0]) + 1.0
    model = fit(rows, two_numbers())
    once = _limit(asked, bound, 1)
    twice = once.take([0, 0])
    means = [
        model.condition_on(limits).predict(asked).location[0, 0]
        for limits in (once, twice)
    ]
    assert model.predict(asked).location[0, 0] < means[0] < means[1]


def _limit(questions, bound: float, side: int) -> Observations:
    status = Status.ABOVE if side > 0 else Status.BELOW
    return Observations(
        questions,
        ("signal",),
        np.array([[bound]]),
        np.array([[side]], dtype=np.int8),
        np.array([[status]], dtype=object),
    )
