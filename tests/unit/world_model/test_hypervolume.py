"""The dominated volume and the front, against counting cells."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from labwm.world_model.hypervolume import hypervolume, is_on_front


def test_hypervolume_of_one_objective_is_the_excess_of_the_best():
    assert hypervolume([[3.0], [7.0]], [5.0]) == 2.0
    assert hypervolume([[3.0]], [5.0]) == 0.0
    assert hypervolume(np.zeros((0, 2)), [0.0, 0.0]) == 0.0


def test_hypervolume_of_known_boxes():
    assert hypervolume([[3, 1], [1, 3], [2, 2], [1, 1]], [0, 0]) == 6.0
    assert hypervolume([[2, 2, 2], [3, 1, 1], [-1, 9, 9]], [0, 0, 0]) == 9.0


unit = st.integers(0, 8).map(lambda x: x / 8)


@given(arrays(float, st.tuples(st.integers(1, 6), st.integers(1, 3)), elements=unit))
def test_hypervolume_counts_the_dominated_cells_of_a_grid(rows: np.ndarray):
    # On a grid of eighths the dominated volume is a count of cells.
    k = rows.shape[1]
    cells = np.stack(np.meshgrid(*[(np.arange(8) + 0.5) / 8] * k), -1).reshape(-1, k)
    inside = np.any(np.all(cells[:, None] < rows[None], axis=2), axis=1)
    assert hypervolume(rows, np.zeros(k)) == pytest.approx(inside.mean())


def test_hypervolume_counts_boxes_once():
    points = np.array([[1.0, 3.0], [2.0, 2.0], [3.0, 1.0], [1.0, 1.0]])
    assert hypervolume(points, np.zeros(2)) == 6.0
    assert hypervolume(points, np.array([3.0, 0.0])) == 0.0


def test_hypervolume_in_three_dimensions_matches_counting_cells():
    points = np.random.default_rng(0).integers(1, 5, size=(12, 3)).astype(float)
    cells = np.stack(np.meshgrid(*[np.arange(5)] * 3), axis=-1).reshape(-1, 3)
    covered = (points[:, None, :] >= cells + 1).all(axis=2).any(axis=0).sum()
    assert hypervolume(points, np.zeros(3)) == pytest.approx(covered)


def test_the_front_leaves_out_what_is_dominated_or_unknown():
    points = np.array([[1.0, 3.0], [3.0, 1.0], [1.0, 1.0], [np.nan, 9.0], [3.0, 1.0]])
    assert is_on_front(points).tolist() == [True, True, False, False, True]
