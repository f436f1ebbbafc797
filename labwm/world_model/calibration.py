"""Recalibration: one monotone map per readout, learnt from residuals of unseen rows.

Residuals of a Gaussian process are often peaked with heavy tails. A Student-t of free
scale and shape describes that with two numbers, both drawn towards the identity by a
prior that a few residuals cannot move; its quantiles become the knots of the map.
"""

import math
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

    def loss(parameters: Floats) -> float:
        log_scale, shape = parameters
        density = _log_student_t(r / math.exp(log_scale), 1.0 / shape) - log_scale
        spread = WIDEN_PRIOR_SD if log_scale > 0 else NARROW_PRIOR_SD
        prior = 0.5 * (log_scale / spread) ** 2 + shape / SHAPE_PRIOR_MEAN
        return float(prior - density.sum())

    least = min(max(1.0 / len(r), 1e-3), MAX_SHAPE)
    result = minimize(
        loss,
        np.array([0.0, max(least, 0.05)]),
        method="L-BFGS-B",
        bounds=[(-1.0, 1.5), (least, MAX_SHAPE)],
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
