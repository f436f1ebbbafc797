"""Where random search would lie, beside where it would lie on average.

Shapes: `N` rows of a table, `k` objectives, `t` experiments.
"""

import numpy as np
from numpy.typing import NDArray

from labwm.evaluation.hypervolume import hypervolume

Floats = NDArray[np.float64]

N_DRAWS = 200


def best_band(values: Floats, n_max: int, *, level: float) -> tuple[Floats, Floats]:
    """Return the central range of the largest of n = 1 … `n_max` values, exactly.

    From P(largest of n <= v_r) = C(r, n) / C(N, n) for values in ascending order.
    """
    ascending = np.sort(values)
    n_rows = len(ascending)
    rank = np.arange(1, n_rows + 1, dtype=float)
    below = np.ones(n_rows)
    ends = np.empty((2, n_max))
    tails = np.array([(1 - level) / 2, (1 + level) / 2])
    for n in range(1, n_max + 1):
        if n <= n_rows:
            below = below * np.maximum(rank - n + 1, 0.0) / (n_rows - n + 1)
        at = np.searchsorted(below, tails * (1 - 1e-12))
        ends[:, n - 1] = ascending[np.minimum(at, n_rows - 1)]
    return ends[0], ends[1]


def hypervolume_band(
    points: Floats, reference: Floats, n_max: int, *, level: float, seed: int = 0
) -> tuple[Floats, Floats]:
    """Return the central range of the hypervolume of random points, by drawing."""
    rng = np.random.default_rng(seed)
    reached = np.empty((N_DRAWS, n_max))
    for d in range(N_DRAWS):
        drawn = points[rng.permutation(len(points))[:n_max]]
        for n in range(1, n_max + 1):
            reached[d, n - 1] = hypervolume(drawn[:n], reference)
    low, high = np.quantile(reached, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return low, high
