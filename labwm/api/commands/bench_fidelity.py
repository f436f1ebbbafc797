"""`labwm bench fidelity`: the virtual lab beside the real one."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from labwm.api.commands.bench_parts import cell, material, progress_bar, teller
from labwm.api.terminal import Json, out, refuse_unwritable, side, table, write_json
from labwm.errors import InvalidInputError

if TYPE_CHECKING:
    from labwm.evaluation.fidelity.bench import TableFidelity
    from labwm.evaluation.table import BenchTable, Row

Tables = Annotated[
    list[str],
    Parameter(
        name="--data",
        negative=(),
        help="Catalogue name or table, its protocol after an @; repeatable.",
    ),
]
Panel = Annotated[
    list[str],
    Parameter(name="--policy", negative=(), help="Of the frozen panel; repeatable."),
]
_SCORES = ("pearson", "spearman", "kendall", "mmrv", "regret_at_1", "value_bias")


def fidelity(  # noqa: PLR0913 one argument per flag
    *,
    data: Tables,
    protocol: str | None = None,
    recipe: Literal["default", "explore"] = "default",
    behaviour: Literal["leaning", "lower_half", "corner", "random"] = "leaning",
    rows: int | None = None,
    logs: int = 3,
    policy: Panel = [],  # noqa: B006 only read
    seeds: int = 200,
    budget: int = 40,
    n_initial: int = 5,
    returned: Literal["area", "best"] = "area",
    unbounded: bool = False,
    jobs: int = 1,
    keep: Path | None = None,
    plots: Path | None = None,
    json: Json = None,
) -> None:
    """Play a panel of policies in the model of a small biased log, and in the table.

    Args:
        protocol: Name or file, of a single table; the catalogue's when not given.
        recipe: Of the world model.
        behaviour: Who measured the log: leaning takes worse rows more often, lower_half
            the worse half, corner the rows around one.
        rows: Of a log; 5 % of the table, within 20 and 200, when not given.
        logs: Logs, each with a model of its own.
        seeds: Campaigns of each policy in each lab, for each log.
        budget: Experiments of a campaign.
        n_initial: The first of them, drawn at random.
        returned: What a policy is valued by: area under the best so far, or the best.
        unbounded: Let worlds play values beyond a readout's declared bounds.
        jobs: Processes.
        keep: Folder that keeps campaigns: those in it are not played again.
        plots: Folder for plots.
    """
    refuse_unwritable(json)
    if protocol is not None and len(data) > 1:
        raise InvalidInputError(
            f"--protocol is for one table; got {len(data)}. Write each table's after "
            "an @, as in NAME@PROTOCOL."
        )
    from labwm.evaluation.fidelity.arena import WorldPlan
    from labwm.evaluation.fidelity.bench import (
        FidelitySettings,
        bench_table,
        compare_labs,
    )

    wanted = FidelitySettings(
        world=WorldPlan(recipe, is_bounded=not unbounded),
        behaviour=behaviour,
        n_log=rows,
        logs=logs,
        policies=tuple(policy),
        seeds=seeds,
        budget=budget,
        n_initial=n_initial,
        returned=returned,
        jobs=jobs,
        keep=keep,
    )
    named = [one.partition("@") for one in data]
    tables = [(name, *material(name, own or protocol)) for name, _, own in named]
    found: list[TableFidelity] = []
    for name, rules, measurements in tables:
        with progress_bar() as shown:
            found.append(
                compare_labs(
                    rules, measurements, wanted, data=name, progress=teller(shown)
                )
            )
    result = bench_table(found, wanted)
    write_json(json, result.to_json())
    _draw(found, plots)
    for one in found:
        _show(one)
    if len(found) > 1:
        _show_medians(result)
    out.print(f"data sha256 {result.data_sha256}", markup=False)


def _draw(found: "list[TableFidelity]", folder: Path | None) -> None:
    if folder is None:
        return
    from labwm.evaluation.fidelity.plots import agreement_plot

    folder.mkdir(parents=True, exist_ok=True)
    for one in found:
        path = folder / f"fidelity_{Path(one.report.data).stem}.png"
        path.write_bytes(agreement_plot(one))
        side.print(f"wrote {path}", markup=False)


def _show(one: "TableFidelity") -> None:
    report = one.report
    table(
        *("policy", "virtual", "real"),
        title=f"{report.data}: value ({report.returned}) of {report.n_logs} logs x "
        f"{report.n_seeds} seeds, ± standard error; {report.n_apart} policies more "
        "than two standard errors apart in the real table",
        rows=[
            (
                p.policy,
                f"{p.virtual:.4g} ± {p.virtual_error or 0:.2g}",
                f"{p.real:.4g} ± {p.real_error or 0:.2g}",
            )
            for p in report.policies
        ],
    )
    without = {r.metric: r for r in one.rows if r.at == "without_trivial"}
    by_metric = {r.metric: r for r in one.rows if r.at is None}
    rows: list[tuple[str, ...]] = []
    for name in _SCORES:
        figure = report.figure(name)
        assert figure is not None  # every report has them
        rows.append(
            (
                name,
                cell(by_metric.get(name)),
                cell(without.get(name)),
                "" if figure.floor is None else f"{figure.floor:.3g}",
                _verdict(figure.aim, figure.is_met),
            )
        )
    table(
        *("measure", "all policies", "that learn", "two real halves", "aim"),
        title=f"{report.data}: agreement, recipe {report.recipe}",
        rows=rows,
    )
    powered: list[Row] = [r for r in one.rows if r.metric.startswith("ppi_")]
    for row in powered:
        out.print(f"{row.metric} with {row.at} real campaigns: {cell(row)}")


def _verdict(aim: float | None, is_met: bool | None) -> str:
    if aim is None:
        return ""
    return f"{aim:.3g}: {'met' if is_met else 'lost'}"


def _show_medians(found: "BenchTable") -> None:
    medians = {
        (r.metric, str(r.at)): r
        for r in found.rows
        if str(r.at).startswith("median of tables")
    }
    table(
        *("measure", "all policies", "that learn"),
        title="median of tables",
        rows=[
            (
                name,
                cell(medians.get((name, "median of tables"))),
                cell(medians.get((name, "median of tables, without_trivial"))),
            )
            for name in _SCORES
        ],
    )
