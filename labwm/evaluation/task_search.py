"""How many experiments find the top 5 % of a new assay, with a task prior and without?

Shapes: `q` items of an assay.

Each arm measures one item after another: the one whose mean plus one standard deviation
is the highest. The single process needs values to learn from and begins with items
drawn at random; the prior begins at once. Who does not find it within the budget counts
with one experiment more than the budget, and the share of those is printed.
"""

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from labwm.data.assays import Assay
from labwm.errors import InvalidInputError
from labwm.evaluation.paired import difference_row
from labwm.evaluation.table import BenchTable, Row, exact, summarise
from labwm.evaluation.task_scores import PRIOR, SINGLE, single_process
from labwm.evaluation.tasks import encoded
from labwm.world_model.tasks.mixture import StudentMixture
from labwm.world_model.tasks.prior import Pool, TaskPrior

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]
Progress = Callable[[str, int, int], None]

TOP: Final = (0.05, 0.01)
FIRST: Final = 3
"""Items drawn at random before the single process is learnt."""
FEWEST: Final = 40
"""Items with a number that an assay needs to be searched."""
RANDOM: Final = "random_exact"


@dataclass(frozen=True)
class _Target:
    pool: Pool
    values: Floats
    is_top: dict[float, NDArray[np.bool_]]
    key: int


def with_search(
    table: BenchTable,
    prior: TaskPrior,
    assays: Sequence[Assay],
    *,
    budget: int,
    progress: Progress | None = None,
) -> BenchTable:
    """Add the experiments to the top 5 % and 1 % of each assay, higher values wanted.

    Assays with fewer than 40 numbers are not searched; limits are not measured.

    Raises:
        InvalidInputError: If the budget is no larger than what is drawn at random.
    """
    if budget <= FIRST:
        raise InvalidInputError(
            f"A search measures more than the {FIRST} items drawn first; got "
            f"budget={budget}. Give a larger budget."
        )
    targets = [t for t in (_target(prior, a) for a in assays) if t is not None]
    found: dict[tuple[str, float], list[float]] = {}
    for i, target in enumerate(targets):
        for seed in range(table.seeds):
            for arm, order in _orders(prior, target, budget, seed).items():
                for top, steps in _steps(target, order, budget).items():
                    found.setdefault((arm, top), []).append(steps)
        for top, mask in target.is_top.items():
            expected = (len(mask) + 1) / (int(mask.sum()) + 1)
            found.setdefault((RANDOM, top), []).append(expected)
        if progress:
            progress("searching assays", i + 1, len(targets))
    rows = _rows(found, budget, table.seeds) if targets else []
    settings = {**table.settings, "search_budget": budget, "n_searched": len(targets)}
    return replace(table, rows=(*table.rows, *rows), settings=settings)


def _target(prior: TaskPrior, assay: Assay) -> _Target | None:
    is_number = ~np.isnan(assay.values) & (assay.limits == 0)
    items = encoded(assay.items, prior.kind)
    rows = np.flatnonzero(is_number & items.is_readable)
    if len(rows) < FEWEST:
        return None
    kept = assay.take(rows)
    tops = {}
    for top in TOP:
        n = max(1, round(top * len(rows)))
        tops[top] = np.asarray(kept.values >= np.sort(kept.values)[-n])
    pool = prior.pool_of(kept.items, items.take(rows))
    return _Target(pool, kept.values, tops, zlib.crc32(assay.name.encode()))


def _orders(
    prior: TaskPrior, target: _Target, budget: int, seed: int
) -> dict[str, list[int]]:
    found = {SINGLE: _by_single(target, budget, seed)}
    # Nothing of it is random: one search stands for all seeds.
    found[PRIOR] = _by_prior(prior, target, budget) if seed == 0 else []
    return {arm: order for arm, order in found.items() if order}


def _is_done(target: _Target, order: Sequence[int]) -> bool:
    return all(bool(mask[list(order)].any()) for mask in target.is_top.values())


def _by_prior(prior: TaskPrior, target: _Target, budget: int) -> list[int]:
    model, order = prior.prior_for(target.pool), list[int]()
    every = np.arange(len(target.pool))
    while len(order) < min(budget, len(every)) and not _is_done(target, order):
        best = _highest(_optimistic(model.predict(every)), order)
        order.append(best)
        model = model.condition_on(np.array([best]), target.values[[best]])
    return order


def _optimistic(said: StudentMixture) -> Floats:
    # The scale, not the deviation: that of few degrees of freedom may be infinite.
    return said.mean + said.weight @ said.scale


def _by_single(target: _Target, budget: int, seed: int) -> list[int]:
    rng = np.random.default_rng([target.key, seed])
    order = rng.permutation(len(target.pool))[:FIRST].tolist()
    every = np.arange(len(target.pool))
    while len(order) < min(budget, len(every)) and not _is_done(target, order):
        known = np.array(order)
        mean, sd = single_process(target.pool.items, target.values, known, every)
        order.append(_highest(mean + sd, order))
    return order


def _highest(score: Floats, taken: Sequence[int]) -> int:
    score = score.copy()
    score[list(taken)] = -np.inf
    return int(np.argmax(score))


def _steps(target: _Target, order: Sequence[int], budget: int) -> dict[float, float]:
    found = {}
    for top, mask in target.is_top.items():
        hits = np.flatnonzero(mask[list(order)])
        found[top] = float(hits[0] + 1 if len(hits) else budget + 1)
    return found


def _rows(
    found: dict[tuple[str, float], list[float]], budget: int, seeds: int
) -> list[Row]:
    rows: list[Row] = []
    for top in TOP:
        metric = f"experiments_to_top{round(100 * top)}pct"
        first = np.array(found[PRIOR, top])
        # Seeds of one assay are averaged: intervals are over assays.
        second = np.array(found[SINGLE, top]).reshape(-1, seeds).mean(axis=1)
        rows += [
            summarise(PRIOR, metric, budget, first),
            summarise(SINGLE, metric, budget, second),
            exact(RANDOM, metric, budget, float(np.mean(found[RANDOM, top]))),
            difference_row((PRIOR, SINGLE), metric, budget, (first, second)),
            summarise(PRIOR, f"{metric}_missed_share", budget, first > budget),
            exact(
                "tanimoto_gp / task_prior", metric, budget, second.mean() / first.mean()
            ),
        ]
    return rows
