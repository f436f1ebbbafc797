"""Hyperparameters by maximum penalised marginal likelihood.

Shapes: `n` rows, `g` lengthscales, `t` terms.

Reference:
    Rasmussen & Williams, Gaussian Processes for Machine Learning, 2006, eq. 5.8, 5.9.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from scipy.optimize import minimize
from torch import Tensor

from labwm.world_model.hyper_prior import HyperPrior, n_groups_of, smooth_terms
from labwm.world_model.inputs import Inputs
from labwm.world_model.kernel import (
    MEAN_VARIANCE,
    Kernel,
    comparisons,
    matern52_and_slope,
    squared_distance,
)
from labwm.world_model.linear_algebra import cholesky
from labwm.world_model.structure import Structure

MAX_ITERATIONS: Final = 100
NOISE_FLOOR: Final = 1e-6
"""Smallest noise variance, in the readout's variance."""
LOG_BOUND: Final = 7.0
"""Lengthscales and weights stay within `exp(±LOG_BOUND)`."""


@dataclass(frozen=True)
class Hyperparameters:
    """What the marginal likelihood chose.

    Attributes:
        kernel: With its lengthscales and weights.
        noise_variance: Of one measurement, in the readout's variance.
        theta: The same as one vector of logarithms, to start another fit from.
    """

    kernel: Kernel
    noise_variance: float
    theta: Tensor


@dataclass(frozen=True)
class Evidence:
    """Standardised data of the likelihood.

    Attributes:
        inputs: `n` rows.
        targets: Means of replicates, length `n`.
        n_replicates: Length `n`.
        scatter: Sum of squares of replicates around their means.
        n_scatter: Its degrees of freedom.
        noise_variance: Where it is declared; otherwise it is learnt.
    """

    inputs: Inputs
    targets: Tensor
    n_replicates: Tensor
    scatter: float
    n_scatter: int
    noise_variance: float | None = None

    def take(self, rows: Tensor) -> "Evidence":
        """Keep some of the rows and all of the scatter."""
        return Evidence(
            self.inputs.take(rows),
            self.targets[rows],
            self.n_replicates[rows],
            self.scatter,
            self.n_scatter,
            self.noise_variance,
        )


def kernel_at(theta: Tensor, structure: Structure, groups: Tensor) -> Kernel:
    """Return the kernel that a vector of logarithms stands for."""
    terms = structure.terms
    g, t = n_groups_of(groups), len(terms)
    widths = torch.ones(t, dtype=torch.float64)
    widths[smooth_terms(structure)] = theta[g + t : -1].exp()
    return Kernel(terms, groups, theta[:g].exp(), theta[g : g + t].exp(), widths)


def maximise_evidence(
    evidence: Evidence,
    structure: Structure,
    groups: Tensor,
    *,
    start: Tensor | None = None,
) -> Hyperparameters:
    """Choose lengthscales, weights and noise; costs about 30 factorisations.

    Args:
        evidence: Standardised data; keep it to a thousand rows.
        structure: Says which terms and priors there are.
        groups: Lengthscale of each dense column.
        start: `theta` of an earlier fit with the same structure.
    """
    prior = HyperPrior(structure, n_groups_of(groups))
    loss = EvidenceLoss(evidence, structure, groups)
    fixed = evidence.noise_variance

    def objective(vector: np.ndarray) -> tuple[float, np.ndarray]:
        theta = torch.from_numpy(vector)
        value, gradient = loss(theta)
        penalty, slope = prior.penalty(theta)
        gradient = gradient + slope
        if fixed is not None:
            gradient[-1] = 0.0
        return value + penalty, gradient.numpy()

    first = prior.start() if start is None else start.clone()
    if fixed is not None:
        first[-1] = math.log(max(fixed, 1e-8))
    bounds = [(-LOG_BOUND, LOG_BOUND)] * (len(first) - 1)
    last = float(first[-1])
    free = (math.log(NOISE_FLOOR), math.log(10.0))
    bounds.append(free if fixed is None else (last, last))
    result = minimize(
        objective,
        first.numpy(),
        jac=True,
        method="L-BFGS-B",
        bounds=bounds,
        options={"maxiter": MAX_ITERATIONS, "ftol": 1e-7, "gtol": 1e-4},
    )
    theta = torch.from_numpy(result.x)
    return Hyperparameters(
        kernel_at(theta, structure, groups), float(theta[-1].exp()), theta
    )


