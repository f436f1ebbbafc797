"""What a process learns from the rows of one assay: targets and their noise.

Shapes: `n` rows.

A limit becomes the pseudo-measurement that moves the assay's own normal distribution to
what it is beyond the limit (one step of assumed-density filtering): its target lies
beyond the limit and its noise says how little it tells. A row without a value tells
nothing.

Reference:
    Minka, UAI 2001: moments of a truncated normal as a Gaussian site.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

Floats = NDArray[np.float64]

NOTHING: Final = 1e6
"""Noise variance of a row that tells nothing, in standard units."""
FEWEST: Final = 3
"""Numbers from which an assay's own mean and deviation are taken; of fewer, those of
all assays: zero and one."""
LEAST_SD: Final = 0.15
WEAKEST: Final = 0.01
"""Precision of a limit that tells next to nothing."""
FARTHEST: Final = 4.0
"""Deviations beyond the assay's mean that a target may lie."""


def targets_and_noise(
    values: Floats, limits: NDArray[np.int8]
) -> tuple[Floats, Floats]:
    """Return targets and extra noise variances, both length `n`, in standard units.

    Args:
        values: Standardised; NaN where there is none.
        limits: -1 where the outcome is at most the value, +1 at least, 0 a number.
    """
    is_known = ~np.isnan(values)
    is_number = is_known & (limits == 0)
    mean, sd = _own_normal(values[is_number])
    targets = np.where(is_known, values, mean)
    noise = np.where(is_known, 0.0, NOTHING)
    at = np.flatnonzero(is_known & (limits != 0))
    if len(at):
        targets[at], noise[at] = _sites(values[at], limits[at], mean, sd)
    return targets, noise


def _own_normal(numbers: Floats) -> tuple[float, float]:
    if len(numbers) < FEWEST:
        # The limits say too little of where the assay lies: that of all assays stands.
        return 0.0, 1.0
    return float(numbers.mean()), max(float(numbers.std()), LEAST_SD)


def _sites(
    limit: Floats, side: NDArray[np.int8], mean: float, sd: float
) -> tuple[Floats, Floats]:
    z = side * (mean - limit) / sd
    ratio = np.exp(norm.logpdf(z) - norm.logcdf(z))
    centre = mean + side * sd * ratio
    spread = sd**2 * np.maximum(1.0 - ratio * (z + ratio), 1e-3)
    precision = np.maximum(1.0 / spread - 1.0 / sd**2, WEAKEST)
    target = (centre / spread - mean / sd**2) / precision
    reach = FARTHEST * sd
    # A limit that the mean is far beyond already teaches nothing about where.
    return np.clip(target, mean - reach, mean + reach), 1.0 / precision
