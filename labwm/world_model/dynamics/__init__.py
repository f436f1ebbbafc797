"""Curves over time: what a curve will do, from its conditions and its first reads.

Importing this package loads torch; `labwm.space.curves` holds curves without it.
"""

from labwm.world_model.dynamics.bad_runs import RunSurprise, surprising_runs
from labwm.world_model.dynamics.fitting import fit_curves
from labwm.world_model.dynamics.model import (
    CurveCard,
    CurveForecast,
    CurveModel,
    CurveWorld,
    DrawnCurve,
    Surprise,
)

__all__ = [
    "CurveCard",
    "CurveForecast",
    "CurveModel",
    "CurveWorld",
    "DrawnCurve",
    "RunSurprise",
    "Surprise",
    "fit_curves",
    "surprising_runs",
]
