"""Means with percentile bootstrap intervals over seeds."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

LEVEL = 0.95
N_RESAMPLES = 2000


def mean_interval(values: Floats, *, seed: int = 0) -> tuple[float, float, float]:
    """Return the mean and its 95 % percentile bootstrap interval.

    NaN values are left out; with none left all three are NaN, with one value the
    interval is NaN: one seed says nothing about the spread.

    Args:
        values: One per seed.
        seed: Of the resampling.
    """
    values = np.asarray(values, float)
    values = values[~np.isnan(values)]
    if len(values) == 0:
        return np.nan, np.nan, np.nan
    mean = float(values.mean())
    if len(values) == 1:
        return mean, np.nan, np.nan
    rng = np.random.default_rng(seed)
    drawn = rng.integers(len(values), size=(N_RESAMPLES, len(values)))
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(values[drawn].mean(axis=1), [tail, 1 - tail])
    return mean, float(low), float(high)
