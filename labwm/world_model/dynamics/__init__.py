"""Curves over time: what a curve will do, from its conditions and its first reads.

Importing this package loads torch; `labwm.space.curves` holds curves without it.
"""

from labwm.world_model.dynamics.fitting import fit_curves
from labwm.world_model.dynamics.model import (
    CurveCard,
    CurveForecast,
    CurveModel,
    CurveWorld,
    DrawnCurve,
    Surprise,
)
from labwm.world_model.dynamics.odd_series import SeriesSurprise, surprising_series

__all__ = [
    "CurveCard",
    "CurveForecast",
    "CurveModel",
    "CurveWorld",
    "DrawnCurve",
    "SeriesSurprise",
    "Surprise",
    "fit_curves",
    "surprising_series",
]
