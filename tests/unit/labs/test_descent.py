"""Descent with short steps."""

import numpy as np

from labwm.labs.descent import LONGEST, Descent


def test_it_finds_the_bottom_of_a_valley_with_stiff_and_soft_directions():
    stiffness = np.array([[2000.0, 400.0, 50.0], [900.0, 30.0, 10.0]])
    bottom = np.array([[0.3, -0.2, 0.1], [0.0, 0.2, -0.3]])
    search = Descent(np.zeros((2, 3)))
    for _ in range(100):
        if not search.step(stiffness * (search.positions - bottom)):
            break
    assert np.abs(stiffness * (search.positions - bottom)).max() < 0.5


def test_no_atom_moves_further_than_the_longest_step():
    search = Descent(np.zeros((3, 3)))
    force = np.full((3, 3), 1e6)
    for _ in range(5):
        before = search.positions
        assert search.step(force)
        moved = np.linalg.norm(search.positions - before, axis=1)
        assert moved.max() <= LONGEST + 1e-12
        force = -force


def test_without_forces_it_stays():
    start = np.ones((2, 3))
    search = Descent(start)
    assert not search.step(np.zeros((2, 3)))
    assert np.array_equal(search.positions, start)
