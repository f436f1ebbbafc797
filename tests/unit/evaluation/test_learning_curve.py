"""How error falls with the number of rows."""

import numpy as np
import pytest

from labwm.errors import NotEnoughDataError
from labwm.evaluation.baselines import normal
from labwm.evaluation.forecasts import Forecasts, forecasts_of
from labwm.evaluation.learning_curve import exponent_rows, size_splits
from labwm.evaluation.predict import PredictSettings, bench_predict

GROUPS = [np.array([2 * i, 2 * i + 1]) for i in range(500)]


def _said(error: float, seed: int) -> Forecasts:
    y = error * np.random.default_rng(seed).normal(size=4000)
    return forecasts_of(y, normal(np.zeros(4000), np.full(4000, error)), y[:, None])


def test_parts_are_nested_and_asked_about_the_same_rows():
    splits = size_splits(GROUPS, 2)
    assert [s.name for s in splits] == ["n=100", "n=400"] * 2
    small, large = splits[:2]
    assert set(small.train) < set(large.train)
    np.testing.assert_array_equal(small.test, large.test)
    assert not set(large.train) & set(large.test)
    assert len(small.train) == 200  # replicates of one condition stay together


def test_too_few_rows_for_a_curve_are_refused():
    with pytest.raises(NotEnoughDataError, match="learning curve"):
        size_splits(GROUPS[:100], 1)


def test_the_exponent_of_errors_that_halve_with_four_times_the_rows_is_a_half():
    said = {f"n={n}": [_said(n**-0.5, s) for s in (0, 1)] for n in (100, 400, 1600)}
    rmse, crps = exponent_rows("default", said)
    assert rmse.metric == "rmse_exponent"
    assert rmse.mean == pytest.approx(0.5, abs=1e-6)
    assert crps.mean == pytest.approx(0.5, abs=1e-6)


def test_one_seed_states_the_interval_of_the_line():
    said = {f"n={n}": [_said(n**-0.5, n)] for n in (100, 400, 1600)}
    row = exponent_rows("default", said)[0]
    assert row.low is not None
    assert row.high is not None
    assert row.low < 0.5 < row.high
    two = {at: said[at] for at in ("n=100", "n=400")}
    assert exponent_rows("default", two)[0].low is None


def test_other_splits_have_no_exponent(paint, paint_table):
    settings = PredictSettings(models=("mean",), seeds=1)
    table = bench_predict(paint, paint_table, settings)
    assert not [row for row in table.rows if "exponent" in row.metric]