class EvidenceLoss:
    """Negative log evidence and its gradient by `theta`, with what stays kept."""

    def __init__(self, evidence: Evidence, structure: Structure, groups: Tensor):
        self.evidence, self.structure, self.groups = evidence, structure, groups
        self.compared = comparisons(structure.terms, evidence.inputs, evidence.inputs)
        self.n_groups = n_groups_of(groups)

    def __call__(self, theta: Tensor) -> tuple[float, Tensor]:
        """Return the loss at a vector of logarithms, and its gradient."""
        evidence = self.evidence
        kernel = kernel_at(theta, self.structure, self.groups)
        noise = theta[-1].exp()
        parts = _Parts(kernel, evidence.inputs, self.compared)
        factor = cholesky(parts.covariance + torch.diag(noise / evidence.n_replicates))
        y = evidence.targets
        alpha = torch.cholesky_solve(y[:, None], factor)
        scatter = evidence.n_scatter * theta[-1] + evidence.scatter / noise
        constant = 0.5 * len(y) * math.log(2 * math.pi)
        value = 0.5 * (y @ alpha[:, 0] + scatter) + factor.diagonal().log().sum()
        # Rasmussen & Williams, eq. 5.9: dL/dK.
        slope = 0.5 * (torch.cholesky_inverse(factor) - alpha @ alpha.T)
        by_noise = noise * (slope.diagonal() / evidence.n_replicates).sum() + 0.5 * (
            evidence.n_scatter - evidence.scatter / noise
        )
        lengths, weights, widths = parts.gradient(slope, self.n_groups)
        own = widths[smooth_terms(self.structure)]
        gradient = torch.cat([lengths, weights, own, by_noise[None]])
        return float(value) + constant, gradient


class _Parts:
    """Pieces of a kernel matrix of `n` rows, kept for its gradient."""

    def __init__(
        self, kernel: Kernel, inputs: Inputs, compared: Sequence[Tensor | None]
    ):
        n = len(inputs)
        self.kernel, self.compared = kernel, compared
        self.scaled = kernel.scaled(inputs)
        self.dense = torch.ones(1, 1, dtype=torch.float64)
        self.dense_slope = torch.zeros(1, 1, dtype=torch.float64)
        if self.scaled.shape[1]:
            squared = squared_distance(self.scaled, self.scaled)
            self.dense, self.dense_slope = matern52_and_slope(squared)
        self.terms, self.slopes = [], []
        for i, (term, block) in enumerate(zip(kernel.terms, compared, strict=True)):
            value, slope = torch.ones(1, 1, dtype=torch.float64), None
            if term.kind == "minmax" and block is not None:
                value = block
            elif term.kind == "matern" and block is not None:
                squared = block / kernel.widths[i] ** 2
                value, slope = matern52_and_slope(squared)
                slope = -2.0 * slope * squared
            self.terms.append(value)
            self.slopes.append(slope)
        self.total = torch.zeros(1, 1, dtype=torch.float64)
        for weight, value in zip(kernel.weights, self.terms, strict=True):
            self.total = self.total + weight * value
        self.covariance = (self.total * self.dense + MEAN_VARIANCE).expand(n, n)

    def gradient(self, slope: Tensor, n_groups: int) -> tuple[Tensor, Tensor, Tensor]:
        """Return the gradient by log lengthscales, weights and widths.

        Args:
            slope: Of the loss by each entry of the covariance, `n x n`.
            n_groups: Number of lengthscales.
        """
        weights = self.kernel.weights
        by_term = slope * self.dense
        by_weight = torch.stack([(by_term * value).sum() for value in self.terms])
        by_width = torch.stack(
            [
                torch.zeros((), dtype=torch.float64)
                if own is None
                else (by_term * own).sum()
                for own in self.slopes
            ]
        )
        by_length = torch.zeros(n_groups, dtype=torch.float64)
        if self.scaled.shape[1]:
            # The sum of H_ij (x_i - x_j)^2 is 2 (sum_i h_i x_i^2 - x H x), by column.
            h = slope * self.total * self.dense_slope
            x = self.scaled
            columns = (h.sum(1)[:, None] * x * x).sum(0) - (x * (h @ x)).sum(0)
            by_length.index_add_(0, self.kernel.groups, -4.0 * columns)
        return by_length, weights * by_weight, weights * by_width
