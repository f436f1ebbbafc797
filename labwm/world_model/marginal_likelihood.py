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

from labwm.world_model.inputs import Inputs
from labwm.world_model.kernel import Kernel, comparisons
from labwm.world_model.linear_algebra import cholesky
from labwm.world_model.structure import Structure

MAX_ITERATIONS: Final = 100
NOISE_FLOOR: Final = 1e-6
"""Smallest noise variance, in the readout's variance."""
NOISE_CENTRE: Final = -4.0
NOISE_SPREAD: Final = {"wide": 2.0, "chen": 1.0}
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


class _NegativeLogEvidence(torch.autograd.Function):
    """Zero-mean Gaussian; the gradient reuses the factor instead of retracing it."""

    @staticmethod
    def forward(
        ctx: torch.autograd.function.FunctionCtx, covariance: Tensor, y: Tensor
    ) -> Tensor:
        factor = cholesky(covariance)
        alpha = torch.cholesky_solve(y[:, None], factor)
        ctx.save_for_backward(factor, alpha)
        return 0.5 * (y @ alpha[:, 0] + len(y) * math.log(2 * math.pi)) + (
            factor.diagonal().log().sum()
        )

    @staticmethod
    def backward(
        ctx: torch.autograd.function.BackwardCFunction, *grad_outputs: Tensor
    ) -> tuple[Tensor, None]:
        factor, alpha = ctx.saved_tensors  # pyright: ignore[reportAssignmentType]
        gradient = torch.cholesky_inverse(factor) - alpha @ alpha.T
        return 0.5 * grad_outputs[0] * gradient, None


def kernel_at(theta: Tensor, structure: Structure, groups: Tensor) -> Kernel:
    """Return the kernel that a vector of logarithms stands for."""
    terms = structure.terms
    g, t = _n_groups(groups), len(terms)
    widths = torch.ones(t, dtype=torch.float64)
    smooth = [i for i, term in enumerate(terms) if term.kind == "matern"]
    if smooth:
        own = theta[g + t : g + t + len(smooth)].exp()
        widths = torch.cat(
            [own[smooth.index(i)][None] if i in smooth else widths[i][None]
             for i in range(t)]
        )  # fmt: skip
    return Kernel(terms, groups, theta[:g].exp(), theta[g : g + t].exp(), widths)


def _n_groups(groups: Tensor) -> int:
    return int(groups.max()) + 1 if len(groups) else 0


def _n_widths(structure: Structure) -> int:
    return sum(term.kind == "matern" for term in structure.terms)


@dataclass(frozen=True)
class _Prior:
    """Log density of `theta` up to a constant, with its centre."""

    structure: Structure
    n_groups: int

    @property
    def _chen(self) -> float:
        # Chen et al., ChemRxiv 10.26434/chemrxiv.10001986, as BayBE's preset has it.
        return 0.4 * math.sqrt(max(self.n_groups, 1)) + 4.0

    @property
    def _centre(self) -> float:
        return math.log(0.5 * math.sqrt(max(self.n_groups, 1)))

    def start(self) -> Tensor:
        """Return a typical `theta`."""
        t = len(self.structure.terms)
        length, weight = self._centre, math.log(1.0 / t)
        if self.structure.prior == "chen":
            length, weight = math.log(self._chen), math.log(self._chen)
        parts = [length] * self.n_groups + [weight] * t
        parts += [math.log(1.5)] * _n_widths(self.structure) + [NOISE_CENTRE]
        return torch.tensor(parts, dtype=torch.float64)

    def penalty(self, theta: Tensor) -> Tensor:
        """Return the negative log density."""
        g, t = self.n_groups, len(self.structure.terms)
        length, weight, width = theta[:g], theta[g : g + t], theta[g + t : -1]
        noise = theta[-1]
        spread = NOISE_SPREAD[self.structure.prior]
        total = 0.5 * ((noise - NOISE_CENTRE) / spread) ** 2
        total = total + 0.5 * ((width - math.log(1.5)) ** 2).sum()
        if self.structure.prior == "chen":
            return (
                total
                - ((2 * self._chen - 1) * length - 2 * length.exp()).sum()
                - ((self._chen - 1) * weight - weight.exp()).sum()
            )
        total = total + 0.5 * ((length - self._centre) ** 2).sum()
        return total + 0.5 * ((weight + math.log(t)) ** 2).sum() / 1.5**2


def maximise_evidence(
    evidence: Evidence,
    structure: Structure,
    groups: Tensor,
    *,
    start: Tensor | None = None,
) -> Hyperparameters:
    """Choose lengthscales, weights and noise; costs about 60 factorisations.

    Args:
        evidence: Standardised data; keep it to a thousand rows.
        structure: Says which terms and priors there are.
        groups: Lengthscale of each dense column.
        start: `theta` of an earlier fit with the same structure.
    """
    prior = _Prior(structure, _n_groups(groups))
    compared = comparisons(structure.terms, evidence.inputs, evidence.inputs)
    fixed = evidence.noise_variance

    def objective(vector: np.ndarray) -> tuple[float, np.ndarray]:
        theta = torch.tensor(vector, requires_grad=True)
        kernel = kernel_at(theta, structure, groups)
        loss = _negative_log_evidence(kernel, theta[-1], evidence, compared)
        loss = loss + prior.penalty(theta)
        (gradient,) = torch.autograd.grad(loss, theta)
        if fixed is not None:
            gradient[-1] = 0.0
        return float(loss.detach()), gradient.numpy()

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


def _negative_log_evidence(
    kernel: Kernel,
    log_noise: Tensor,
    evidence: Evidence,
    compared: Sequence[Tensor | None],
) -> Tensor:
    noise = log_noise.exp()
    covariance = kernel.assemble(evidence.inputs, evidence.inputs, compared)
    covariance = covariance + torch.diag(noise / evidence.n_replicates)
    loss = _NegativeLogEvidence.apply(covariance, evidence.targets)
    scatter = evidence.n_scatter * log_noise + evidence.scatter / noise
    return loss + 0.5 * scatter  # pyright: ignore[reportReturnType, reportOperatorIssue]
