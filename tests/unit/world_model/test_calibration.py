"""Recalibration: what residuals teach it, and how few of them cannot."""

import numpy as np
import pytest
from scipy.stats import norm, t

from labwm.schema import CalibrationMap
from labwm.world_model.calibration import fit_calibration, student_map


def test_normal_residuals_leave_predictions_as_they_are():
    g = fit_calibration(np.random.default_rng(0).normal(size=2000))
    z = np.linspace(-3, 3, 25)
    np.testing.assert_allclose(g.forward(z), z, rtol=0.06, atol=0.02)


def test_no_residuals_are_no_calibration():
    assert fit_calibration(np.empty(0)) == CalibrationMap()


@pytest.mark.parametrize("factor", [0.5, 2.0], ids=["too wide", "too narrow"])
def test_many_residuals_set_the_scale(factor: float):
    g = fit_calibration(factor * np.random.default_rng(0).normal(size=2000))
    assert g.forward(1.645) == pytest.approx(1.645 * factor, rel=0.07)


def test_few_residuals_move_the_scale_only_part_of_the_way():
    z = norm.ppf((np.arange(6) + 0.5) / 6)
    few, many = (fit_calibration(3.0 * np.tile(z, n)) for n in (1, 100))
    assert 1.2 < few.forward(1.0) < 0.9 * many.forward(1.0)


def test_heavy_tails_get_heavy_tails():
    r = t.rvs(3, size=3000, random_state=0)
    g = fit_calibration(r)
    for level in (0.75, 0.9, 0.95):
        found = float(g.forward(norm.ppf(level)))
        assert found == pytest.approx(t.ppf(level, 3), rel=0.12)
    assert g.tail > 1.5


def test_the_map_takes_normal_quantiles_to_those_of_student():
    g = student_map(scale=1.3, shape=0.2)
    for z in (-3.0, -1.5, 0.0, 0.75, 2.25):
        assert g.forward(z) == pytest.approx(1.3 * t.ppf(norm.cdf(z), 5))


def test_outliers_do_not_break_the_map():
    r = np.concatenate([np.random.default_rng(0).normal(size=50), [40.0]])
    g = fit_calibration(r)
    assert 0.5 < g.forward(1.0) < 2.0
