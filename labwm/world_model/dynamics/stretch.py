"""How much wider intervals must be, the further ahead a read is.

Stated deviations are multiplied by a power of the time ahead, learnt from forecasts of
curves that were left out; what remains is brought to a calibrated shape by a map.

Shapes: `f` forecasts.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from labwm.schema import CalibrationMap
from labwm.world_model.calibration import fit_calibration
from labwm.world_model.dynamics.left_out import TAIL, Errors

Floats = NDArray[np.float64]

NEAREST: Final = 0.02
"""Time ahead, as a share of a curve, below which nothing grows tighter."""
LEVEL_SD: Final = 1.0
SLOPE_SD: Final = 0.3
"""Of the prior of the power, around none."""


@dataclass(frozen=True)
class Stretch:
    """Factor `exp(level) * ahead**slope` of stated deviations, and the map after it."""

    level: float
    slope: float
    calibration: CalibrationMap

    def at(self, ahead: Floats) -> Floats:
        """Return the factor for times ahead, as shares of a curve's time, any shape."""
        return np.exp(self.level) * np.clip(ahead, NEAREST, None) ** self.slope


def fit_stretch(errors: Errors) -> Stretch:
    """Learn the factor as the most probable one, and the map from what remains.

    Forecasts of one curve err together: the prior counts as if each curve had given
    one forecast only.
    """
    z = np.abs(errors.residual) / errors.sd
    log_ahead = np.log(np.clip(errors.ahead, NEAREST, None))
    share = errors.n_curves / max(len(z), 1)

    def loss(parameters: Floats) -> float:
        level, slope = parameters
        log_factor = level + slope * log_ahead
        scaled = z * np.exp(-log_factor)
        half = 0.5 * (TAIL + 1.0)
        own = np.sum(half * np.log1p(scaled**2 / TAIL) + log_factor)
        prior = 0.5 * ((level / LEVEL_SD) ** 2 + (slope / SLOPE_SD) ** 2)
        return float(share * own + prior)

    found = minimize(loss, np.zeros(2), method="Nelder-Mead", options={"xatol": 1e-4})
    level, slope = float(found.x[0]), float(found.x[1])
    plain = Stretch(level, slope, CalibrationMap())
    left = errors.residual / (errors.sd * plain.at(errors.ahead))
    return Stretch(level, slope, fit_calibration(left))
