"""How much wider or narrower predictions are in one region than in another.

Shapes: `q` questions, `k` neighbours, `c` characteristics.

A stationary process is as uncertain where nothing ever happens as where everything
does. What tells them apart is how far neighbours were missed and differ from each
other; a log-linear factor of that, learnt from rows that were left out, scales every
deviation. It is the difficulty of normalised conformal prediction, by likelihood.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from scipy.optimize import minimize
from torch import Tensor

MAX_LOG: Final = 4.0
RIDGE: Final = 1.0
DEGREES: Final = 6.0
SMALL: Final = 1e-6
NEAREST_LEVELS: Final = (0.5, 0.8, 0.95)


@dataclass(frozen=True)
class Spread:
    """A log-linear factor of `c` characteristics; without weights it is 1.

    Attributes:
        weights: One per characteristic after the constant, `c + 1`, or empty.
        centre: Mean of each characteristic, length `c`.
        width: Deviation of each characteristic, length `c`.
        knots: Places where the effect of the mean bends, standardised.
    """

    weights: Tensor
    centre: Tensor
    width: Tensor
    knots: Tensor

    def __call__(self, said: Tensor) -> Tensor:
        """Return the factor for each row of characteristics, length `q`."""
        if not len(self.weights):
            return torch.ones(len(said), dtype=torch.float64)
        x = self.columns(said)
        return (x @ self.weights).clamp(-MAX_LOG, MAX_LOG).exp()

    def columns(self, said: Tensor) -> Tensor:
        """Return what the weights multiply, `q x (c + 1)`."""
        bent = (said[:, :1] - self.knots[None, :]).clamp_min(0.0)
        wide = torch.cat([said, bent], 1)
        inside = ((wide - self.centre) / self.width).clamp(-4.0, 4.0)
        return torch.cat([torch.ones(len(said), 1, dtype=torch.float64), inside], 1)


def no_spread() -> Spread:
    """Return the factor 1 everywhere."""
    none = torch.empty(0, dtype=torch.float64)
    return Spread(none, none, none, none)


def describe(mean: Tensor, variance: Tensor, targets: Tensor, missed: Tensor) -> Tensor:
    """Return the characteristics of questions, `q x c`.

    Args:
        mean: Expected, length `q`.
        variance: Of one measurement, length `q`.
        targets: Values of the neighbours, `q x k`.
        missed: What landmarks miss at the neighbours, `q x k`.
    """
    return torch.stack(
        [
            mean,
            0.5 * variance.log(),
            0.5 * (targets.var(dim=1, correction=0) + SMALL).log(),
            0.5 * ((missed**2).mean(1) + SMALL).log(),
            (missed.abs().median(dim=1).values + SMALL**0.5).log(),
            0.5 * ((targets.mean(1) - mean) ** 2 + 1e-4).log(),
        ],
        dim=1,
    )


def fit_spread(said: Tensor, standardised: Tensor) -> Spread:
    """Learn the factor from residuals of rows that were left out.

    Args:
        said: Their characteristics, `q x c`.
        standardised: Residuals over the deviations stated without the factor.
    """
    knots = torch.quantile(said[:, 0], torch.tensor(NEAREST_LEVELS).double())
    bent = (said[:, :1] - knots[None, :]).clamp_min(0.0)
    wide = torch.cat([said, bent], 1)
    width = wide.std(0).clamp_min(1e-9)
    blank = Spread(torch.zeros(wide.shape[1] + 1).double(), wide.mean(0), width, knots)
    x, z = blank.columns(said).numpy(), standardised.numpy()

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        log = x @ weights
        r = z * np.exp(-log)
        tails = 0.5 * (DEGREES + 1) * np.log1p(r * r / DEGREES)
        value = float((log + tails).sum())
        # By the logarithm of the factor; the density is a Student-t.
        slope = 1.0 - (DEGREES + 1) * r * r / (DEGREES + r * r)
        ridge = RIDGE * weights[1:]
        gradient = x.T @ slope
        gradient[1:] += ridge
        return value + 0.5 * float(ridge @ weights[1:]), gradient

    found = minimize(loss, np.zeros(x.shape[1]), jac=True, method="L-BFGS-B")
    return Spread(torch.from_numpy(found.x), blank.centre, blank.width, blank.knots)
