"""Closed forms of expected gains, against drawing."""

import numpy as np
import pytest

from labwm.design.improvement import (
    AreaImprovement,
    BestImprovement,
    VolumeImprovement,
)
from labwm.design.utility import expected_excess, log_expected_excess
from labwm.schema import Objective
from labwm.world_model.hypervolume import hypervolume
from labwm.world_model.reward import utility

UP = Objective(readout="a", goal="maximise")
DOWN = Objective(readout="b", goal="minimise")
MATCH = Objective(readout="c", goal="match", target=2.0)
GOALS = pytest.mark.parametrize(
    "objective", [UP, DOWN, MATCH], ids=["maximise", "minimise", "match"]
)


@GOALS
@pytest.mark.parametrize("mean", [-1.0, 1.5, 2.2, 4.0], ids="mean={}".format)
def test_expected_excess_is_the_mean_of_drawn_excesses(objective, mean):
    z = np.random.default_rng(0).normal(size=400_000)
    threshold = -0.7
    drawn = np.maximum(utility(objective, mean + 0.8 * z) - threshold, 0.0)
    exact = float(expected_excess(objective, mean, 0.8, threshold))
    error = drawn.std() / np.sqrt(len(z))
    assert abs(exact - drawn.mean()) < 4 * error + 1e-12


@GOALS
def test_the_logarithm_agrees_where_the_excess_is_not_tiny(objective):
    mean, sd = np.linspace(-3, 6, 50), np.full(50, 0.9)
    exact = expected_excess(objective, mean, sd, -1.0)
    assert np.exp(
        log_expected_excess(objective, mean, sd, np.array(-1.0))
    ) == pytest.approx(exact, rel=0.02)


@GOALS
def test_far_below_the_threshold_closer_still_ranks_higher(objective):
    step = np.linspace(40, 80, 9)
    mean = {"maximise": -step, "minimise": step, "match": 2 + step}[objective.goal]
    logs = log_expected_excess(objective, mean, np.full(9, 0.1), np.array(0.0))
    assert np.all(np.isfinite(logs))
    assert np.all(np.diff(logs) < 0)


def test_area_improvement_is_the_mean_of_drawn_gains():
    reference = np.array([0.0, -4.0])
    front = np.array([[3.0, -3.0], [2.0, -1.5], [1.0, -0.5], [0.5, -3.5]])
    mean, sd = np.array([[2.4, 1.2]]), np.array([[0.7, 0.9]])
    exact = AreaImprovement((UP, DOWN), reference).log_gain(mean[None], sd, front[None])
    z = np.random.default_rng(1).normal(size=(6000, 2))
    before = hypervolume(front, reference)
    points = (mean + sd * z) * [1.0, -1.0]
    gains = [hypervolume(np.vstack([front, p]), reference) - before for p in points]
    error = np.std(gains) / np.sqrt(len(gains))
    assert abs(np.exp(exact[0, 0]) - np.mean(gains)) < 4 * error


def test_volume_improvement_ranks_as_area_improvement_does():
    rng = np.random.default_rng(2)
    reference, scale = np.array([0.0, -4.0]), np.array([3.0, 4.0])
    front = np.array([[3.0, -3.0], [2.0, -1.5], [1.0, -0.5]])
    mean = rng.uniform([0, 0], [4, 4], size=(40, 2))
    sd = rng.uniform(0.1, 0.8, size=(40, 2))
    objectives = (UP, DOWN)
    exact = AreaImprovement(objectives, reference)
    estimated = VolumeImprovement(objectives, reference, scale, seed=0)
    a, b = (i.log_gain(mean[None], sd, front[None])[0] for i in (exact, estimated))
    ranks = [np.argsort(np.argsort(x)) for x in (a, b)]
    assert np.corrcoef(ranks)[0, 1] > 0.9


def test_without_anything_known_the_floor_is_the_bar():
    improvement = BestImprovement(UP, floor=1.0)
    gain = improvement.log_gain(
        np.array([[[3.0]]]), np.array([[1e-6]]), np.empty((1, 0, 1))
    )
    assert np.exp(gain[0, 0]) == pytest.approx(2.0)
