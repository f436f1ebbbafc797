"""What choosing at random without replacement gives on average, in closed form.

Every figure here is exact for a table: no draw is made, except by
`hypervolume_by_drawing`, which states its standard error.
Shapes: `N` rows of the table, `k` objectives.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from labwm.world_model.hypervolume import hypervolume

Floats = NDArray[np.float64]


def expected_best(values: Floats, n_max: int) -> Floats:
    """Return E[largest of n values] for n = 1 … `n_max`, length `n_max`.

    Args:
        values: The table, length `N`, without NaN.
        n_max: At most `N`; beyond, the largest value is repeated.
    """
    ascending = np.sort(np.asarray(values, float))
    best = np.full(n_max, ascending[-1])
    for i, below in enumerate(probability_of_best(len(ascending), n_max)):
        best[i] = ascending @ np.diff(below, prepend=0.0)
    return best


def probability_of_best(n_rows: int, n_max: int) -> Iterator[Floats]:
    """Yield P(largest of n <= r-th smallest) over the ranks r, for n = 1, 2, …, `N`.

    It is C(r, n) / C(N, n); from n - 1 to n it grows by (r - n + 1) / (N - n + 1).
    """
    rank = np.arange(1, n_rows + 1, dtype=float)
    below = np.ones(n_rows)
    for n in range(1, min(n_max, n_rows) + 1):
        below = below * np.maximum(rank - n + 1, 0.0) / (n_rows - n + 1)
        yield below


def expected_experiments_to(n_hits: int, n_rows: int) -> float:
    """Return the mean number of experiments until the first of `n_hits` is met."""
    return (n_rows + 1) / (n_hits + 1)


def expected_hypervolume(points: Floats, reference: Floats, n_max: int) -> Floats:
    """Return E[hypervolume of n of the points] for n = 1 … `n_max`; two objectives.

    A cell of the plane counts unless none of the n points dominates it; with c points
    that do, this has the probability C(N - c, n) / C(N, n). So the area by c is all
    that is needed; cost grows as `N**2`.

    Args:
        points: `N x 2`, larger is better, without NaN.
        reference: Length 2; area is counted from here.
        n_max: At most `N`; beyond, the whole table's hypervolume is repeated.
    """
    area = _area_by_dominators(np.maximum(points, reference) - reference)
    n_rows, counts = len(points), np.arange(len(points) + 1)
    out = np.empty(n_max)
    for n in range(1, n_max + 1):
        out[n - 1] = area @ (1.0 - _none_of(counts, n_rows, min(n, n_rows)))
    return out


def hypervolume_by_drawing(
    points: Floats, reference: Floats, n_max: int, *, n_draws: int, seed: int
) -> tuple[Floats, Floats]:
    """Return mean and standard error of the hypervolume of n random points.

    For three objectives and more, where no closed form is at hand.

    Args:
        points: `N x k`, larger is better, without NaN.
        reference: Length `k`.
        n_max: For n = 1 … `n_max`, at most `N`.
        n_draws: Independent orders of the table.
        seed: Of the orders.
    """
    drawn = drawn_hypervolumes(points, reference, n_max, n_draws=n_draws, seed=seed)
    return drawn.mean(axis=0), drawn.std(axis=0, ddof=1) / np.sqrt(n_draws)


def drawn_hypervolumes(
    points: Floats, reference: Floats, n_max: int, *, n_draws: int, seed: int
) -> Floats:
    """Return the hypervolume of the first n of random orders, `n_draws x n_max`."""
    rng = np.random.default_rng(seed)
    n_max = min(n_max, len(points))
    drawn = np.empty((n_draws, n_max))
    for d in range(n_draws):
        order = rng.permutation(len(points))[:n_max]
        for n in range(1, n_max + 1):
            drawn[d, n - 1] = hypervolume(points[order[:n]], reference)
    return drawn


def _area_by_dominators(points: Floats) -> Floats:
    """Return for c = 0 … N the area that exactly c of the points dominate."""
    by_x = points[np.argsort(points[:, 0])]
    widths = np.diff(by_x[:, 0], prepend=0.0)
    area = np.zeros(len(points) + 1)
    for i in np.flatnonzero(widths > 0):
        # In this column of the plane the points from i on reach as far to the right;
        # a height is dominated by as many of them as lie above it.
        heights = np.sort(by_x[i:, 1])
        above = np.arange(len(heights), 0, -1)
        area[above] += widths[i] * np.diff(heights, prepend=0.0)
    return area


def _none_of(counts: NDArray[np.int64], n_rows: int, n: int) -> Floats:
    """Return C(N - c, n) / C(N, n) for each c."""
    left = n_rows - counts
    possible = left >= n
    safe = np.where(possible, left, n)
    log_ratio = (
        gammaln(safe + 1)
        - gammaln(safe - n + 1)
        - gammaln(n_rows + 1)
        + gammaln(n_rows - n + 1)
    )
    return np.where(possible, np.exp(log_ratio), 0.0)
