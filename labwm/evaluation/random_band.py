"""Where random search would lie, beside where it would lie on average.

Shapes: `N` rows of a table, `k` objectives, `t` experiments.
"""

import numpy as np
from numpy.typing import NDArray

from labwm.evaluation.random_expectation import drawn_hypervolumes, probability_of_best

Floats = NDArray[np.float64]

N_DRAWS = 200


def best_band(values: Floats, n_max: int, *, level: float) -> tuple[Floats, Floats]:
    """Return the central range of the largest of n = 1 … `n_max` values, exactly.

    Beyond the number of values, the largest is repeated.
    """
    ascending = np.sort(values)
    ends = np.full((2, n_max), ascending[-1])
    tails = np.array([(1 - level) / 2, (1 + level) / 2])
    for i, below in enumerate(probability_of_best(len(ascending), n_max)):
        at = np.searchsorted(below, tails * (1 - 1e-12))
        ends[:, i] = ascending[np.minimum(at, len(ascending) - 1)]
    return ends[0], ends[1]


def hypervolume_band(
    points: Floats, reference: Floats, n_max: int, *, level: float, seed: int = 0
) -> tuple[Floats, Floats]:
    """Return the central range of the hypervolume of random points, by drawing."""
    reached = drawn_hypervolumes(points, reference, n_max, n_draws=N_DRAWS, seed=seed)
    low, high = np.quantile(reached, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return low, high
