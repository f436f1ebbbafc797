"""Forecasts of curves as quantiles: the model's, and those of plain baselines.

Shapes: `n` curves, `t` times, `p` levels.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from labwm.schema import Protocol
from labwm.space.curves import Curves, Reads
from labwm.world_model.dynamics import CurveModel, fit_curves
from labwm.world_model.dynamics.families import best_by_aic
from labwm.world_model.dynamics.left_out import n_seen

Floats = NDArray[np.float64]

LEVELS: Final = (np.arange(100) + 0.5) / 100
ENDS: Final = np.array([0.05, 0.95])
MOST_ERRORS: Final = 200
"""Curves learnt from whose errors give a baseline its spread."""


@dataclass(frozen=True)
class Said:
    """What is said of reads at some times.

    Attributes:
        point: Mean, or the baseline's own number, `t`.
        quantiles: At `LEVELS`, `t x p`.
        low, high: Ends of the central 90 % interval, `t`.
    """

    point: Floats
    quantiles: Floats
    low: Floats
    high: Floats


@dataclass(frozen=True)
class Asked:
    """Which reads of a curve are seen, and which are asked about.

    Attributes:
        share: Of the curve's time that is seen; 0 for nothing.
        ahead: Reads after the last one seen; 0 for the last read of the curve, None for
            every read after.
    """

    share: float
    ahead: int | None

    def of(self, reads: Reads) -> tuple[Reads, NDArray[np.int64]]:
        """Return the reads seen, and which ones are asked about; none if too short."""
        k, n = n_seen(reads.time, self.share), len(reads)
        if self.ahead is None:
            return reads.until(k), np.arange(k, n)
        i = n - 1 if self.ahead == 0 else k - 1 + self.ahead
        return reads.until(min(k, n)), np.arange(i, min(i + 1, n) if i >= k else i)


Forecaster = Callable[[Curves, Asked], list[Said | None]]
"""Says how each curve goes on; None where that cannot be asked of it."""


def model_forecaster(
    curves: Curves, protocol: Protocol
) -> tuple[Forecaster, CurveModel]:
    """Fit the default model to curves of one readout."""
    model = fit_curves(curves, protocol, readout=curves.readouts[0])

    def forecast(asked_of: Curves, asked: Asked) -> list[Said | None]:
        said: list[Said | None] = []
        reads = asked_of.reads(curves.readouts[0])
        expected = model.forecasts(asked_of.questions)
        for own, forecast in zip(reads, expected, strict=True):
            seen, rows = asked.of(own)
            if not len(rows):
                said.append(None)
                continue
            prediction = forecast.condition_on(seen).predict(own.time[rows])
            low, high = (prediction.quantile(float(p))[:, 0] for p in ENDS)
            quantiles = [prediction.quantile(float(p))[:, 0] for p in LEVELS]
            said.append(Said(prediction.mean[:, 0], np.array(quantiles).T, low, high))
        return said

    return forecast, model


Point = Callable[[Reads, Floats], Floats]


def parametric(curves: Curves) -> Point:
    """Return the best family of a curve by Akaike's criterion, on the reads seen."""
    span = max(float(time[-1]) for time in curves.times)
    return lambda seen, times: best_by_aic(seen, span).at(times)


def last_value(curves: Curves) -> Point:
    """Return the last read for all later ones."""
    del curves
    return lambda seen, times: np.full(len(times), seen.value[-1])


def mean_curve(curves: Curves) -> Point:
    """Return the mean of all curves learnt from."""
    reads = curves.reads(curves.readouts[0])

    def point(seen: Reads, times: Floats) -> Floats:
        del seen
        held = [np.interp(times, one.time, one.value) for one in reads]
        return np.mean(held, axis=0)

    return point


@dataclass(frozen=True)
class Baseline:
    """A point forecast.

    Attributes:
        learn: Makes it from curves.
        needs_reads: Can it say nothing before a curve's first reads?
    """

    learn: Callable[[Curves], Point]
    needs_reads: bool


BASELINES: Final = {
    "parametric": Baseline(parametric, needs_reads=True),
    "last_value": Baseline(last_value, needs_reads=True),
    "mean_curve": Baseline(mean_curve, needs_reads=False),
}


def baseline_forecaster(name: str, curves: Curves) -> Forecaster:
    """Return a baseline whose spread is that of its errors on the curves learnt from.

    Each kind of question has a spread of its own, so that no baseline loses for want of
    an honest interval.
    """
    baseline = BASELINES[name]
    point = baseline.learn(curves)
    order = np.random.default_rng(0).permutation(len(curves))[:MOST_ERRORS]
    known = curves.take(np.sort(order)).reads(curves.readouts[0])
    spreads: dict[Asked, Floats] = {}

    def forecast(asked_of: Curves, asked: Asked) -> list[Said | None]:
        reads = asked_of.reads(asked_of.readouts[0])
        if baseline.needs_reads and asked.share <= 0.0:
            return [None] * len(reads)
        if asked not in spreads:
            spreads[asked] = _errors(point, known, asked)
        return [_said(point, own, asked, spreads[asked]) for own in reads]

    return forecast


def _said(point: Point, reads: Reads, asked: Asked, errors: Floats) -> Said | None:
    seen, rows = asked.of(reads)
    if not len(rows) or not len(errors):
        return None
    values = point(seen, reads.time[rows])
    low, high = np.quantile(errors, ENDS)
    quantiles = values[:, None] + np.quantile(errors, LEVELS)
    return Said(values, quantiles, values + low, values + high)


def _errors(point: Point, known: Sequence[Reads], asked: Asked) -> Floats:
    parts = [np.empty(0)]
    for own in known:
        seen, rows = asked.of(own)
        if len(rows):
            parts.append(own.value[rows] - point(seen, own.time[rows]))
    return np.concatenate(parts)
