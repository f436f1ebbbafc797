"""Intervals hold fresh measurements at the level they state."""

import math

import numpy as np
import pytest

from labwm import scores
from labwm.world_model import fit
from tests.unit.world_model.assays import (
    MOLECULES,
    dose_assay,
    library,
    library_assay,
    reaction,
    reaction_assay,
    two_numbers,
)

LEVELS = (0.5, 0.8, 0.95)
N_REPEATS = 12


N_INDEPENDENT = 20
"""Fresh measurements of one fit vary together: they count as so many."""
TOO_WIDE = 0.1
"""Few molecules leave intervals somewhat wide; too narrow is never allowed."""


@pytest.mark.parametrize("recipe", ["default", "explore"])
@pytest.mark.parametrize("n", [10, 20, 60])
def test_intervals_of_a_dose_response_hold(n: int, recipe: str):
    predictions, fresh = [], []
    for seed in range(N_REPEATS):
        model = fit(dose_assay(n, noise=0.2, seed=seed), two_numbers(), recipe=recipe)
        new = dose_assay(100, noise=0.2, seed=500 + seed)
        predictions.append(model.predict(new.questions))
        fresh.append(new.values)
    _check(predictions, fresh)


@pytest.mark.parametrize("n", [15, 30])
def test_intervals_of_a_library_hold(n: int):
    predictions, fresh = [], []
    for seed in range(N_REPEATS):
        rows = library_assay(len(MOLECULES), seed=seed)
        model = fit(rows.take(np.arange(n)), library())
        new = rows.take(np.arange(n, len(rows)))
        predictions.append(model.predict(new.questions))
        fresh.append(new.values)
    _check(predictions, fresh)


@pytest.mark.parametrize("n", [15, 40])
def test_intervals_of_a_reaction_hold(n: int):
    predictions, fresh = [], []
    for seed in range(N_REPEATS):
        rows = reaction_assay(192, seed=seed)
        model = fit(rows.take(np.arange(n)), reaction())
        new = rows.take(np.arange(n, 192))
        predictions.append(model.predict(new.questions))
        fresh.append(new.values)
    _check(predictions, fresh)


def _check(predictions, fresh) -> None:
    for level in LEVELS:
        held = np.concatenate(
            [
                (p.interval(level)[0] <= y) & (y <= p.interval(level)[1])
                for p, y in zip(predictions, fresh, strict=True)
            ]
        ).mean()
        band = 4 * math.sqrt(level * (1 - level) / (N_INDEPENDENT * N_REPEATS))
        assert level - band < held < level + band + TOO_WIDE, level
    cdf = np.concatenate([p.cdf(y) for p, y in zip(predictions, fresh, strict=True)])
    assert scores.miscalibration_area(cdf[:, 0]) < 0.15
