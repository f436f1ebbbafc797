"""`labwm bench optimize|predict|env`: policies, models and environments on a table."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

from labwm.api.terminal import Json, out, refuse_unwritable, side, table, write_json
from labwm.errors import InvalidInputError

if TYPE_CHECKING:
    from labwm.data.families import Family
    from labwm.evaluation.optimize import Played
    from labwm.evaluation.table import BenchTable, Row
    from labwm.schema import Measurement, Protocol

Policies = Annotated[
    list[str],
    Parameter(name="--policy", negative=(), help="Policy to compare; repeatable."),
]
Tables = Annotated[
    list[str],
    Parameter(
        name="--data",
        negative=(),
        help="Catalogue name or table; repeatable, then also scored together.",
    ),
]
Models = Annotated[
    list[str],
    Parameter(name="--model", negative=(), help="Model to compare; repeatable."),
]
_SCORES = ("rmse", "r2", "spearman", "nlpd", "crps", "coverage90", "seconds")
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
    plots: Path | None = None,
    json: Json = None,
) -> None:
    """Back-test policies on tables: how fast does each find what they hold?

    Parameters
    ----------
    family: Name or file of a family of tables, scored together; instead of --data.
    half: Tables of the family to run.
    protocol: Name or file; the catalogue's protocol of the data when not given.
    batch: Experiments per round; the family's or the protocol's when not given.
    budget: Experiments per campaign; the family's, or 40, when not given.
    n_initial: Experiments without a model first; one batch when not given.
    seeds: Campaigns per policy.
    jobs: Processes.
    planner_python: Interpreter that has BayBE, Ax or BoFire, for --policy baybe.
    keep: Folder that keeps campaigns: those in it are not run again.
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
        batch = batch or rules.lab.batch_size
    plan = Plan(batch or tables.batch, budget or tables.budget, n_initial)
    wanted = OptimizeSettings(
        plan,
        tuple(policy),
        seeds,
        jobs=jobs,
        side_python=planner_python,
        keep=keep,
    )
    if family is None and len(tables.tables) == 1:
        with _progress() as shown:
            played = play_table(rules, measurements, wanted, progress=_teller(shown))
        found = table_of(played, replace(wanted, plan=played.plan), data=one.data)
        everything = {one.data: played}
    else:
        with _progress() as shown:
            result = bench_family(
                tables,
                wanted,
                lambda table: material(table.data, table.protocol),
                progress=_teller(shown),
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
                (one, *(_cell(by_place.get((one, name, metric))) for name in names))
                for one in sets
            ],
        )
    for metric in ("family_regret_area", "family_regret_ratio"):
        rows = [row for row in found.rows if row.metric == metric]
        if rows:
            table(
                *("policy", "tables", metric),
                rows=[(row.name, str(row.at), _cell(row)) for row in rows],
            )
    out.print(f"data sha256 {found.data_sha256}", markup=False)


def predict(  # noqa: PLR0913 one argument per flag
    *,
    data: str,
    protocol: str | None = None,
    model: Models = ["default", "random_forest", "mean"],  # noqa: B006 only read
    split: str = "random",
    readout: str | None = None,
    seeds: int = 10,
    json: Json = None,
) -> None:
    """Score models on rows that they did not see.

    Parameters
    ----------
    data: Catalogue name or table.
    protocol: Name or file; the catalogue's protocol of the data when not given.
    split: random, or a file with the columns row, fold, role.
    readout: Which one is scored; that of the first objective when not given.
    seeds: Random splits.
    """
    refuse_unwritable(json)
    rules, measurements = material(data, protocol)
    from labwm.evaluation.predict import PredictSettings, bench_predict

    wanted = PredictSettings(tuple(model), split, seeds, readout)
    with _progress() as shown:
        found = bench_predict(
            rules, measurements, wanted, data=data, progress=_teller(shown)
        )
    write_json(json, found.to_json())
    names = list(dict.fromkeys((row.name, row.at) for row in found.rows))
    by_name = {(row.name, row.at, row.metric): row for row in found.rows}
    table(
        *("model", "split", *_SCORES),
        title=f"mean [95 % interval] over {found.seeds} seeds",
        rows=[
            (*name, *(_cell(by_name.get((*name, score))) for score in _SCORES))
            for name in names
        ],
    )
    out.print(f"data sha256 {found.data_sha256}", markup=False)


