"""Figures of campaigns on a table, one row per metric and number of experiments.

| metric | meaning |
|---|---|
| best | best value so far, in the readout's unit; with `match` its distance |
| simple_regret | what it lacks to the table's best; several: share of hypervolume |
| regret_area | regret summed over rounds, divided by random's exact expectation |
| hypervolume | share of the table's own, several objectives only |
| topk_recall | share of the best 1 % found; several objectives: of the front |
| experiments_to_threshold | to 99 % of the best; budget + 1 where not reached |
| threshold_reached | share of campaigns that reached it |
| first_batch_percentile | of its best among the best of as many random ones |
| failed_share | of the experiments, where some of the table failed |
| coverage90, vacuous_share | of what was predicted before it was measured |
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from labwm.evaluation.backtest import Plan, Trace
from labwm.evaluation.random_expectation import (
    expected_experiments_to,
    probability_of_best,
)
from labwm.evaluation.table import Row, exact, summarise
from labwm.evaluation.yardstick import Yardstick

Floats = NDArray[np.float64]
EXACT = "random_exact"


def policy_rows(
    name: str, traces: Sequence[Trace], plan: Plan, yardstick: Yardstick
) -> Iterator[Row]:
    """Yield the figures of one policy, with intervals over its campaigns."""
    progress = np.stack([yardstick.progress(trace.rows) for trace in traces])
    places = _places(plan, yardstick)
    index = np.array(places) - 1
    regret = yardstick.goal - progress[:, index]
    for i, at in enumerate(places):
        yield from _progress_rows(name, at, progress[:, at - 1], yardstick)
        yield summarise(name, "simple_regret", at, regret[:, i])
        found = [
            min(1.0, yardstick.is_top[trace.rows[:at]].sum() / yardstick.n_top)
            for trace in traces
        ]
        yield summarise(name, "topk_recall", at, found)
    budget = places[-1]
    yield summarise(name, "regret_area", budget, regret_areas(traces, plan, yardstick))
    if yardstick.has_one_objective:
        first = first_batch_percentiles(
            progress[:, places[0] - 1], places[0], yardstick
        )
        yield summarise(name, "first_batch_percentile", places[0], first)
    reached = np.asarray(progress >= yardstick.threshold)
    first = np.where(reached.any(axis=1), reached.argmax(axis=1) + 1, budget + 1)
    yield summarise(name, "experiments_to_threshold", budget, first)
    yield summarise(name, "threshold_reached", budget, (row.any() for row in reached))
    if yardstick.is_failed.any():
        failed = [float(yardstick.is_failed[trace.rows].mean()) for trace in traces]
        yield summarise(name, "failed_share", budget, failed)
    yield from _model_rows(name, traces)


def regret_areas(traces: Sequence[Trace], plan: Plan, yardstick: Yardstick) -> Floats:
    """Return each campaign's regret area, relative to random's expectation.

    NaN where random is sure to find the best at once: there is no area to compare with.
    """
    places = _places(plan, yardstick)
    at_random = _random_regret(yardstick, places).sum()
    if not at_random > 0:
        return np.full(len(traces), np.nan)
    progress = np.stack([yardstick.progress(trace.rows) for trace in traces])
    regret = yardstick.goal - progress[:, np.array(places) - 1]
    return regret.sum(axis=1) / at_random


def first_batch_percentiles(best: Floats, n: int, yardstick: Yardstick) -> Floats:
    """Return where each best of a first batch of `n` lies among random ones, 0 to 1.

    Ties count half: random's own mean is 0.5.
    """
    ascending = np.sort(yardstick.utilities[:, 0])
    *_, below = probability_of_best(len(ascending), n)
    padded = np.concatenate([[0.0], below])
    at_most = padded[np.searchsorted(ascending, best, side="right")]
    under = padded[np.searchsorted(ascending, best, side="left")]
    return (at_most + under) / 2


def exact_rows(plan: Plan, yardstick: Yardstick) -> Iterator[Row]:
    """Yield the expectation of choosing at random, in closed form."""
    places = _places(plan, yardstick)
    n_rows = len(yardstick.utilities)
    for at in places:
        expected = yardstick.random[at - 1]
        yield from (
            exact(EXACT, row.metric, row.at, row.mean)
            for row in _progress_rows(EXACT, at, np.array([expected]), yardstick)
            if row.mean is not None
        )
        yield exact(EXACT, "simple_regret", at, yardstick.goal - expected)
        yield exact(EXACT, "topk_recall", at, at / n_rows)
    yield exact(EXACT, "regret_area", places[-1], 1.0)
    if yardstick.is_failed.any():
        share = float(yardstick.is_failed.mean())
        yield exact(EXACT, "failed_share", places[-1], share)
    if yardstick.has_one_objective:
        n_hits = int(np.sum(yardstick.utilities[:, 0] >= yardstick.threshold))
        mean = expected_experiments_to(n_hits, n_rows)
        yield exact(EXACT, "experiments_to_threshold", None, mean)


def _places(plan: Plan, yardstick: Yardstick) -> list[int]:
    n_rows = len(yardstick.utilities)
    return [at for at in plan.places if at <= n_rows] or [n_rows]


def _progress_rows(
    name: str, at: int, progress: Floats, yardstick: Yardstick
) -> Iterator[Row]:
    if yardstick.has_one_objective:
        yield summarise(name, "best", at, yardstick.sign * progress)
    else:
        yield summarise(name, "hypervolume", at, progress)


def _random_regret(yardstick: Yardstick, places: list[int]) -> Floats:
    return yardstick.goal - yardstick.random[np.array(places) - 1]


def _model_rows(name: str, traces: Sequence[Trace]) -> Iterator[Row]:
    covered = [_mean(trace.is_covered) for trace in traces]
    if not np.all(np.isnan(covered)):
        yield summarise(name, "coverage90", None, covered)
        vacuous = [_mean(trace.is_vacuous) for trace in traces]
        yield summarise(name, "vacuous_share", None, vacuous)
    seconds = [trace.seconds.sum() / len(trace.rows) for trace in traces]
    yield summarise(name, "seconds_per_recommendation", None, seconds)
    yield summarise(name, "peak_mb", None, [trace.peak_mb for trace in traces])


def _mean(values: Floats) -> float:
    values = values[~np.isnan(values)]
    return float(values.mean()) if len(values) else np.nan
