"""Negative log evidence of hyperparameters, with its gradient.

Shapes: `n` rows, `g` lengthscales, `t` terms.

Reference:
    Rasmussen & Williams, Gaussian Processes for Machine Learning, 2006, eq. 5.8, 5.9.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from labwm.world_model.hyper_prior import n_groups_of, smooth_terms
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


@dataclass(frozen=True)
class Blocks:
    """What terms compare and no hyperparameter changes.

    Attributes:
        alike: Similarities of the MinMax terms, one after another, `a x n x n`.
        apart: Squared distances of the Matérn terms, `n x n` each.
    """

    alike: Tensor
    apart: tuple[Tensor, ...]

    def take(self, rows: Tensor) -> "Blocks":
        """Keep some of the rows."""
        some = (slice(None), rows[:, None], rows[None, :])
        return Blocks(self.alike[some], tuple(b[some[1:]] for b in self.apart))


def blocks_of(structure: Structure, inputs: Inputs) -> Blocks:
    """Compare rows with each other."""
    alike, apart = [], []
    for term, block in zip(
        structure.terms, comparisons(structure.terms, inputs, inputs), strict=True
    ):
        if block is not None:
            (alike if term.kind == "minmax" else apart).append(block)
    n = len(inputs)
    none = torch.empty(0, n, n, dtype=torch.float64)
    return Blocks(torch.stack(alike) if alike else none, tuple(apart))


class EvidenceLoss:
    """Negative log evidence and its gradient by `theta`, with what stays kept."""

    def __init__(
        self,
        evidence: Evidence,
        structure: Structure,
        groups: Tensor,
        compared: Blocks | None = None,
    ):
        self.evidence, self.structure, self.groups = evidence, structure, groups
        self.compared = compared or blocks_of(structure, evidence.inputs)

    def take(self, rows: Tensor) -> "EvidenceLoss":
        """Return the loss of some of the rows; nothing is compared again."""
        return EvidenceLoss(
            self.evidence.take(rows),
            self.structure,
            self.groups,
            self.compared.take(rows),
        )

    def covariance(self, theta: Tensor) -> Tensor:
        """Return the prior covariance of the rows, `n x n`."""
        return _Parts(self, kernel_at(theta, self.structure, self.groups)).covariance()

    def __call__(self, theta: Tensor) -> tuple[float, Tensor]:
        """Return the loss at a vector of logarithms, and its gradient."""
        evidence = self.evidence
        parts = _Parts(self, kernel_at(theta, self.structure, self.groups))
        noise = theta[-1].exp()
        matrix = parts.covariance()
        matrix.diagonal().add_(noise / evidence.n_replicates)
        factor = cholesky(matrix)
        y = evidence.targets
        # Symmetric: transposed, its rows are contiguous.
        slope = torch.cholesky_inverse(factor).T
        alpha = torch.cholesky_solve(y[:, None], factor)[:, 0]
        scatter = evidence.n_scatter * theta[-1] + evidence.scatter / noise
        constant = 0.5 * len(y) * math.log(2 * math.pi)
        value = 0.5 * (y @ alpha + scatter) + factor.diagonal().log().sum()
        # Rasmussen & Williams, eq. 5.9: dL/dK.
        slope.addr_(alpha, alpha, alpha=-1.0).mul_(0.5)
        by_noise = noise * (slope.diagonal() / evidence.n_replicates).sum() + 0.5 * (
            evidence.n_scatter - evidence.scatter / noise
        )
        gradient = torch.cat([parts.gradient(slope), by_noise[None]])
        return float(value) + constant, gradient


class _Parts:
    """Pieces of a kernel matrix of `n` rows, kept for its gradient."""

    def __init__(self, loss: EvidenceLoss, kernel: Kernel):
        self.kernel, self.compared = kernel, loss.compared
        self.scaled = kernel.scaled(loss.evidence.inputs)
        kinds = [term.kind for term in kernel.terms]
        self.minmax = [i for i, kind in enumerate(kinds) if kind == "minmax"]
        self.matern = [i for i, kind in enumerate(kinds) if kind == "matern"]
        self.constant = [i for i, kind in enumerate(kinds) if kind == "constant"]
        n = len(loss.evidence.targets)
        flat = self.compared.alike.view(len(self.minmax), n * n)
        # One product reads every similarity once.
        total = torch.mv(flat.T, kernel.weights[self.minmax]).view(n, n)
        self.flat, self.smooth = flat, []
        for i, block in zip(self.matern, self.compared.apart, strict=True):
            squared = block / kernel.widths[i] ** 2
            value, slope = matern52_and_slope(squared)
            total.add_(value, alpha=float(kernel.weights[i]))
            # By the logarithm of the width.
            self.smooth.append((value, slope.mul_(squared).mul_(-2.0)))
        if self.constant:
            total.add_(kernel.weights[self.constant].sum())
        self.total, self.dense = total, None
        if self.scaled.shape[1]:
            squared = squared_distance(self.scaled, self.scaled)
            self.dense = matern52_and_slope(squared)

    def covariance(self) -> Tensor:
        """Return the prior covariance, `n x n`."""
        if self.dense is None:
            return self.total + MEAN_VARIANCE
        return (self.total * self.dense[0]).add_(MEAN_VARIANCE)

    def gradient(self, slope: Tensor) -> Tensor:
        """Return the gradient by log lengthscales, weights and widths, one vector.

        Args:
            slope: Of the loss by each entry of the covariance, `n x n`.
        """
        kernel = self.kernel
        by_term = slope if self.dense is None else slope * self.dense[0]
        flat = by_term.view(-1)
        by_weight = torch.zeros_like(kernel.weights)
        by_weight[self.minmax] = self.flat @ flat
        by_weight[self.constant] = flat.sum()
        by_width = torch.zeros(len(self.matern), dtype=torch.float64)
        for k, (i, (value, own)) in enumerate(
            zip(self.matern, self.smooth, strict=True)
        ):
            by_weight[i] = value.view(-1) @ flat
            by_width[k] = kernel.weights[i] * (own.view(-1) @ flat)
        by_length = self._by_length(slope)
        return torch.cat([by_length, kernel.weights * by_weight, by_width])

    def _by_length(self, slope: Tensor) -> Tensor:
        by_length = torch.zeros(n_groups_of(self.kernel.groups), dtype=torch.float64)
        if self.dense is None:
            return by_length
        # The sum of H_ij (x_i - x_j)^2 is 2 (sum_i h_i x_i^2 - x H x), by column.
        h = slope * self.total * self.dense[1]
        x = self.scaled
        columns = (h.sum(1)[:, None] * x * x).sum(0) - (x * (h @ x)).sum(0)
        return by_length.index_add_(0, self.kernel.groups, -4.0 * columns)
