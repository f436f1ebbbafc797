"""Back-test policies on a table: how fast does each find what the table holds?"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path

from labwm.design.candidates import changed_freely
from labwm.design.sources import refuse_unusable, source_from
from labwm.errors import InvalidInputError
from labwm.evaluation.backtest import Plan, Trace
from labwm.evaluation.hidden_failures import with_hidden_failures
from labwm.evaluation.lookup import lookup_from
from labwm.evaluation.paired import difference_row
from labwm.evaluation.planners import require_planner, version_of
from labwm.evaluation.progress import exact_rows, policy_rows, regret_areas
from labwm.evaluation.runs import Progress, Runs, Spread, traces_of
from labwm.evaluation.side_planner import PLANNERS
from labwm.evaluation.table import BenchTable, Row, versions
from labwm.evaluation.yardstick import Yardstick, yardstick_of
from labwm.schema import Measurement, Protocol

COMMAND = "labwm bench optimize"
DEFAULT_POLICIES = ("default", "random")


@dataclass(frozen=True)
class OptimizeSettings:
    """What a back-test compares.

    Attributes:
        plan: Batch, budget and first experiments.
        policies: Names, each once; planners of other packages are among them.
        seeds: Campaigns per policy; their seeds are 0, 1, …
        honours_change: Keep the protocol's hard-to-change parameters at one value per
            batch, as a campaign does. Off by default: published figures on tables
            know no such rule, and random's exact expectation has none.
        jobs: Processes; 1 stays in this one.
        side_python: Interpreter of planners of other packages.
        keep: Folder of kept campaigns: what lies there is not run again.
        spread: Runs campaigns elsewhere; `jobs` processes of this machine when None.
        sources: Earlier assays by name, for policies that lean on them.
        infeasible: Share of the table that fails, in one hidden region; 0 for none.
    """

    plan: Plan
    policies: tuple[str, ...] = DEFAULT_POLICIES
    seeds: int = 20
    honours_change: bool = False
    jobs: int = 1
    side_python: Path | None = None
    keep: Path | None = None
    spread: Spread | None = None
    sources: tuple[tuple[str, tuple[Measurement, ...]], ...] = ()
    infeasible: float = 0.0

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


@dataclass(frozen=True)
class Played:
    """Every campaign of a back-test on one table.

    Attributes:
        protocol: What the campaigns were run for.
        sha256: Digest of the table's measurements.
        plan: Batch and budget, as far as the table allows.
        yardstick: What there was to find.
        traces: Policy to campaigns, by seed.
    """

    protocol: Protocol
    sha256: str
    plan: Plan
    yardstick: Yardstick
    traces: dict[str, list[Trace]]

    def rows(self) -> Iterator[Row]:
        """Yield how each policy fared, random's expectation, and each pair compared."""
        for policy, traces in self.traces.items():
            yield from policy_rows(policy, traces, self.plan, self.yardstick)
        yield from exact_rows(self.plan, self.yardstick)
        areas = {
            policy: regret_areas(traces, self.plan, self.yardstick)
            for policy, traces in self.traces.items()
        }
        for pair in combinations(self.traces, 2):
            both = areas[pair[0]], areas[pair[1]]
            yield difference_row(pair, "regret_area", self.plan.budget, both)


def play_table(
    protocol: Protocol,
    measurements: Sequence[Measurement],
    settings: OptimizeSettings,
    *,
    progress: Progress | None = None,
) -> Played:
    """Run every policy with every seed on a table.

    Raises:
        NotFoundError: If a policy is unknown.
        UnavailableError: If the environment of another package's planner is absent.
        NotEnoughDataError: If the table is too small, or an objective has no number.
    """
    for policy in settings.policies:
        require_planner(policy, protocol, side_python=settings.side_python)
    if not settings.honours_change:
        protocol = changed_freely(protocol)
    lookup = lookup_from(protocol, measurements)
    sources = tuple(source_from(n, lookup.protocol, m) for n, m in settings.sources)
    refuse_unusable(sources, lookup.sha256)
    lookup = replace(lookup, sources=sources)
    if settings.infeasible:
        lookup = with_hidden_failures(lookup, settings.infeasible)
    plan = settings.plan.within(len(lookup))
    runs = Runs(
        lookup,
        plan,
        settings.policies,
        settings.seeds,
        settings.jobs,
        settings.side_python,
        settings.keep,
        settings.spread,
    )
    traces = traces_of(runs, progress)
    yardstick = yardstick_of(lookup, n_max=plan.budget)
    return Played(lookup.protocol, lookup.sha256, plan, yardstick, traces)


def bench_optimize(
    protocol: Protocol,
    measurements: Sequence[Measurement],
    settings: OptimizeSettings,
    *,
    data: str = "",
    progress: Progress | None = None,
) -> BenchTable:
    """Run every policy with every seed on a table and state how each fared.

    Random's exact expectation stands beside the policies as `random_exact`; each pair
    of policies stands as `a - b`, compared seed by seed.

    Args:
        protocol: What an experiment is and what it is wanted for.
        measurements: The table; replicates are drawn from, their mean is the truth.
        settings: Policies, seeds, batch and budget.
        data: Name of the table, for the result.
        progress: Told after each campaign.

    Raises:
        NotFoundError: If a policy is unknown.
        UnavailableError: If the environment of another package's planner is absent.
        NotEnoughDataError: If the table is too small, or an objective has no number.
    """
    played = play_table(protocol, measurements, settings, progress=progress)
    return table_of(played, replace(settings, plan=played.plan), data=data)


def table_of(played: Played, settings: OptimizeSettings, *, data: str) -> BenchTable:
    """Return the figures of campaigns on one table."""
    return BenchTable(
        command=COMMAND,
        data=data,
        data_sha256=played.sha256,
        seeds=settings.seeds,
        settings={
            "batch": settings.plan.batch,
            "budget": settings.plan.budget,
            "n_initial": settings.plan.n_initial or settings.plan.batch,
            "honours_change": settings.honours_change,
            "protocol": played.protocol.name,
            "n_pool": len(played.yardstick.utilities),
            "infeasible": settings.infeasible,
            "sources": ", ".join(name for name, _ in settings.sources),
        },
        versions=versions() | planner_versions(settings),
        rows=tuple(played.rows()),
    )


def planner_versions(settings: OptimizeSettings) -> dict[str, str]:
    """Return the versions of planners of other packages."""
    return {
        policy: version_of(policy, side_python=settings.side_python)
        for policy in settings.policies
        if policy in PLANNERS
    }
