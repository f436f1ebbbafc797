"""Recalibration: one monotone map per readout, learnt from residuals of unseen rows.

Residuals of a Gaussian process are often peaked with heavy tails. A Student-t of free
scale and shape describes that with two numbers, both drawn towards the identity by a
prior that a few residuals cannot move; its quantiles become the knots of the map.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import gammaln, ndtr
from scipy.stats import t as student_t

from labwm.schema import CalibrationMap

Floats = NDArray[np.float64]

KNOTS: Final = (0.75, 1.5, 2.25, 3.0)
"""Positive knots in standard deviations; zero and the negative ones come with them."""
WIDEN_PRIOR_SD: Final = 0.4
NARROW_PRIOR_SD: Final = 0.2
"""Of the logarithm of the scale, around 1: to say too little is the smaller error, and
the structure was chosen on the rows whose residuals are seen here."""
SHAPE_PRIOR_MEAN: Final = 0.03
"""Of the inverse degrees of freedom."""
MAX_SHAPE: Final = 0.4
MAX_LOG_SCALE: Final = 2.5
FEEDBACK_LOG_SCALE: Final = 0.45
"""Under feedback the prior of the scale lies here, plus `FEEDBACK_EARLY` over the rows;
chosen on seven tables, and scored on others (docs/benchmarks.md)."""
FEEDBACK_EARLY: Final = 5.0
ERROR_WEIGHT: Final = 2.0
"""Residuals that one error of an earlier prediction counts as."""
MAX_RESIDUALS: Final = 40
"""Residuals count as at most so many beside the errors, which are what is asked for."""


def fit_calibration(residuals: Floats) -> CalibrationMap:
    """Learn a map from standardised residuals of rows that a model did not see.

    Symmetric: it widens, narrows and bends the tails, and moves no centre. Beyond three
    standard deviations the tails go on as Gaussians of the slope of the last piece.
    With `n` residuals the tails are at least those of `n` degrees of freedom, because
    the scale of a prediction is itself learnt from so many values.
    """
    r = np.asarray(residuals, float)
    if not len(r):
        return CalibrationMap()
    prior = _Prior(0.0, WIDEN_PRIOR_SD, NARROW_PRIOR_SD)
    return _most_probable_map(((r, 1.0),), prior)


def fit_feedback_calibration(residuals: Floats, errors: Floats) -> CalibrationMap:
    """Learn a map for questions that a policy chooses because of what the model says.

    The best-looking candidates are those whose predictions err upwards, and a search
    goes where nothing was measured: there residuals of the rows learnt from are too
    small. What tells are the errors of earlier predictions, stated before the policy's
    choices were measured; they count more than residuals. While there are few of them a
    prior stands in, which expects intervals to be too narrow, the more so the fewer
    rows there are.

    Args:
        residuals: Standardised, of rows that a model did not see, length `n`.
        errors: Of earlier predictions, `(measured - location) / scale`, any length.

    Reference:
        Gibbs & Candès, NeurIPS 2021, arXiv 2106.00170: levels that follow the errors
        made so far; here the whole distribution does, drawn towards a prior.
    """
    r, e = np.asarray(residuals, float), np.asarray(errors, float)
    n = max(len(r), 1)
    centre = FEEDBACK_LOG_SCALE + FEEDBACK_EARLY / n
    prior = _Prior(centre, WIDEN_PRIOR_SD, NARROW_PRIOR_SD)
    weight = min(1.0, MAX_RESIDUALS / n)
    return _most_probable_map(((r, weight), (e, ERROR_WEIGHT)), prior)


@dataclass(frozen=True)
class _Prior:
    """Of the logarithm of the scale: a normal with a spread to either side."""

    centre: float
    above: float
    below: float

    def penalty(self, log_scale: float) -> float:
        """Return the negative log density, up to a constant."""
        away = log_scale - self.centre
        return 0.5 * (away / (self.above if away > 0 else self.below)) ** 2


def _most_probable_map(
    parts: Sequence[tuple[Floats, float]], prior: _Prior
) -> CalibrationMap:
    """Return the map of the most probable Student-t; parts are values and a weight."""
    n = sum(len(values) for values, _ in parts)

    def loss(parameters: Floats) -> float:
        log_scale, shape = parameters
        total = prior.penalty(log_scale) + shape / SHAPE_PRIOR_MEAN
        for values, weight in parts:
            density = _log_student_t(values / math.exp(log_scale), 1.0 / shape)
            total -= weight * float((density - log_scale).sum())
        return total

    least = min(max(1.0 / max(n, 1), 1e-3), MAX_SHAPE)
    result = minimize(
        loss,
        np.array([prior.centre, max(least, 0.05)]),
        method="L-BFGS-B",
        bounds=[(-1.0, MAX_LOG_SCALE), (least, MAX_SHAPE)],
    )
    return student_map(scale=math.exp(result.x[0]), shape=float(result.x[1]))


def _log_student_t(x: Floats, dof: float) -> Floats:
    constant = gammaln((dof + 1) / 2) - gammaln(dof / 2)
    constant -= 0.5 * math.log(dof * math.pi)
    return constant - 0.5 * (dof + 1) * np.log1p(x * x / dof)


def student_map(*, scale: float, shape: float) -> CalibrationMap:
    """Return the map to a Student-t with `1 / shape` degrees of freedom."""
    z = np.array(KNOTS)
    # Upper tail through the survival function: 1 - ndtr loses digits out there.
    r = scale * student_t.isf(ndtr(-z), 1.0 / shape)
    tail = float((r[-1] - r[-2]) / (z[-1] - z[-2]))
    return CalibrationMap(
        z=tuple(np.concatenate([-z[::-1], [0.0], z]).tolist()),
        r=tuple(np.concatenate([-r[::-1], [0.0], r]).tolist()),
        tail=tail,
    )
