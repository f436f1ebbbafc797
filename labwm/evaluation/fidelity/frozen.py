"""A Gaussian process on a pool whose hyperparameters stay: a row costs one update.

The covariance of the whole pool is known before a campaign, so that learning one value
more costs `N t` operations and every candidate's marginal is at hand.
Shapes: `N` rows of the pool, `t` rows measured.
"""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.linalg import solve_triangular

from labwm.schema import Protocol
from labwm.space.questions import Observations, Questions
from labwm.world_model import GaussianProcessModel, Surrogate, fit
from labwm.world_model.linear_algebra import cholesky

Floats = NDArray[np.float64]

RECIPE = "explore"
"""The recipe of policies, as in campaigns."""


@dataclass(frozen=True)
class FrozenKernel:
    """What a policy takes for granted of a pool before it has measured anything.

    Attributes:
        covariance: Of the pool's latent values, `N x N`, in units of the variance of
            what a campaign has measured; the unknown mean is part of it.
        noise: Variance of measuring once, in the same units.
    """

    covariance: Floats = field(repr=False)
    noise: float

    @cached_property
    def factor(self) -> Floats:
        """Lower Cholesky factor of the covariance, `N x N`."""
        return cholesky(torch.from_numpy(self.covariance)).numpy()


def frozen_kernel(
    log: Observations, protocol: Protocol, pool: Questions, *, seed: int
) -> FrozenKernel:
    """Learn a policy's hyperparameters from a log, once.

    Raises:
        NotEnoughDataError: If the log holds too few numbers.
    """
    model = fit(log, protocol, recipe=RECIPE, seed=seed, pool=pool)
    own = surrogate_of(model)
    inputs = own.encode(pool)
    covariance = own.kernel.matrix(inputs, inputs).numpy()
    return FrozenKernel(0.5 * (covariance + covariance.T), own.noise_variance)


def surrogate_of(model: GaussianProcessModel) -> Surrogate:
    """Return the exact posterior of a model's one readout."""
    (own,) = model.surrogates
    assert isinstance(own, Surrogate)  # logs are smaller than what `full_scale` is for
    return own


class Campaign:
    """What one campaign knows of a pool; values are in the readout's unit."""

    def __init__(self, kernel: FrozenKernel, budget: int) -> None:
        """Begin with nothing measured; at most `budget` values can be told."""
        n = len(kernel.covariance)
        self._kernel = kernel
        self._half = np.empty((budget, n))
        self._factor = np.zeros((budget, budget))
        self._values, self._ones = np.empty(budget), np.empty(budget)
        self._variance = kernel.covariance.diagonal().copy()
        self.rows: list[int] = []
        self.measured: list[float] = []

    def tell(self, row: int, value: float) -> None:
        """Learn one value; costs `N t`."""
        t, kernel = len(self.rows), self._kernel
        low = self._half[:t, row].copy()
        pivot = float(np.sqrt(kernel.covariance[row, row] + kernel.noise - low @ low))
        self._half[t] = (kernel.covariance[row] - low @ self._half[:t]) / pivot
        self._factor[t, :t], self._factor[t, t] = low, pivot
        self._values[t] = (value - low @ self._values[:t]) / pivot
        self._ones[t] = (1.0 - low @ self._ones[:t]) / pivot
        self._variance -= self._half[t] ** 2
        self.rows.append(row)
        self.measured.append(value)

    @property
    def units(self) -> tuple[float, float]:
        """Location and scale of what was measured, as the default model's fit has."""
        values = np.array(self.measured)
        scale = float(values.std(ddof=1)) if len(values) > 1 else 0.0
        location = float(values.mean())
        if scale <= 1e-12 * abs(location) or scale == 0.0:
            scale = abs(location) or 1.0
        return location, scale

    def mean_and_sd(self) -> tuple[Floats, Floats]:
        """Return mean and standard deviation of the latent values, length `N` each."""
        location, scale = self.units
        t = len(self.rows)
        z = (self._values[:t] - location * self._ones[:t]) / scale
        mean = location + scale * (z @ self._half[:t])
        return mean, scale * np.sqrt(np.maximum(self._variance, 1e-12))

    def drawn(self, prior: Floats, noise: Floats) -> Floats:
        """Return one function drawn from the posterior, length `N` (Matheron's rule).

        Args:
            prior: A function drawn from the prior, length `N`, in the kernel's units.
            noise: Standard normals of the measured rows, length `t`.
        """
        location, scale = self.units
        t = len(self.rows)
        simulated = prior[self.rows] + np.sqrt(self._kernel.noise) * noise
        missing = (np.array(self.measured) - location) / scale - simulated
        half = solve_triangular(
            self._factor[:t, :t], missing, lower=True, check_finite=False
        )
        return location + scale * (prior + half @ self._half[:t])
