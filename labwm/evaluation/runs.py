"""Run the campaigns of a back-test: here or in several processes, kept or not."""

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from labwm.evaluation.backtest import Plan, Trace, play
from labwm.evaluation.kept_traces import keep_trace, kept_trace, trace_file
from labwm.evaluation.lookup import Lookup
from labwm.evaluation.planners import Planner, planner_of, version_of

Progress = Callable[[str, int, int], None]
"""Called with what is done, how much of it is, and how much there is."""

Done = Iterator[tuple[str, int, Trace]]
"""Campaigns as they are done, in any order: policy, seed, and what it did."""
Spread = Callable[[Lookup, Plan, Sequence[tuple[str, int]]], Done]
"""Runs campaigns, each a policy with a seed, on the table that answers."""


@dataclass(frozen=True)
class Runs:
    """Campaigns on one table.

    Attributes:
        lookup: The table that answers.
        plan: Batch and budget.
        policies: Names, each once.
        seeds: Campaigns per policy; their seeds follow `first_seed`.
        jobs: Processes; 1 stays in this one.
        side_python: Interpreter of planners of other packages; None for labwm's home.
        keep: Folder of kept campaigns: what lies there is not run again.
        spread: Runs campaigns elsewhere; `jobs` processes of this machine when None.
        first_seed: Of the first campaign.
    """

    lookup: Lookup
    plan: Plan
    policies: tuple[str, ...]
    seeds: int
    jobs: int = 1
    side_python: Path | None = None
    keep: Path | None = None
    spread: Spread | None = None
    first_seed: int = 0

    @property
    def all_seeds(self) -> range:
        """Seeds of a policy's campaigns."""
        return range(self.first_seed, self.first_seed + self.seeds)


def traces_of(runs: Runs, progress: Progress | None) -> dict[str, list[Trace]]:
    """Return each policy's campaigns, by seed."""
    wanted = [(p, seed) for p in runs.policies for seed in runs.all_seeds]
    files = _files(runs, wanted)
    done = {one: trace for one in wanted if (trace := _kept(files, one)) is not None}
    missing = [one for one in wanted if one not in done]
    for policy, seed, trace in _campaigns(runs, missing):
        done[policy, seed] = trace
        if (path := files.get((policy, seed))) is not None:
            keep_trace(path, trace)
        if progress:
            progress(f"{policy}, seed {seed}", len(done), len(wanted))
    return {
        policy: [done[policy, seed] for seed in runs.all_seeds]
        for policy in runs.policies
    }


def _files(
    runs: Runs, wanted: Sequence[tuple[str, int]]
) -> dict[tuple[str, int], Path]:
    if runs.keep is None:
        return {}
    version = {p: version_of(p, side_python=runs.side_python) for p in runs.policies}
    return {
        (policy, seed): trace_file(
            runs.keep, runs.lookup, runs.plan, (policy, version[policy]), seed
        )
        for policy, seed in wanted
    }


def _kept(files: dict[tuple[str, int], Path], one: tuple[str, int]) -> Trace | None:
    return kept_trace(files[one]) if one in files else None


def _campaigns(runs: Runs, wanted: Sequence[tuple[str, int]]) -> Done:
    if runs.spread is not None:
        yield from runs.spread(runs.lookup, runs.plan, wanted)
        return
    if runs.jobs == 1 or not wanted:
        planners = {p: planner_of(p, side_python=runs.side_python) for p, _ in wanted}
        for policy, seed in wanted:
            yield policy, seed, _played(runs, planners[policy], seed)
        return
    # Forking a process that has started torch's threads can lock it up.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(
        runs.jobs, context, initializer=_start, initargs=(runs,)
    ) as pool:
        futures = {pool.submit(_campaign, *one): one for one in wanted}
        for future in as_completed(futures):
            policy, seed = futures[future]
            yield policy, seed, future.result()


def _played(runs: Runs, planner: Planner, seed: int) -> Trace:
    return play(runs.lookup, runs.plan, planner, seed=seed)


_given: dict[str, Runs] = {}
"""The table of this worker process: sent once, not with every campaign."""
_planners: dict[str, Planner] = {}
"""Planners of this worker process: one that has a process of its own keeps it."""


def _start(runs: Runs) -> None:
    from threadpoolctl import threadpool_limits

    # One core each: the processes share the machine already.
    threadpool_limits(1)
    _given["runs"] = runs


def _campaign(policy: str, seed: int) -> Trace:
    runs = _given["runs"]
    if policy not in _planners:
        _planners[policy] = planner_of(policy, side_python=runs.side_python)
    return _played(runs, _planners[policy], seed)
