"""Back-test policies on a table: how fast does each find what the table holds?"""

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace

from labwm.design.candidates import changed_freely
from labwm.design.propose import require_policy
from labwm.errors import InvalidInputError
from labwm.evaluation.backtest import Plan, Trace, backtest
from labwm.evaluation.lookup import Lookup, lookup_from
from labwm.evaluation.progress import exact_rows, policy_rows
from labwm.evaluation.table import BenchTable, Row, versions
from labwm.evaluation.yardstick import yardstick_of
from labwm.schema import Measurement, Protocol

Progress = Callable[[str, int, int], None]
"""Called with what is done, how much of it is, and how much there is."""

Campaigns = Callable[
    [Lookup, Plan, list[tuple[str, int]]], Iterator[tuple[str, int, Trace]]
]
"""Runs campaigns, each a policy with a seed, and yields what each did, in any order."""

COMMAND = "labwm bench optimize"
DEFAULT_POLICIES = ("default", "random")


@dataclass(frozen=True)
class OptimizeSettings:
    """What a back-test compares.

    Attributes:
        plan: Batch, budget and first experiments.
        policies: Names, each once.
        seeds: Campaigns per policy; their seeds are 0, 1, …
        honours_change: Keep the protocol's hard-to-change parameters at one value per
            batch, as a campaign does. Off by default: published figures on tables
            know no such rule, and random's exact expectation has none.
        jobs: Processes; 1 stays in this one.
    """

    plan: Plan
    policies: tuple[str, ...] = DEFAULT_POLICIES
    seeds: int = 20
    honours_change: bool = False
    jobs: int = 1

    def __post_init__(self) -> None:
        if self.seeds < 1 or self.jobs < 1:
            raise InvalidInputError(
                "A back-test needs at least one seed and one job; got "
                f"seeds={self.seeds}, jobs={self.jobs}. Ask for 1 or more."
            )
        if not self.policies or len(set(self.policies)) < len(self.policies):
            raise InvalidInputError(
                "A back-test needs policies, each named once; got "
                f"{list(self.policies)}. Remove the repeats."
            )


def bench_optimize(
    protocol: Protocol,
    measurements: Sequence[Measurement],
    settings: OptimizeSettings,
    *,
    data: str = "",
    progress: Progress | None = None,
    campaigns: Campaigns | None = None,
) -> BenchTable:
    """Run every policy with every seed on a table and state how each fared.

    Random's exact expectation stands beside the policies as `random_exact`.

    Args:
        protocol: What an experiment is and what it is wanted for.
        measurements: The table; replicates are drawn from, their mean is the truth.
        settings: Policies, seeds, batch and budget.
        data: Name of the table, for the result.
        progress: Told after each campaign.
        campaigns: What runs them elsewhere; this machine's processes when not given.

    Raises:
        NotFoundError: If a policy is unknown.
        NotEnoughDataError: If the table is too small, or an objective has no number.
    """
    for policy in settings.policies:
        require_policy(policy)
    if not settings.honours_change:
        protocol = changed_freely(protocol)
    lookup = lookup_from(protocol, measurements)
    settings = replace(settings, plan=settings.plan.within(len(lookup)))
    yardstick = yardstick_of(lookup, n_max=settings.plan.budget)
    rows: list[Row] = []
    traces = _traces(lookup, settings, progress, campaigns)
    for policy in settings.policies:
        rows += policy_rows(policy, traces[policy], settings.plan, yardstick)
    rows += exact_rows(settings.plan, yardstick)
    return BenchTable(
        command=COMMAND,
        data=data,
        data_sha256=lookup.sha256,
        seeds=settings.seeds,
        settings={
            "batch": settings.plan.batch,
            "budget": settings.plan.budget,
            "n_initial": settings.plan.n_initial or settings.plan.batch,
            "honours_change": settings.honours_change,
            "protocol": protocol.name,
            "n_pool": len(lookup),
        },
        versions=versions(),
        rows=tuple(rows),
    )


def _traces(
    lookup: Lookup,
    settings: OptimizeSettings,
    progress: Progress | None,
    campaigns: Campaigns | None,
) -> dict[str, list[Trace]]:
    wanted = [(p, seed) for p in settings.policies for seed in range(settings.seeds)]
    done: dict[tuple[str, int], Trace] = {}
    ran = (
        _campaigns(lookup, settings, wanted)
        if campaigns is None
        else campaigns(lookup, settings.plan, wanted)
    )
    for policy, seed, trace in ran:
        done[policy, seed] = trace
        if progress:
            progress(f"{policy}, seed {seed}", len(done), len(wanted))
    return {
        policy: [done[policy, seed] for seed in range(settings.seeds)]
        for policy in settings.policies
    }


def _campaigns(
    lookup: Lookup, settings: OptimizeSettings, wanted: list[tuple[str, int]]
) -> Iterator[tuple[str, int, Trace]]:
    if settings.jobs == 1:
        for policy, seed in wanted:
            yield (
                policy,
                seed,
                backtest(lookup, settings.plan, policy=policy, seed=seed),
            )
        return
    # Forking a process that has started torch's threads can lock it up.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(
        settings.jobs, context, initializer=_start, initargs=(lookup, settings.plan)
    ) as pool:
        futures = {pool.submit(_campaign, *one): one for one in wanted}
        for future in as_completed(futures):
            policy, seed = futures[future]
            yield policy, seed, future.result()


_given: dict[str, tuple[Lookup, Plan]] = {}
"""The table of this worker process: sent once, not with every campaign."""


def _start(lookup: Lookup, plan: Plan) -> None:
    from threadpoolctl import threadpool_limits

    # One core each: the processes share the machine already.
    threadpool_limits(1)
    _given["table"] = (lookup, plan)


def _campaign(policy: str, seed: int) -> Trace:
    lookup, plan = _given["table"]
    return backtest(lookup, plan, policy=policy, seed=seed)
