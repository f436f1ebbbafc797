"""A mixture of Student-t distributions at each item: what a task prior predicts.

Shapes: `k` kinds of assays, `q` items.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp
from scipy.stats import t as student_t

from labwm.errors import InvalidInputError

Floats = NDArray[np.float64]

N_HALVINGS: Final = 60
REACH: Final = 1e4
"""Scales around the outermost location within which quantiles are sought."""


@dataclass(frozen=True)
class StudentMixture:
    """Predictive distributions, in the unit of the values.

    Attributes:
        weight: Probability of each kind, length `k`.
        location: `k x q`.
        scale: `k x q`, positive.
        dof: Degrees of freedom of each kind, length `k`.
    """

    weight: Floats
    location: Floats
    scale: Floats
    dof: Floats

    def __len__(self) -> int:
        return self.location.shape[1]

    @property
    def mean(self) -> Floats:
        """Weighted mean of the kinds' locations, length `q`."""
        return self.weight @ self.location

    @property
    def sd(self) -> Floats:
        """Standard deviation, length `q`; infinite where a kind has no variance."""
        with np.errstate(divide="ignore", invalid="ignore"):
            inflated = np.where(self.dof > 2, self.dof / (self.dof - 2), np.inf)
        within = self.weight @ (inflated[:, None] * self.scale**2)
        return np.sqrt(within + self.weight @ (self.location - self.mean) ** 2)

    def log_density(self, y: Floats) -> Floats:
        """Return the log density of one value at each item, length `q`."""
        each = student_t.logpdf(y, self.dof[:, None], self.location, self.scale)
        return np.asarray(logsumexp(each, axis=0, b=self.weight[:, None]))

    def cdf(self, y: Floats) -> Floats:
        """Return the probability of at most one value at each item, length `q`."""
        each = student_t.cdf(y, self.dof[:, None], self.location, self.scale)
        return self.weight @ each

    def log_probability(self, limit: Floats, side: Floats) -> Floats:
        """Return the log probability of at most (-1) or at least (+1) a limit."""
        lower = student_t.logcdf(limit, self.dof[:, None], self.location, self.scale)
        upper = student_t.logsf(limit, self.dof[:, None], self.location, self.scale)
        each = np.where(side < 0, lower, upper)
        return np.asarray(logsumexp(each, axis=0, b=self.weight[:, None]))

    def quantile(self, level: float) -> Floats:
        """Return the quantiles of one level, length `q`, by halving.

        Raises:
            InvalidInputError: If `level` is not strictly between 0 and 1.
        """
        if not 0 < level < 1:
            raise InvalidInputError(
                f"A level lies strictly between 0 and 1; got {level}. Write 0.9 for "
                "90 %."
            )
        reach = REACH * self.scale.max(axis=0)
        low, high = self.location.min(axis=0) - reach, self.location.max(axis=0) + reach
        for _ in range(N_HALVINGS):
            middle = 0.5 * (low + high)
            is_below = self.cdf(middle) < level
            low, high = (
                np.where(is_below, middle, low),
                np.where(is_below, high, middle),
            )
        return 0.5 * (low + high)
