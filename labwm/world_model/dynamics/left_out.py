"""Forecasts of curves that were not learnt from: what they teach of the rest.

Conditions are left out in `N_FOLDS` parts. What is expected of the curves left out, and
how their ends are forecast from their beginnings, chooses the base and the roughness
and calibrates the intervals.

Shapes: `n` curves, `f` forecasts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Final

import numpy as np
from numpy.typing import NDArray

from labwm.schema import Protocol
from labwm.space.curves import Curves, Reads
from labwm.world_model.dynamics.expectation import (
    Prior,
    Roughness,
    learn_expectation,
)
from labwm.world_model.dynamics.families import Family
from labwm.world_model.dynamics.functions import Knots

Floats = NDArray[np.float64]

N_FOLDS: Final = 5
FEWEST_CONDITIONS: Final = 10
"""With fewer distinct conditions curves are left out, not conditions."""
MOST_TRIED: Final = 150
"""Curves that roughness is chosen on."""
SHARES: Final = (0.1, 0.25, 0.5)
"""Of the time of a curve, after which its end is forecast."""
AHEAD: Final = (1, 2, 4, 8)
"""Reads ahead that are forecast, besides the last read."""
SHARE_GRID: Final = (0.03, 0.1, 0.3, 0.6, 1.0)
LENGTH_GRID: Final = (0.15, 0.5, 1.5)
NOISE_GRID: Final = (1.0, 4.0)
TAIL: Final = 4.0
"""Degrees of freedom of the score that compares: few curves are far off."""


@dataclass(frozen=True)
class Unseen:
    """A curve, and what was expected of it by those that do not share its fold."""

    prior: Prior
    reads: Reads


@dataclass(frozen=True)
class Errors:
    """Forecasts against what was read.

    Attributes:
        residual: Distance from the mean, `f`.
        sd: Stated standard deviation, `f`.
        ahead: Time from the last read to the one forecast, as a share, `f`.
        n_curves: Curves that they are of.
    """

    residual: Floats
    sd: Floats
    ahead: Floats
    n_curves: int


def folds_of(curves: Curves, seed: int) -> NDArray[np.int64]:
    """Return the fold of each curve, `n`; curves of equal conditions stay together."""
    group, n = curves.conditions_of()
    if n < FEWEST_CONDITIONS:
        group, n = np.arange(len(curves)), len(curves)
    order = np.random.default_rng(seed).permutation(n)
    return (order % min(N_FOLDS, n))[group]


def predict_left_out(
    curves: Curves,
    reads: Sequence[Reads],
    protocol: Protocol,
    knots: Knots,
    family: Family | None,
    *,
    fold: NDArray[np.int64] | None = None,
) -> list[Unseen]:
    """Return each curve with what the other folds expect of it.

    Folds are drawn by condition where `fold`, one number per curve, is not given.
    """
    fold = folds_of(curves, seed=0) if fold is None else fold
    found: list[Unseen | None] = [None] * len(reads)
    for k in np.unique(fold):
        kept = np.flatnonzero(fold != k).tolist()
        left = np.flatnonzero(fold == k).tolist()
        learnt = learn_expectation(
            curves.questions.take(kept),
            [reads[i] for i in kept],
            protocol,
            knots,
            family,
        )
        for i, prior in zip(left, learnt.of(curves.questions.take(left)), strict=True):
            found[i] = Unseen(prior, reads[i])
    return [one for one in found if one is not None]


def n_seen(time: Floats, share: float) -> int:
    """Return how many reads lie in the first share of a curve's time, two at least."""
    if share <= 0.0:
        return 0
    end = time[0] + share * (time[-1] - time[0])
    return max(2, int(np.sum(time <= end * (1.0 + 1e-12))))


def forecast_errors(
    unseen: Sequence[Unseen], rough: Roughness, shares: Sequence[float]
) -> Errors:
    """Forecast reads of curves from their first shares."""
    rows: list[tuple[float, float, float]] = []
    for one in unseen:
        process, time = one.prior.process(rough), one.reads.time
        for share in shares:
            k = n_seen(time, share)
            if k >= len(time):
                continue
            asked = [k - 1 + h for h in AHEAD if k - 1 + h < len(time)]
            asked = np.unique([*asked, len(time) - 1]).astype(int)
            mean, variance = process.after(one.reads.until(k)).at(time[asked])
            sd = np.sqrt(variance + process.noise)
            ahead = (time[asked] - time[max(k - 1, 0)]) / process.knots.span
            rows += zip(one.reads.value[asked] - mean, sd, ahead, strict=True)
    table = np.array(rows, dtype=float).reshape(-1, 3)
    return Errors(table[:, 0], table[:, 1], table[:, 2], len(unseen))


def score(errors: Errors) -> float:
    """Return the mean log loss of the forecasts at their best common scale.

    Of Student-t distributions, so that a few odd curves do not decide.
    """
    z = errors.residual / errors.sd
    scales = np.exp(np.linspace(-1.5, 1.5, 31))
    half = 0.5 * (TAIL + 1.0)
    losses = [
        np.mean(half * np.log1p((z / c) ** 2 / TAIL) + np.log(c * errors.sd))
        for c in scales
    ]
    return float(min(losses))


def choose_roughness(unseen: Sequence[Unseen]) -> tuple[Roughness, float]:
    """Return the roughness whose forecasts of left-out curves score best."""
    order = np.random.default_rng(0).permutation(len(unseen))[:MOST_TRIED]
    tried = [unseen[i] for i in order]
    grid = product(SHARE_GRID, LENGTH_GRID, NOISE_GRID)
    best, least = Roughness(0.1, 0.5, 1.0), np.inf
    for values in grid:
        rough = Roughness(*values)
        if (loss := score(forecast_errors(tried, rough, SHARES))) < least:
            best, least = rough, loss
    return best, least
