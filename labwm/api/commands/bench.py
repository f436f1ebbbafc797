"""`labwm bench optimize|predict|env`: policies, models and environments on a table."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

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
    from labwm.evaluation.table import BenchTable, Row
    from labwm.schema import Measurement, Protocol

Policies = Annotated[
    list[str],
    Parameter(name="--policy", negative=(), help="Policy to compare; repeatable."),
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
    data: str,
    protocol: str | None = None,
    policy: Policies = ["default", "random"],  # noqa: B006 cyclopts reads it
    batch: int | None = None,
    budget: int = 40,
    n_initial: int | None = None,
    seeds: int = 20,
    jobs: int = 1,
    json: Json = None,
) -> None:
    """Back-test policies on a table: how fast does each find what it holds?

    Parameters
    ----------
    data: Catalogue name or table.
    protocol: Name or file; the catalogue's protocol of the data when not given.
    batch: Experiments per round; the protocol's when not given.
    budget: Experiments per campaign.
    n_initial: Experiments without a model first; one batch when not given.
    seeds: Campaigns per policy.
    jobs: Processes.
    """
    refuse_unwritable(json)
    rules, measurements = material(data, protocol)
    from labwm.evaluation.backtest import Plan
    from labwm.evaluation.optimize import OptimizeSettings, bench_optimize

    plan = Plan(rules.lab.batch_size if batch is None else batch, budget, n_initial)
    wanted = OptimizeSettings(plan, tuple(policy), seeds, jobs=jobs)
    with _progress() as shown:
        found = bench_optimize(
            rules, measurements, wanted, data=data, progress=_teller(shown)
        )
    write_json(json, found.to_json())
    if (most := found.settings.get("budget")) != budget:
        side.print(
            f"note: the table answers {most} experiments, fewer than the budget of "
            f"{budget}; campaigns end there.",
            markup=False,
        )
    _show(found, rules)


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
