"""Hyperparameters by maximum penalised marginal likelihood.

Many rows are searched twice: from the prior's centre on a few of them, where a step
costs little, and then with the curvature found there on all of them, where a few
steps are left. Shapes: `n` rows, `p` hyperparameters.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, cast

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import Bounds, LbfgsInvHessProduct, minimize
from torch import Tensor

from labwm.world_model.evidence_loss import Evidence, EvidenceLoss, kernel_at
from labwm.world_model.hyper_prior import HyperPrior, n_groups_of
from labwm.world_model.kernel import Kernel
from labwm.world_model.structure import Structure

Floats = NDArray[np.float64]
Objective = Callable[[Floats], tuple[float, Floats]]

MAX_ITERATIONS: Final = 100
FEW_ROWS: Final = 250
"""So many rows tell roughly where the likelihood is largest."""
MAX_STEPS: Final = 8
REACH: Final = 0.7
"""Largest step of a logarithm: further away the curvature is another."""
SETTLED: Final = 0.05
"""Nats that another step must promise: fewer change no prediction."""
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


def maximise_evidence(
    evidence: Evidence,
    structure: Structure,
    groups: Tensor,
    *,
    start: Tensor | None = None,
) -> Hyperparameters:
    """Choose lengthscales, weights and noise.

    Args:
        evidence: Standardised data; keep it to a thousand rows.
        structure: Says which terms and priors there are.
        groups: Lengthscale of each dense column.
        start: `theta` of an earlier fit with the same structure.
    """
    return minimise_loss(EvidenceLoss(evidence, structure, groups), start=start)


def minimise_loss(
    loss: EvidenceLoss, *, start: Tensor | None = None
) -> Hyperparameters:
    """Choose hyperparameters; costs about 30 factorisations of few rows and 8 of all.

    Args:
        loss: Of all rows.
        start: `theta` of an earlier fit with the same structure.
    """
    prior = HyperPrior(loss.structure, n_groups_of(loss.groups))
    fixed = loss.evidence.noise_variance
    first = prior.start() if start is None else start.clone()
    if fixed is not None:
        first[-1] = math.log(max(fixed, 1e-8))
    noise = (math.log(NOISE_FLOOR), math.log(10.0))
    if fixed is not None:
        noise = (float(first[-1]), float(first[-1]))
    bounds = np.array([(-LOG_BOUND, LOG_BOUND)] * (len(first) - 1) + [noise])
    n = len(loss.evidence.targets)
    few = loss
    if n > 2 * FEW_ROWS:
        rows = np.sort(np.random.default_rng(n).permutation(n)[:FEW_ROWS])
        few = loss.take(torch.from_numpy(rows))
    found = minimize(
        _objective(few, prior),
        first.numpy(),
        jac=True,
        method="L-BFGS-B",
        bounds=Bounds(bounds[:, 0], bounds[:, 1]),
        options={"maxiter": MAX_ITERATIONS, "ftol": 1e-7, "gtol": 1e-4},
    )
    best = found.x
    if few is not loss:
        curvature = cast("LbfgsInvHessProduct", found.hess_inv)
        inverse = curvature.todense() * (len(few.evidence.targets) / n)
        best = polished(_objective(loss, prior), best, inverse, bounds)
    theta = torch.from_numpy(best)
    kernel = kernel_at(theta, loss.structure, loss.groups)
    return Hyperparameters(kernel, float(theta[-1].exp()), theta)


def polished(
    objective: Objective, start: Floats, inverse: Floats, bounds: Floats
) -> Floats:
    """Return a minimum near a start by quasi-Newton steps (BFGS) within bounds.

    Args:
        objective: Value and gradient of a vector, length `p`.
        start: Length `p`, within the bounds.
        inverse: First guess of the inverse of the second derivatives, `p x p`.
        bounds: Least and largest of each, `p x 2`.

    Reference:
        Nocedal & Wright, Numerical Optimization, 2006, eq. 6.17.
    """
    x, (value, gradient) = start, objective(start)
    reach = REACH
    for _ in range(MAX_STEPS):
        step = -inverse @ gradient
        step *= min(1.0, reach / max(float(np.abs(step).max()), 1e-12))
        to = np.clip(x + step, bounds[:, 0], bounds[:, 1])
        # Half of what a linear function would fall by, as a parabola does.
        if -0.5 * float(gradient @ (to - x)) < SETTLED:
            break
        found, slope = objective(to)
        step, change = to - x, slope - gradient
        inverse = _updated(inverse, step, change)
        if found < value:
            x, value, gradient = to, found, slope
        else:
            reach = 0.3 * float(np.abs(step).max())
    return x


def _updated(inverse: Floats, step: Floats, change: Floats) -> Floats:
    along = float(step @ change)
    if along <= 1e-10:
        return inverse  # Not convex here: nothing is learnt of the curvature.
    eye = np.eye(len(step))
    left = eye - np.outer(step, change) / along
    return left @ inverse @ left.T + np.outer(step, step) / along


def _objective(loss: EvidenceLoss, prior: HyperPrior) -> Objective:
    is_fixed = loss.evidence.noise_variance is not None

    def objective(vector: Floats) -> tuple[float, Floats]:
        theta = torch.from_numpy(vector)
        value, gradient = loss(theta)
        penalty, slope = prior.penalty(theta)
        gradient = gradient + slope
        if is_fixed:
            gradient[-1] = 0.0
        return value + penalty, gradient.numpy()

    return objective
