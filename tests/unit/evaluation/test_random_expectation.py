"""The closed forms of random search, against enumeration and against the facts."""

from itertools import combinations

import numpy as np
import pytest

from labwm.evaluation.random_expectation import (
    expected_best,
    expected_experiments_to,
    expected_hypervolume,
    hypervolume_by_drawing,
)
from labwm.world_model.hypervolume import hypervolume


@pytest.fixture
def points() -> np.ndarray:
    return np.random.default_rng(3).integers(0, 6, size=(9, 2)).astype(float)


def test_expected_best_is_the_mean_over_all_subsets():
    values = np.array([3.0, 1.0, 4.0, 1.0, 5.0, 9.0])
    exact = expected_best(values, 8)
    for n in range(1, 7):
        best = [max(subset) for subset in combinations(values, n)]
        assert exact[n - 1] == pytest.approx(np.mean(best))
    assert exact[6] == exact[7] == 9.0


def test_expected_experiments_is_the_mean_first_position():
    first = [min(subset) + 1 for subset in combinations(range(10), 3)]
    assert expected_experiments_to(3, 10) == pytest.approx(np.mean(first))


def test_expected_hypervolume_is_the_mean_over_all_subsets(points):
    reference = np.array([1.0, 0.0])
    exact = expected_hypervolume(points, reference, 9)
    for n in range(1, 10):
        mean = np.mean(
            [hypervolume(points[list(s)], reference) for s in combinations(range(9), n)]
        )
        assert exact[n - 1] == pytest.approx(mean)


def test_drawing_agrees_with_the_closed_form_within_its_standard_error(points):
    reference = np.zeros(2)
    mean, error = hypervolume_by_drawing(points, reference, 5, n_draws=500, seed=1)
    exact = expected_hypervolume(points, reference, 5)
    assert np.all(np.abs(mean - exact) < 4.5 * error)
