"""A mean from few measurements and many predictions, with an interval that holds.

The population is finite: so many experiments that a policy chose, of which some were
measured. Shapes: `n` measured, `N` in all.

Reference:
    Angelopoulos, Duchi & Zrnic, PPI++, arXiv 2311.01453 (2023), for the weight;
    Cochran, Sampling Techniques, 3rd ed. 1977, ch. 7, for the regression estimator of
    a finite population, which it is here.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student_t

from labwm.errors import NotEnoughDataError

Floats = NDArray[np.float64]

LEVEL = 0.9
MIN_MEASURED = 4


@dataclass(frozen=True)
class Estimate:
    """A value with its central interval.

    Attributes:
        value: Most likely.
        low: Lower end; minus infinity where nothing can be said.
        high: Upper end.
        is_vacuous: Is the interval no more than a guess?
    """

    value: float
    low: float
    high: float
    is_vacuous: bool = False

    @property
    def width(self) -> float:
        """Length of the interval."""
        return self.high - self.low

    def covers(self, truth: float) -> bool:
        """Does the interval hold the truth?"""
        return self.low <= truth <= self.high


def real_only(measured: Floats, n_all: int) -> Estimate:
    """Return the mean of what was measured, as the estimate of the mean of all.

    Raises:
        NotEnoughDataError: If fewer than `MIN_MEASURED` were.
    """
    _require(len(measured))
    return _estimate(float(measured.mean()), measured, n_all, len(measured) - 1)


def prediction_powered(measured: Floats, said: Floats, said_all: Floats) -> Estimate:
    """Return the mean of predictions over all, corrected where it was measured.

    Predictions count with the weight that makes the interval shortest: useless ones get
    the weight 0, and the estimate is that of `real_only`.

    Args:
        measured: Outcomes of a random part of the experiments, length `n`.
        said: Predictions of that part, length `n`.
        said_all: Predictions of all experiments, the part included, length `N`.

    Raises:
        NotEnoughDataError: If fewer than `MIN_MEASURED` were measured.
    """
    _require(len(measured))
    weight = _weight(measured, said)
    rest = measured - weight * said
    value = float(weight * said_all.mean() + rest.mean())
    # The weight is learnt from the same values: it costs one degree of freedom more.
    return _estimate(value, rest, len(said_all), len(measured) - 2)


def _weight(measured: Floats, said: Floats) -> float:
    spread = float(np.sum((said - said.mean()) ** 2))
    if spread <= 0.0:
        return 0.0
    together = np.sum((said - said.mean()) * (measured - measured.mean()))
    return max(float(together / spread), 0.0)


def _estimate(value: float, rest: Floats, n_all: int, freedom: int) -> Estimate:
    n = len(rest)
    variance = float(np.sum((rest - rest.mean()) ** 2)) / freedom
    missing = max(1.0 - n / n_all, 0.0)
    half = float(student_t.isf((1 - LEVEL) / 2, freedom)) * np.sqrt(
        missing * variance / n
    )
    return Estimate(value, value - half, value + half)


def _require(n: int) -> None:
    if n < MIN_MEASURED:
        raise NotEnoughDataError(
            f"An interval for a mean needs at least {MIN_MEASURED} measurements; got "
            f"{n}. Measure more."
        )
