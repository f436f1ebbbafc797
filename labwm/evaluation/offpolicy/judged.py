"""Estimates beside the truth: error, rank, coverage and width as rows."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from labwm import scores
from labwm.evaluation.prediction_powered import Estimate
from labwm.evaluation.table import Row, summarise

THIRDS = ("low support", "middle support", "high support")


@dataclass(frozen=True)
class Judged:
    """One estimate of one policy's value from one log.

    Attributes:
        source: Behaviour that was learnt from.
        seed: Of the log and of what was measured.
        target: The policy.
        estimator: Its name.
        estimate: What it said.
        truth: The policy's mean outcome.
        support: How close its experiments are to the log, the mean.
        width_ratio: Width of the interval by that of `real_only`.
    """

    source: str
    seed: int
    target: str
    estimator: str
    estimate: Estimate
    truth: float
    support: float
    width_ratio: float


def rows_of(judged: Sequence[Judged], estimators: Sequence[str]) -> Iterator[Row]:
    """Yield every figure of each estimator: overall, by source, and by support.

    A vacuous interval counts in `vacuous_share` alone: it covers everything and says
    nothing. Intervals resample seeds.
    """
    sources = list(dict.fromkeys(one.source for one in judged))
    for name in estimators:
        own = [one for one in judged if one.estimator == name]
        yield from _figures(name, None, own)
        for source in sources:
            yield from _figures(name, source, [j for j in own if j.source == source])
        for third, part in zip(THIRDS, by_support(own), strict=True):
            yield _mean(name, "value_error", third, part, _error)
            yield _mean(name, "coverage90", third, part, _coverage)


def by_support(judged: Sequence[Judged]) -> list[list[Judged]]:
    """Return the estimates in three parts, by how close the policies are to the log."""
    order = np.argsort([one.support for one in judged], kind="stable")
    return [[judged[i] for i in part] for part in np.array_split(order, 3)]


def _figures(name: str, at: str | None, own: Sequence[Judged]) -> Iterator[Row]:
    yield _mean(name, "value_error", at, own, _error)
    yield _mean(name, "value_bias", at, own, lambda j: j.estimate.value - j.truth)
    yield summarise(name, "rank_correlation", at, _rank_correlations(own))
    yield _mean(name, "coverage90", at, own, _coverage)
    yield _mean(name, "width_ratio", at, own, _width)
    yield _mean(name, "vacuous_share", at, own, lambda j: j.estimate.is_vacuous)


def _error(one: Judged) -> float:
    return abs(one.estimate.value - one.truth)


def _coverage(one: Judged) -> float:
    if one.estimate.is_vacuous:
        return np.nan
    return float(one.estimate.covers(one.truth))


def _width(one: Judged) -> float:
    return np.nan if one.estimate.is_vacuous else one.width_ratio


def _mean(
    name: str,
    metric: str,
    at: str | None,
    own: Sequence[Judged],
    score: Callable[[Judged], float],
) -> Row:
    """Return the mean over everything but the seed, with its interval over seeds."""
    by_seed: dict[int, list[float]] = {}
    for one in own:
        if not np.isnan(value := float(score(one))):
            by_seed.setdefault(one.seed, []).append(value)
    return summarise(name, metric, at, [float(np.mean(v)) for v in by_seed.values()])


def _rank_correlations(own: Sequence[Judged]) -> list[float]:
    """Return for each seed the mean over sources of the rank correlation."""
    groups: dict[tuple[int, str], list[Judged]] = {}
    for one in own:
        groups.setdefault((one.seed, one.source), []).append(one)
    by_seed: dict[int, list[float]] = {}
    for (seed, _), part in groups.items():
        if len(part) > 2:
            said = np.array([one.estimate.value for one in part])
            truth = np.array([one.truth for one in part])
            by_seed.setdefault(seed, []).append(scores.spearman(truth, said))
    return [float(np.nanmean(v)) for v in by_seed.values() if not np.isnan(v).all()]
