"""Rows of which only a limit is known: `<5`, `>99`.

Each becomes a normal pseudo-measurement whose mean and variance make the posterior's
first two moments right (expectation propagation for the Tobit likelihood), given the
hyperparameters that the uncensored rows chose.

Shapes: `n` rows.

Reference:
    Minka, UAI 2001; Groot & Lucas, Gaussian Process Regression with Censored Data
    Using Expectation Propagation, PGM 2012.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import log_ndtr
from torch import Tensor

from labwm.world_model.linear_algebra import cholesky
from labwm.world_model.surrogate import Surrogate

Floats = NDArray[np.float64]

SWEEPS: Final = 30
DAMPING: Final = 0.7
TOLERANCE: Final = 1e-6
WEAKEST: Final = 1e-6
"""Smallest precision of a pseudo-measurement: a limit that tells nothing has it."""


def with_limits(surrogate: Surrogate, limit: NDArray[np.int64]) -> Surrogate:
    """Replace censored rows by pseudo-measurements.

    Args:
        surrogate: Holds the limits as targets.
        limit: 1 where the truth is above the target, -1 where below, 0 where known.
    """
    censored = torch.from_numpy(np.flatnonzero(limit))
    if not len(censored):
        return surrogate
    side = torch.from_numpy(limit)[censored].double()
    bound = surrogate.targets[censored].clone()
    matrix = surrogate.kernel.matrix(surrogate.inputs, surrogate.inputs)
    precision = torch.full_like(bound, WEAKEST)
    shift = precision * bound
    for _ in range(SWEEPS):
        current = _with_sites(surrogate, matrix, censored, (precision, shift))
        mean, variance = _cavity(current, matrix, censored, precision, shift)
        moments = _tilted(mean, variance, bound, side, surrogate.noise_variance)
        wanted = (1.0 / moments[1] - 1.0 / variance).clamp_min(WEAKEST)
        wanted_shift = moments[0] * (wanted + 1.0 / variance) - mean / variance
        change = (wanted - precision).abs().max() / (1.0 + wanted.max())
        precision = precision + DAMPING * (wanted - precision)
        shift = shift + DAMPING * (wanted_shift - shift)
        if change < TOLERANCE:
            break
    return _with_sites(surrogate, matrix, censored, (precision, shift))


def cavities(surrogate: Surrogate) -> tuple[Tensor, Tensor]:
    """Return mean and variance of the latent function at each row without that row.

    Every row of `surrogate` is a pseudo-measurement of `with_limits`.
    """
    matrix = surrogate.kernel.matrix(surrogate.inputs, surrogate.inputs)
    precision = 1.0 / surrogate.noise
    every = torch.arange(len(precision))
    return _cavity(surrogate, matrix, every, precision, surrogate.targets * precision)


def site(
    mean: Tensor, variance: Tensor, bound: Tensor, side: Tensor, noise: float
) -> tuple[Tensor, Tensor]:
    """Return target and noise variance that stand for a limit, given its forecast."""
    moments = _tilted(mean, variance, bound, side, noise)
    precision = (1.0 / moments[1] - 1.0 / variance).clamp_min(WEAKEST)
    shift = moments[0] * (precision + 1.0 / variance) - mean / variance
    return shift / precision, 1.0 / precision


def _with_sites(
    surrogate: Surrogate, matrix: Tensor, rows: Tensor, sites: tuple[Tensor, Tensor]
) -> Surrogate:
    precision, shift = sites
    targets, noise = surrogate.targets.clone(), surrogate.noise.clone()
    targets[rows], noise[rows] = shift / precision, 1.0 / precision
    factor = cholesky(matrix + torch.diag(noise))
    return replace(surrogate, targets=targets, noise=noise, factor=factor)


def _cavity(
    surrogate: Surrogate, matrix: Tensor, rows: Tensor, precision: Tensor, shift: Tensor
) -> tuple[Tensor, Tensor]:
    cross = matrix[:, rows]
    half = torch.linalg.solve_triangular(surrogate.factor, cross, upper=False)
    variance = surrogate.kernel.variance - (half * half).sum(0)
    mean = cross.T @ surrogate.weights
    without = (1.0 / variance.clamp_min(1e-10) - precision).clamp_min(1e-10)
    return (mean / variance.clamp_min(1e-10) - shift) / without, 1.0 / without


def _tilted(
    mean: Tensor, variance: Tensor, bound: Tensor, side: Tensor, noise: float
) -> tuple[Tensor, Tensor]:
    # Moments of N(f; mean, variance) * Phi(side * (f - bound) / sqrt(noise)).
    spread = (variance + noise).sqrt()
    z = side * (mean - bound) / spread
    ratio = _elementwise(
        z, lambda x: np.exp(-0.5 * x**2 - log_ndtr(x)) / np.sqrt(2 * np.pi)
    )
    tilted_mean = mean + side * variance * ratio / spread
    shrink = variance**2 * ratio * (z + ratio) / spread**2
    return tilted_mean, (variance - shrink).clamp_min(1e-12)


def _elementwise(x: Tensor, function: Callable[[Floats], Floats]) -> Tensor:
    return torch.from_numpy(np.asarray(function(x.numpy())))
