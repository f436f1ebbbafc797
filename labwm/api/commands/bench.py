"""`labwm bench optimize`: policies on a table, and what every bench shares."""

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
    with bar() as shown:
        found = bench_optimize(
            rules, measurements, wanted, data=data, progress=teller(shown)
        )
    write_json(json, found.to_json())
    if (most := found.settings.get("budget")) != budget:
        side.print(
            f"note: the table answers {most} experiments, fewer than the budget of "
            f"{budget}; campaigns end there.",
            markup=False,
        )
    _show(found, rules)


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


def bar() -> Progress:
    """Return a progress bar that goes away when it is done."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=side,
        transient=True,
    )


def teller(shown: Progress) -> Callable[[str, int, int], None]:
    """Return what a bench tells its progress to."""
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
            (name, *(cell(by_place.get((name, at))) for at in shown)) for name in names
        ],
    )
    singles = [row for row in found.rows if row.metric in _SINGLES]
    table(
        *("policy", *_SINGLES),
        rows=[
            (name, *(cell(_of(singles, name, metric)) for metric in _SINGLES))
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


def cell(row: "Row | None") -> str:
    """Return a figure with its interval as people read it."""
    if row is None or row.mean is None:
        return "–"
    if row.n == 0 or row.low is None or row.high is None:
        return f"{row.mean:.4g}"
    return f"{row.mean:.4g} [{row.low:.4g}, {row.high:.4g}]"