def env(
    *,
    data: str | None = None,
    protocol: str | None = None,
    rows: int = 500,
    envs: int = 1024,
    budget: int = 48,
    json: Json = None,
) -> None:
    """Time the practice environments: steps per second, resets included.

    Parameters
    ----------
    data: Catalogue name or table; the dyes that ship when not given.
    protocol: Name or file; the catalogue's protocol of the data when not given.
    rows: Rows that the model learns from.
    envs: Environments side by side.
    budget: Experiments of an episode.
    """
    refuse_unwritable(json)
    if data is None:
        from labwm.settings import shipped

        data, protocol = str(shipped("assay_data/xtb_dyes/table.csv")), "xtb_dyes"
    rules, measurements = material(data, protocol)
    from labwm.evaluation.env_speed import measure_env_speed
    from labwm.space import observations_from
    from labwm.virtual_lab.practice import learn_task

    measured = observations_from(rules, measurements)
    side.print("learning …", markup=False)
    task = learn_task(rules, measured, budget=budget, n_learnt=rows)
    found = measure_env_speed(task, num_envs=envs)
    write_json(json, found.to_json())
    table(
        *("what", "figure"),
        title=f"{found.num_envs} environments, a model of {found.n_rows} rows, a pool "
        f"of {found.n_candidates}, {found.n_objectives} objectives",
        rows=[
            ("steps per second, batched", f"{found.steps_per_s:,.0f}"),
            ("steps per second, one by one", f"{found.single_steps_per_s:,.0f}"),
            ("batched over one by one", f"{found.gain:.0f}"),
            ("1,024^3 fp32 products per second", f"{found.products_per_s:.1f}"),
            ("steps per product", f"{found.steps_per_s / found.products_per_s:,.0f}"),
            ("seconds to prepare the pool, once", f"{found.prepare_s:.1f}"),
        ],
    )


def material(
    data: str, protocol: str | None
) -> tuple["Protocol", tuple["Measurement", ...]]:
    """Return the protocol and the measurements that a bench works on.

    Raises:
        InvalidInputError: If no protocol is named and the catalogue knows none.
    """
    from labwm.data.assay import read_assay
    from labwm.data.catalogue import catalogue
    from labwm.data.protocols import load_protocol

    entry = catalogue().get(data)
    name = protocol or (entry.protocol if entry else None)
    if name is None:
        raise InvalidInputError(
            f"A bench needs to know what an experiment is; no protocol comes with "
            f"{data!r}. Name one with --protocol, or write it with `labwm protocol "
            f"init {data} --target COLUMN`."
        )
    rules = load_protocol(name)
    assay = read_assay(data, rules)
    side.print(assay.text(), markup=False)
    return rules, assay.measurements


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=side,
        transient=True,
    )


def _teller(shown: Progress) -> Callable[[str, int, int], None]:
    bar = shown.add_task("starting")

    def tell(what: str, n_done: int, n_all: int) -> None:
        shown.update(bar, description=what, completed=n_done, total=n_all)

    return tell


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
            (name, *(_cell(by_place.get((name, at))) for at in shown)) for name in names
        ],
    )
    singles = [row for row in found.rows if row.metric in _SINGLES]
    table(
        *("policy", *_SINGLES),
        rows=[
            (name, *(_cell(_of(singles, name, metric)) for metric in _SINGLES))
            for name in names
        ],
    )
    out.print(f"data sha256 {found.data_sha256}", markup=False)


_SINGLES = (
    "experiments_to_threshold",
    "regret_area",
    "first_batch_percentile",
    "coverage90",
    "seconds_per_recommendation",
)


def _of(rows: list["Row"], name: str, metric: str) -> "Row | None":
    return next((r for r in rows if (r.name, r.metric) == (name, metric)), None)


def _cell(row: "Row | None") -> str:
    if row is None or row.mean is None:
        return "–"
    if row.n == 0 or row.low is None or row.high is None:
        return f"{row.mean:.4g}"
    return f"{row.mean:.4g} [{row.low:.4g}, {row.high:.4g}]"
