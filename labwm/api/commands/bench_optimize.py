"""`labwm bench optimize`: policies on tables and families of tables."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from labwm.api.commands.bench_parts import (
    Policies,
    cell,
    material,
    progress_bar,
    teller,
)
from labwm.api.terminal import Json, out, refuse_unwritable, side, table, write_json
from labwm.errors import InvalidInputError

if TYPE_CHECKING:
    from labwm.data.families import Family
    from labwm.evaluation.optimize import Played
    from labwm.evaluation.table import BenchTable, Row
    from labwm.schema import Measurement, Protocol

Tables = Annotated[
    list[str],
    Parameter(
        name="--data",
        negative=(),
        help="Catalogue name or table; repeatable, then also scored together.",
    ),
]
Sources = Annotated[
    list[str],
    Parameter(
        name="--source",
        negative=(),
        help="Earlier assay of the same columns that policies lean on; repeatable.",
    ),
]
_MOST_COLUMNS = 6
_SHARES = (0.05, 0.15, 0.25, 0.5, 1.0)


def optimize(  # noqa: PLR0913 one argument per flag
    *,
    data: Tables = [],  # noqa: B006 cyclopts reads it
    family: str | None = None,
    half: Literal["all", "choose", "report"] = "all",
    protocol: str | None = None,
    policy: Policies = ["default", "random"],  # noqa: B006 cyclopts reads it
    batch: int | None = None,
    budget: int | None = None,
    n_initial: int | None = None,
    seeds: int = 20,
    jobs: int = 1,
    planner_python: Path | None = None,
    keep: Path | None = None,
    source: Sources = [],  # noqa: B006 cyclopts reads it
    infeasible: float = 0.0,
    plots: Path | None = None,
    json: Json = None,
) -> None:
    """Back-test policies on tables: how fast does each find what they hold?

    Args:
        family: Name or file of a family of tables, scored together; instead of --data.
        half: Tables of the family to run.
        protocol: Name or file; the catalogue's protocol of the data when not given.
        batch: Experiments per round; the family's or the protocol's when not given.
        budget: Experiments per campaign; the family's, or 40, when not given.
        n_initial: Experiments without a model first; one batch when not given.
        seeds: Campaigns per policy.
        jobs: Processes.
        planner_python: Interpreter that has BayBE, Ax or BoFire, for --policy baybe, ax
            or bofire.
        keep: Folder that keeps campaigns: those in it are not run again.
        infeasible: Share of each table that fails, in one region that nobody is told
            of; --policy failure_blind is the default policy that does not learn of
            failures.
        plots: Folder for plots.
    """
    refuse_unwritable(json)
    tables = _family(data, family, half, protocol)
    one = tables.tables[0]
    rules, measurements = material(one.data, one.protocol)
    from labwm.evaluation.backtest import Plan
    from labwm.evaluation.family import bench_family
    from labwm.evaluation.optimize import OptimizeSettings, play_table, table_of

    if family is None:
        batch = rules.lab.batch_size if batch is None else batch
    plan = Plan(
        tables.batch if batch is None else batch,
        tables.budget if budget is None else budget,
        n_initial,
    )
    wanted = OptimizeSettings(
        plan,
        tuple(policy),
        seeds,
        jobs=jobs,
        side_python=planner_python,
        keep=keep,
        sources=_sources(source, rules, family, tables),
        infeasible=infeasible,
    )
    if family is None and len(tables.tables) == 1:
        with progress_bar() as shown:
            played = play_table(rules, measurements, wanted, progress=teller(shown))
        found = table_of(played, replace(wanted, plan=played.plan), data=one.data)
        everything = {one.data: played}
    else:
        with progress_bar() as shown:
            result = bench_family(
                tables,
                wanted,
                lambda table: material(table.data, table.protocol),
                progress=teller(shown),
            )
        found, everything = result.table, result.played
    write_json(json, found.to_json())
    _draw(everything, plots, tables.name)
    for name, played in everything.items():
        if played.plan.budget != plan.budget:
            side.print(
                f"note: the table {name} answers {played.plan.budget} experiments, "
                f"fewer than the budget of {plan.budget}; campaigns end there.",
                markup=False,
            )
    if len(everything) == 1 and family is None:
        _show(found, rules)
    else:
        _show_family(found)


def _sources(
    named: list[str], rules: "Protocol", family: str | None, tables: "Family"
) -> "tuple[tuple[str, tuple[Measurement, ...]], ...]":
    if named and (family is not None or len(tables.tables) > 1):
        raise InvalidInputError(
            "Sources are of one table; got --source with several tables. Run one "
            "--data at a time."
        )
    from labwm.data.assay import read_assay

    return tuple((name, read_assay(name, rules).measurements) for name in named)


def _family(
    data: list[str], family: str | None, half: str, protocol: str | None
) -> "Family":
    from labwm.data.families import Family, FamilyTable, load_family

    if bool(data) == (family is not None):
        raise InvalidInputError(
            "A back-test names its tables by --data or by --family; got "
            f"{'both' if data else 'neither'}. Give one of them."
        )
    if family is None:
        # The name of a table may be a path, which is no name of a vote.
        return Family(
            name="tables",
            batch=1,
            budget=40,
            tables=tuple(
                FamilyTable(data=one, protocol=protocol, vote=f"table{i}")
                for i, one in enumerate(data)
            ),
        )
    if protocol is not None:
        raise InvalidInputError(
            f"A family names the protocols of its tables; got --protocol {protocol}. "
            "Leave it out."
        )
    found = load_family(family)
    own = tuple(one for one in found.tables if half in ("all", one.half))
    if not own:
        raise InvalidInputError(
            f"A half of a family holds tables; {found.name!r} has none in {half!r}. "
            "Leave --half out."
        )
    return found.model_copy(update={"tables": own})


def _draw(played: "Mapping[str, Played]", folder: Path | None, name: str) -> None:
    if folder is None:
        return
    from labwm.evaluation.optimize_plots import campaigns_plot, family_plot

    folder.mkdir(parents=True, exist_ok=True)
    for data, one in played.items():
        path = folder / f"{Path(data).stem}.png"
        path.write_bytes(campaigns_plot(one, data=Path(data).stem))
        side.print(f"wrote {path}", markup=False)
    if len(played) > 1:
        (folder / "family.png").write_bytes(family_plot(played, name=name))
        side.print(f"wrote {folder / 'family.png'}", markup=False)


def _show_family(found: "BenchTable") -> None:
    by_place = {(row.data, row.name, row.metric): row for row in found.rows}
    sets = list(dict.fromkeys(row.data for row in found.rows if row.data))
    names = [
        row.name for row in found.rows if (row.data, row.metric) == (sets[0], "peak_mb")
    ]
    for metric in ("regret_area", "topk_recall", "first_batch_percentile"):
        table(
            *("table", *names),
            title=f"{metric}: mean [95 % interval] over {found.seeds} seeds",
            rows=[
                (one, *(cell(by_place.get((one, name, metric))) for name in names))
                for one in sets
            ],
        )
    for metric in ("family_regret_area", "family_regret_ratio"):
        rows = [row for row in found.rows if row.metric == metric]
        if rows:
            table(
                *("policy", "tables", metric),
                rows=[(row.name, str(row.at), cell(row)) for row in rows],
            )
    out.print(f"data sha256 {found.data_sha256}", markup=False)


def _show(found: "BenchTable", protocol: "Protocol") -> None:
    metric = "hypervolume" if len(protocol.objectives) > 1 else "best"
    rows = [row for row in found.rows if row.metric == metric]
    ends = sorted({row.at for row in rows if isinstance(row.at, int | float)})
    budget = ends[-1]
    nearest = {min(ends, key=lambda at: abs(at - share * budget)) for share in _SHARES}
    shown = ends if len(ends) <= _MOST_COLUMNS else sorted(nearest)
    names = list(dict.fromkeys(row.name for row in rows))
    by_place = {(row.name, row.at): row for row in rows}
    table(
        *("policy", *(f"at {at:g}" for at in shown)),
        title=f"{metric} after so many experiments: mean [95 % interval] over "
        f"{found.seeds} seeds",
        rows=[
            (name, *(cell(by_place.get((name, at))) for at in shown)) for name in names
        ],
    )
    singles = [row for row in found.rows if row.metric in _SINGLES]
    shown_singles = [s for s in _SINGLES if any(row.metric == s for row in singles)]
    table(
        *("policy", *shown_singles),
        rows=[
            (name, *(cell(_of(singles, name, metric)) for metric in shown_singles))
            for name in names
        ],
    )
    out.print(f"data sha256 {found.data_sha256}", markup=False)


_SINGLES = (
    "experiments_to_threshold",
    "regret_area",
    "first_batch_percentile",
    "failed_share",
    "coverage90",
    "seconds_per_recommendation",
)


def _of(rows: list["Row"], name: str, metric: str) -> "Row | None":
    return next((r for r in rows if (r.name, r.metric) == (name, metric)), None)
