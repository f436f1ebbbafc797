"""Back-test screens of pools: which share of the best does each policy find?"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from labwm.design.candidates import changed_freely
from labwm.errors import InvalidInputError
from labwm.evaluation.backtest import Plan, Trace
from labwm.evaluation.lookup import Lookup, lookup_from
from labwm.evaluation.planners import require_planner
from labwm.evaluation.runs import Progress, Runs, traces_of
from labwm.evaluation.table import BenchTable, Row, exact, summarise, versions
from labwm.schema import Measurement, Protocol

COMMAND = "labwm bench screen"
EXACT = "random_exact"


@dataclass(frozen=True)
class ScreenSettings:
    """What a back-test of a pool compares.

    Attributes:
        policies: Names, each once.
        share: Of the pool, measured first at random and then in each batch.
        n_batches: Batches, the first included.
        n_top: Best molecules to find.
        seeds: Campaigns per policy; seed `s` shuffles the pool's rows too.
        jobs: Processes.
    """

    policies: tuple[str, ...] = ("greedy", "random")
    share: float = 0.01
    n_batches: int = 6
    n_top: int = 100
    seeds: int = 3
    jobs: int = 1

    def __post_init__(self) -> None:
        if not 0 < self.share * self.n_batches <= 1:
            raise InvalidInputError(
                "Batches measure a share of a pool, at most all of it; got "
                f"{self.n_batches} of {self.share:g}. Ask for less."
            )
        if self.seeds < 1 or self.n_top < 1:
            raise InvalidInputError(
                "A back-test needs a seed and something to find; got "
                f"seeds={self.seeds}, n_top={self.n_top}. Ask for 1 or more."
            )


def bench_screen(
    protocol: Protocol,
    measurements: Sequence[Measurement],
    settings: ScreenSettings,
    *,
    data: str = "",
    progress: Progress | None = None,
) -> BenchTable:
    """Run every policy on a pool whose scores are known.

    The rows are shuffled by each seed: a file may be sorted by its score. `topk_recall`
    counts molecules whose score is at least the k-th best, at most k, as published
    figures do; `topk_recall_by_row` counts the k best rows, ties broken by chance.

    Raises:
        NotFoundError: If a policy is unknown.
        InvalidInputError: If the protocol has several objectives.
        NotEnoughDataError: If the pool is too small.
    """
    if len(protocol.objectives) != 1:
        raise InvalidInputError(
            f"A pool's best are those of one objective; {protocol.name!r} has "
            f"{len(protocol.objectives)}. Use `labwm bench optimize`."
        )
    for policy in settings.policies:
        require_planner(policy, protocol, side_python=None)
    protocol = changed_freely(protocol)
    played: dict[str, list[tuple[Lookup, Trace]]] = {p: [] for p in settings.policies}
    size = sha256 = None
    for seed in range(settings.seeds):
        order = np.random.default_rng([seed, 17]).permutation(len(measurements))
        lookup = lookup_from(protocol, [measurements[i] for i in order])
        size, sha256 = len(lookup), lookup.sha256
        plan = _plan(settings, size)
        runs = Runs(lookup, plan, settings.policies, 1, settings.jobs, first_seed=seed)
        for policy, traces in traces_of(runs, progress).items():
            played[policy].append((lookup, traces[0]))
    assert size is not None
    assert sha256 is not None
    plan = _plan(settings, size)
    rows = [
        row
        for policy in played
        for row in _rows(policy, played[policy], plan, settings)
    ]
    rows += [exact(EXACT, "topk_recall", at / size, at / size) for at in plan.places]
    return BenchTable(
        command=COMMAND,
        data=data,
        data_sha256=sha256,
        seeds=settings.seeds,
        settings={
            "batch": plan.batch,
            "budget": plan.budget,
            "n_pool": size,
            "n_top": settings.n_top,
            "protocol": protocol.name,
        },
        versions=versions(),
        rows=tuple(rows),
    )


def _plan(settings: ScreenSettings, size: int) -> Plan:
    batch = max(1, round(settings.share * size))
    return Plan(batch, batch * settings.n_batches).within(size)


def _rows(
    policy: str,
    played: Sequence[tuple[Lookup, Trace]],
    plan: Plan,
    settings: ScreenSettings,
) -> Iterator[Row]:
    size = len(played[0][0])
    for at in plan.places:
        pairs = [_found(lookup, trace, at, settings.n_top) for lookup, trace in played]
        by_score, by_row = zip(*pairs, strict=True)
        yield summarise(policy, "topk_recall", at / size, by_score)
        yield summarise(policy, "topk_recall_by_row", at / size, by_row)
    seconds = [float(trace.seconds.sum()) for _, trace in played]
    n_scored = size * len(played[0][1].seconds)
    yield summarise(policy, "seconds", None, seconds)
    rates = [n_scored / max(s, 1e-9) for s in seconds]
    yield summarise(policy, "candidates_per_second", None, rates)
    yield summarise(policy, "peak_mb", None, [trace.peak_mb for _, trace in played])


def _found(lookup: Lookup, trace: Trace, at: int, n_top: int) -> tuple[float, float]:
    worth = lookup.utilities[:, 0]
    worth = np.where(np.isnan(worth), np.nanmin(worth), worth)
    n_top = min(n_top, len(worth))
    # The pool's rows are shuffled: a stable order breaks ties by chance.
    best = np.argsort(-worth, kind="stable")[:n_top]
    rows = trace.rows[:at]
    by_score = min(n_top, int(np.sum(worth[rows] >= worth[best[-1]])))
    return by_score / n_top, len(np.intersect1d(rows, best)) / n_top
