"""Back-test policies on a family of tables, and score them over all of it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from labwm.data.families import Family, FamilyTable
from labwm.evaluation.optimize import (
    COMMAND,
    OptimizeSettings,
    Played,
    planner_versions,
    play_table,
)
from labwm.evaluation.paired import family_rows
from labwm.evaluation.progress import regret_areas
from labwm.evaluation.runs import Progress
from labwm.evaluation.table import BenchTable, Row, versions
from labwm.schema import Measurement, Protocol
from labwm.schema.record import sha256_of

Material = Callable[[FamilyTable], tuple[Protocol, Sequence[Measurement]]]
"""Reads one table of a family."""


@dataclass(frozen=True)
class FamilyResult:
    """A family's figures, and what plots need.

    Attributes:
        table: The long table; rows name the set that they are of, the family's none.
        played: Campaigns by set.
    """

    table: BenchTable
    played: Mapping[str, Played]


def bench_family(
    family: Family,
    settings: OptimizeSettings,
    material: Material,
    *,
    progress: Progress | None = None,
) -> FamilyResult:
    """Run every policy with every seed on every table of a family.

    Args:
        family: Tables and votes.
        settings: Policies, seeds, batch and budget of every table.
        material: Reads one table.
        progress: Told after each campaign.

    Raises:
        NotFoundError: If a policy or a table is unknown.
        UnavailableError: If the environment of another package's planner is absent.
        NotEnoughDataError: If a table is too small, or an objective has no number.
    """
    played: dict[str, Played] = {}
    rows: list[Row] = []
    for one in family.tables:
        protocol, measurements = material(one)
        tell = None if progress is None else _of_table(one.data, progress)
        played[one.data] = play_table(protocol, measurements, settings, progress=tell)
        rows += [replace(row, data=one.data) for row in played[one.data].rows()]
    rows += score_rows(family, settings.policies, played)
    table = BenchTable(
        command=COMMAND,
        data=family.name,
        data_sha256=sha256_of(sorted(one.sha256 for one in played.values())),
        seeds=settings.seeds,
        settings={
            "batch": settings.plan.batch,
            "budget": settings.plan.budget,
            "honours_change": settings.honours_change,
            "n_tables": len(family.tables),
            "n_votes": len({one.vote for one in family.tables}),
            "family_sha256": family.digest(),
        },
        versions=versions() | planner_versions(settings),
        rows=tuple(rows),
    )
    return FamilyResult(table, played)


def score_rows(
    family: Family, policies: Iterable[str], played: Mapping[str, Played]
) -> list[Row]:
    """Return the scores over all tables and over each half, by votes."""
    halves = [("all", family.tables)]
    for half in ("choose", "report"):
        own = tuple(one for one in family.tables if one.half == half)
        if own and len(own) < len(family.tables):
            halves.append((half, own))
    rows: list[Row] = []
    for half, tables in halves:
        areas = {policy: _areas(policy, tables, played) for policy in policies}
        rows += family_rows(areas, half=half)
    return rows


def _areas(
    policy: str, tables: Sequence[FamilyTable], played: Mapping[str, Played]
) -> dict[str, list[NDArray[np.float64]]]:
    votes: dict[str, list[NDArray[np.float64]]] = {}
    for one in tables:
        of_table = played[one.data]
        votes.setdefault(one.vote, []).append(
            regret_areas(of_table.traces[policy], of_table.plan, of_table.yardstick)
        )
    return votes


def _of_table(data: str, progress: Progress) -> Progress:
    return lambda what, i, n: progress(f"{data}: {what}", i, n)
