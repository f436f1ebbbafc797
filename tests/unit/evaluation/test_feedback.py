"""Intervals where a policy went, by several ways to state them."""

import numpy as np
import pytest

from labwm.errors import InvalidInputError
from labwm.evaluation.backtest import Plan
from labwm.evaluation.feedback import (
    METHODS,
    FeedbackSettings,
    Point,
    adaptive,
    bench_feedback,
    conformal,
    score_points,
)


def points(n: int, *, scale: float, n_residuals: int = 60) -> list[Point]:
    """Errors `scale` times larger than the residuals promise, in two rounds."""
    rng = np.random.default_rng(0)
    residuals = rng.normal(size=n_residuals)
    errors = scale * rng.normal(size=n)
    return [
        Point("t", 0, 1 + i // (n // 2), float(e), residuals, errors[: n // 2], False)
        for i, e in enumerate(errors)
    ]


def test_the_conformal_interval_has_its_known_rank():
    low, high = conformal(np.arange(1.0, 20.0), np.empty(0))
    assert (low, high) == (-18.0, 18.0)
    assert conformal(np.arange(5.0), np.empty(0)) == (-np.inf, np.inf)


def test_adaptive_conformal_inference_follows_the_misses():
    residuals = np.random.default_rng(1).normal(size=200)
    calm = adaptive(residuals, np.zeros(20))[1]
    missed = adaptive(residuals, np.full(20, 5.0))[1]
    assert missed > conformal(residuals, np.empty(0))[1] > calm


def test_errors_that_were_larger_than_promised_widen_the_interval_under_feedback():
    rows = score_points(points(400, scale=2.0))
    found = {(r.name, r.metric, r.at): r.mean for r in rows}
    assert found["calibrated", "coverage90", "all"] < 0.75
    assert found["under_feedback", "coverage90", "all"] > 0.85
    assert 1.5 < found["under_feedback", "width_ratio", "all"] < 2.5
    assert found["calibrated", "width_ratio", "all"] == 1.0
    rounds = [found["conformal", "coverage90", f"round {i}"] for i in (1, 2)]
    assert found["conformal", "worst_round_coverage90", "all"] == min(rounds)


def test_an_interval_without_an_end_is_vacuous():
    rows = score_points(points(20, scale=1.0, n_residuals=4))
    found = {(r.name, r.metric, r.at): r.mean for r in rows}
    assert found["conformal", "vacuous_share", "all"] == 1.0
    assert found["conformal", "coverage90", "all"] == 1.0
    assert found["conformal", "width_ratio", "all"] is None


def test_every_way_is_scored_on_the_same_points(paint, paint_table):
    settings = FeedbackSettings(Plan(4, 16), seeds=2)
    found = bench_feedback([("paint", paint, paint_table)], settings)
    n = {found.get(name, "coverage90", "all").n for name in METHODS}
    # Three rounds of four after the start, two readouts, two campaigns.
    assert n == {48}
    assert found.get("under_feedback", "coverage90", "round 3").n == 16
    assert found.get("under_feedback", "coverage90", "paint").low is not None


def test_a_policy_without_a_model_has_nothing_to_score(paint, paint_table):
    settings = FeedbackSettings(Plan(4, 8), policy="random", seeds=1)
    with pytest.raises(InvalidInputError, match="a policy with a model"):
        bench_feedback([("paint", paint, paint_table)], settings)
    with pytest.raises(InvalidInputError, match="seeds=0"):
        FeedbackSettings(Plan(4, 8), seeds=0)
