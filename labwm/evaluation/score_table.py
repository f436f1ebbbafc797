"""Scores of one model on some splits as rows of the long table.

Shapes: `s` splits, `q` rows of one.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from labwm import scores
from labwm.evaluation.bootstrap import LEVEL
from labwm.evaluation.forecasts import Forecasts, joined, pooled, scored
from labwm.evaluation.table import Row, summarise

Floats = NDArray[np.float64]

N_RESAMPLES = 200
WITHOUT_INTERVAL = {"miscalibration_area", "ence", "pit_distance"}
"""Resampled rows repeat, which looks like miscalibration: their bootstrap is biased."""


def score_rows(
    name: str,
    at: str,
    said: Sequence[Forecasts],
    y_train: Sequence[Floats],
    others: Sequence[dict[str, float]],
) -> list[Row]:
    """Return every score with its 95 % interval: over splits, or over rows of one.

    Args:
        name: Of the model.
        at: Name of the split.
        said: Forecasts of each split, `s`.
        y_train: Outcomes learnt from in each split, `s`.
        others: What else was measured of each split, `s`.
    """
    each = [scored(f, y) for f, y in zip(said, y_train, strict=True)]
    if len(said) == 1:
        rows = _over_rows(name, at, said[0], y_train[0])
    else:
        rows = [summarise(name, m, at, [one[m] for one in each]) for m in each[0]]
    # Some splits have no limit or no replicate among the rows that they ask about.
    met = dict.fromkeys(metric for one in others for metric in one)
    rows += [
        summarise(name, m, at, [one.get(m, np.nan) for one in others]) for m in met
    ]
    nlpd = np.array([one["nlpd"] for one in each])
    rows.append(_single(name, "worst_nlpd_excess", at, float(np.ptp([
        np.median(nlpd), nlpd.max()])), len(nlpd)))  # fmt: skip
    return rows + _pooled_rows(name, at, said)


def _over_rows(name: str, at: str, said: Forecasts, y_train: Floats) -> list[Row]:
    found = scored(said, y_train)
    drawn = _resampled(
        len(said), lambda rows: _quiet(lambda: scored(said.take(rows), y_train))
    )
    return [_row(name, m, at, value, drawn, len(said)) for m, value in found.items()]


def _pooled_rows(name: str, at: str, said: Sequence[Forecasts]) -> list[Row]:
    """Return scores of all rows together; splits are resampled as wholes."""
    found = pooled(said)
    n = sum(len(part) for part in said)
    if len(said) > 1:
        drawn = _resampled(
            len(said), lambda which: _plain(joined([said[i] for i in which])), n=50
        )
    else:
        drawn = _resampled(n, lambda rows: _plain(said[0].take(rows)), n=50)
    rows = [_row(name, m, at, value, drawn, n) for m, value in found.items()]
    honest = scores.honest_miscalibration_area(n)
    return [*rows, _single(name, "pooled_miscalibration_area_honest", at, honest, n)]


def _plain(said: Forecasts) -> dict[str, float]:
    # The other pooled scores are distances from a shape, or extremes over subsets:
    # resampling, which repeats rows, would make them worse than they are.
    return {"pooled_coverage90": float(np.mean(said.is_inside))}


def _resampled(
    size: int,
    score: Callable[[NDArray[np.int64]], dict[str, float]],
    *,
    n: int = N_RESAMPLES,
) -> dict[str, Floats]:
    rng = np.random.default_rng(0)
    drawn = [score(rng.integers(size, size=size)) for _ in range(n)]
    return {m: np.array([one[m] for one in drawn]) for m in drawn[0]}


def _quiet(score: Callable[[], dict[str, float]]) -> dict[str, float]:
    # A resample may hold equal outcomes only: its r2 is NaN and is left out below.
    with np.errstate(invalid="ignore", divide="ignore"):
        return score()


def _row(
    name: str, metric: str, at: str, value: float, drawn: dict[str, Floats], n: int
) -> Row:
    if np.isnan(value):
        return Row(name, metric, at, None, None, None, n)
    none = np.empty(0)
    values = none if metric in WITHOUT_INTERVAL else drawn.get(metric, none)
    values = values[~np.isnan(values)]
    if not len(values):
        return Row(name, metric, at, value, None, None, n)
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(values, [tail, 1 - tail])
    return Row(name, metric, at, value, float(low), float(high), n)


def _single(name: str, metric: str, at: str, value: float, n: int) -> Row:
    return Row(name, metric, at, value, None, None, n)
