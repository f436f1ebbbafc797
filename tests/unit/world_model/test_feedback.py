"""Intervals for what a policy chooses: they follow how earlier advice came out."""

import numpy as np
import pytest
from scipy.stats import norm

from labwm.errors import NotFoundError
from labwm.world_model import fit
from labwm.world_model.calibration import fit_calibration, fit_feedback_calibration
from labwm.world_model.contract import SupportsFeedback
from tests.unit.world_model.assays import dose_assay, dose_questions, two_numbers

NONE = np.empty(0)


def _normal(n: int) -> np.ndarray:
    return norm.ppf((np.arange(n) + 0.5) / n)


def _reach(residuals: np.ndarray, errors: np.ndarray) -> float:
    """Half the width of a 90 % interval, in stated standard deviations."""
    return float(fit_feedback_calibration(residuals, errors).forward(norm.ppf(0.95)))


def test_without_errors_intervals_are_wider_and_less_so_with_more_rows():
    ratios = [
        _reach(_normal(n), NONE)
        / float(fit_calibration(_normal(n)).forward(norm.ppf(0.95)))
        for n in (5, 20, 40)
    ]
    assert ratios[0] > ratios[1] > ratios[2] > 1.0
    assert 1.5 < ratios[0] < 4.0


@pytest.mark.parametrize("factor", [0.6, 3.0], ids=["too wide", "too narrow"])
def test_many_errors_set_the_scale_whatever_the_residuals_say(factor: float):
    reach = _reach(_normal(500), factor * _normal(400))
    assert reach == pytest.approx(factor * norm.ppf(0.95), rel=0.12)


def test_one_surprise_widens_and_does_not_break():
    calm, surprised = _reach(_normal(20), NONE), _reach(_normal(20), np.array([9.0]))
    assert calm < surprised < 3 * calm


def test_a_model_under_feedback_keeps_its_centre_and_moves_its_draws_with_it():
    model = fit(dose_assay(12), two_numbers())
    assert isinstance(model, SupportsFeedback)
    asked = dose_questions(6, seed=4)
    wide = model.under_feedback({"signal": 4.0 * _normal(30)})
    before, after = model.predict(asked), wide.predict(asked)
    assert np.array_equal(before.location, after.location)
    assert np.all(after.sd > 1.5 * before.sd)
    drawn = np.std([wide.draw_world(s).truth(asked) for s in range(40)])
    narrow = np.std([model.draw_world(s).truth(asked) for s in range(40)])
    assert drawn > narrow
    assert "30 errors of predictions" in wide.card.notes[-1]


def test_errors_are_of_known_readouts():
    model = fit(dose_assay(8), two_numbers())
    with pytest.raises(NotFoundError, match="Did you mean 'signal'"):
        model.under_feedback({"signl": np.array([1.0])})
