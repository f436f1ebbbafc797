"""`labwm bench dynamics`: models of curves on curves that they did not see."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from labwm.api.commands.bench_parts import cell, progress_bar, protocol_of, teller
from labwm.api.terminal import Json, out, refuse_unwritable, side, table, write_json

if TYPE_CHECKING:
    from labwm.evaluation.table import BenchTable

Models = Annotated[
    list[str],
    Parameter(name="--model", negative=(), help="Model to compare; repeatable."),
]
Series = Annotated[
    list[str],
    Parameter(
        name="--series",
        negative=(),
        help="Condition that the curves of a series share, repeatable: scores how "
        "little each series fits the others.",
    ),
]


def dynamics(  # noqa: PLR0913 one argument per flag
    *,
    data: str,
    protocol: str | None = None,
    model: Models = ["default", "parametric", "last_value", "mean_curve"],  # noqa: B006
    split: Literal["auto", "condition", "curve"] = "auto",
    readout: str | None = None,
    seeds: int = 5,
    series: Series = [],  # noqa: B006 only read
    plots: Path | None = None,
    json: Json = None,
) -> None:
    """Score models of curves: from conditions alone, and from the first quarter.

    Args:
        data: Catalogue name or table, one row per read.
        protocol: Name or file; the catalogue's protocol of the data when not given.
        split: condition keeps curves of equal conditions together, curve does not; auto
            is condition from ten distinct ones on.
        readout: Which one is scored; that of the first objective when not given.
        seeds: Splits to draw, a fifth of the curves asked about in each.
        plots: Folder for curves with what was said of them.
    """
    refuse_unwritable(json)
    rules = protocol_of(data, protocol)
    from labwm.data.curves import read_curves

    assay = read_curves(data, rules)
    side.print(assay.report.text(), markup=False)
    from labwm.evaluation.dynamics import DynamicsSettings, compare_dynamics

    wanted = DynamicsSettings(tuple(model), split, seeds, readout, tuple(series))
    with progress_bar() as shown:
        found = compare_dynamics(
            assay.curves, rules, wanted, data=data, progress=teller(shown)
        )
    write_json(json, found.table.to_json())
    _show(found.table, tuple(model))
    if plots is not None:
        from labwm.evaluation.dynamics_plots import write_dynamics_plots

        for path in write_dynamics_plots(found, plots):
            out.print(f"wrote {path}", markup=False)
    out.print(f"data sha256 {found.table.data_sha256}", markup=False)


def _show(found: "BenchTable", models: tuple[str, ...]) -> None:
    places = {0.0: "all, none seen", 0.25: "last, quarter seen"}
    places |= {float(h): f"{h} ahead" for h in (1, 2, 4, 8)}
    for metric in ("crps", "coverage90", "mae"):
        table(
            *("model", *places.values()),
            title=f"{metric}: mean [95 % interval] over {found.seeds} splits by "
            f"{found.settings['split']}",
            rows=[
                (name, *(cell(found.get(name, metric, at)) for at in places))
                for name in models
            ],
        )
    saved = [row for row in found.rows if row.metric == "crps_saved"]
    wanted = [row for row in saved if str(row.at).endswith(("/0.25", "/0"))]
    table(
        *("baseline / place", "share of its CRPS saved"),
        rows=[(str(row.at), cell(row)) for row in wanted],
    )
    if odd := [row for row in found.rows if row.metric == "surprise"]:
        table(
            *("series", "surprise", "curves"),
            title="series that fit the others least; above 3 is worth a look",
            rows=[(str(row.at), cell(row), str(row.n)) for row in odd[:8]],
        )
    table(
        *("model", "seconds"),
        rows=[(name, cell(found.get(name, "seconds"))) for name in models],
    )
