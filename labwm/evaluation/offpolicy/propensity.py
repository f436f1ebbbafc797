"""How likely a behaviour was to choose each row: estimated, for nobody wrote it down.

The chance of a row is the product of its levels' shares among what was chosen: it
knows what a behaviour prefers, not which combinations.
Shapes: `N` rows of a pool, `n` chosen.
"""

import numpy as np
from numpy.typing import NDArray

from labwm.space.questions import Questions

Floats = NDArray[np.float64]

BINS = 5
"""Parts that a number of more than twice as many levels is cut into."""
PRIOR = 1.0
"""Experiments that are thought to have been spread evenly over the levels."""
LEAST_OVERLAP = 10.0
"""Effective experiments below which a weighted mean says nothing."""


def propensities(pool: Questions, chosen: NDArray[np.int64]) -> Floats:
    """Return the chance of each row of the pool, `N`; they add up to one."""
    log_chance = np.zeros(len(pool))
    for column in pool.columns.values():
        level, n_levels = _levels(column)
        counts = np.bincount(level[chosen], minlength=n_levels)
        even = np.bincount(level, minlength=n_levels) / len(pool)
        share = (counts + PRIOR * even) / (len(chosen) + PRIOR)
        # As a ratio to an even choice, so that a level of many rows counts once.
        log_chance += np.log(share[level] / even[level])
    chance = np.exp(log_chance - log_chance.max())
    return chance / chance.sum()


def effective_number(weights: Floats) -> float:
    """Return how many equally weighted experiments weigh as much (Kish)."""
    squares = float(np.sum(weights**2))
    return float(np.sum(weights)) ** 2 / squares if squares > 0 else 0.0


def _levels(column: NDArray[np.float64] | NDArray[np.object_]) -> tuple[
    NDArray[np.int64], int
]:  # fmt: skip
    if column.dtype == object:
        levels, which = np.unique(column.astype(str), return_inverse=True)
        return which, len(levels)
    numbers = column.astype(float)
    filled = np.where(np.isnan(numbers), np.nanmin(numbers) - 1.0, numbers)
    levels, which = np.unique(filled, return_inverse=True)
    if len(levels) <= 2 * BINS:
        return which, len(levels)
    edges = np.quantile(filled, np.arange(1, BINS) / BINS)
    return np.searchsorted(edges, filled), BINS
