"""`labwm bench practise`: does practice in the virtual lab pay in the real one?"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from labwm.api.commands.bench_parts import cell, material, progress_bar, teller
from labwm.api.terminal import Json, out, refuse_unwritable, side, table, write_json
from labwm.errors import InvalidInputError

if TYPE_CHECKING:
    from labwm.evaluation.practise import Practised
    from labwm.evaluation.table import BenchTable

Tables = Annotated[
    list[str],
    Parameter(
        name="--data",
        negative=(),
        help="Catalogue name or table; repeatable, then also scored together.",
    ),
]
Logs = Annotated[
    list[int],
    Parameter(name="--log", negative=(), help="Rows of the log; repeatable."),
]


def practise(  # noqa: PLR0913 one argument per flag
    *,
    data: Tables,
    protocol: str | None = None,
    log: Logs = [10, 40],  # noqa: B006 only read
    seeds: int = 10,
    budget: int = 100,
    recipe: Literal["default", "explore"] = "explore",
    worlds: int = 128,
    iterations: int = 40,
    jobs: int = 1,
    keep: Path | None = None,
    plots: Path | None = None,
    json: Json = None,
) -> None:
    """Count real experiments to the top 1 % with and without practice.

    Args:
        protocol: Name or file; the catalogue's protocol of the data when not given.
        seeds: Logs of each length.
        budget: Most real experiments after the log.
        recipe: Of the world model that the virtual lab is made of.
        worlds: Worlds that each candidate policy is tried in.
        iterations: Steps of training in the virtual lab.
        jobs: Processes.
        keep: Folder that keeps what each log led to: it is not run again.
        plots: Folder for the plot.
    """
    refuse_unwritable(json)
    if len(set(data)) < len(data):
        raise InvalidInputError(f"A table is named once; got {data}. Leave it out.")
    from labwm.evaluation.practice_arms import Practice
    from labwm.evaluation.practise import PractiseSettings, practise_table
    from labwm.evaluation.practise_plots import practise_plot
    from labwm.evaluation.practise_rows import practise_table_of

    wanted = PractiseSettings(
        tuple(log),
        seeds,
        budget,
        recipe,
        Practice(worlds=worlds, iterations=iterations),
        jobs=jobs,
        keep=keep,
    )
    played: dict[str, Practised] = {}
    for one in data:
        rules, measurements = material(one, protocol)
        with progress_bar() as shown:
            played[one] = practise_table(
                rules, measurements, wanted, progress=teller(shown)
            )
    found = practise_table_of(played, wanted)
    write_json(json, found.to_json())
    if plots is not None:
        plots.mkdir(parents=True, exist_ok=True)
        (plots / "practise.png").write_bytes(practise_plot(played))
        side.print(f"wrote {plots / 'practise.png'}", markup=False)
    _show(found)


def _show(found: "BenchTable") -> None:
    by_place = {(row.data, row.name, row.metric, row.at): row for row in found.rows}
    sets = list(dict.fromkeys(row.data for row in found.rows))
    logs = list(dict.fromkeys(row.at for row in found.rows))
    for metric in ("experiments_to_top1pct", "acceleration", "negative_transfer_rate"):
        rows = [row for row in found.rows if row.metric == metric]
        names = [n for n in dict.fromkeys(r.name for r in rows) if ":" not in n]
        table(
            *("table", "log", *names),
            title=f"{metric}: mean [95 % interval] over {found.seeds} seeds",
            rows=[
                (
                    str(one or found.data),
                    str(at),
                    *(cell(by_place.get((one, name, metric, at))) for name in names),
                )
                for one in sets
                for at in logs
                if any((one, name, metric, at) in by_place for name in names)
            ],
        )
    out.print(f"data sha256 {found.data_sha256}", markup=False)
