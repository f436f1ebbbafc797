"""`labwm bench offpolicy`: value a policy from another's log."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from labwm.api.commands.bench_parts import cell, material, progress_bar, teller
from labwm.api.terminal import Json, out, refuse_unwritable, side, table, write_json

if TYPE_CHECKING:
    from labwm.evaluation.lookup import Lookup
    from labwm.evaluation.offpolicy.behaviour_log import BehaviourLog
    from labwm.evaluation.offpolicy.bench import OffPolicyResult

Logs = Annotated[
    list[str],
    Parameter(
        name="--log",
        negative=(),
        help="File with the columns campaign, order and row or conditions; or "
        "direct_arylation_game, direct_arylation_bo_runs, worst_half; repeatable.",
    ),
]
_SCORES = ("value_error", "value_bias", "rank_correlation", "coverage90",
           "width_ratio", "vacuous_share")  # fmt: skip


def offpolicy(  # noqa: PLR0913 one argument per flag
    *,
    data: str,
    log: Logs,
    protocol: str | None = None,
    recipe: Literal["default", "explore"] = "default",
    rows: int = 100,
    measured: int = 20,
    block: int = 10,
    seeds: int = 10,
    plots: Path | None = None,
    json: Json = None,
) -> None:
    """Value what a policy chose by a model of what another one measured.

    Args:
        data: Catalogue name or table that answers.
        protocol: Name or file; the catalogue's protocol of the data when not given.
        recipe: Of the world model.
        rows: Distinct rows of a log that are learnt from.
        measured: Experiments of a judged policy that are measured.
        block: Experiments of a campaign that count as one policy.
        seeds: Logs drawn of each behaviour.
        plots: Folder for plots.
    """
    refuse_unwritable(json)
    rules, measurements = material(data, protocol)
    from labwm.evaluation.offpolicy.bench import (
        OffPolicySettings,
        judge_policies,
        table_of,
    )

    wanted = OffPolicySettings(recipe, rows, measured, block, seeds)
    lookup = table_of(rules, measurements)
    logs = [one for name in log for one in _logs(name, lookup)]
    with progress_bar() as shown:
        found = judge_policies(lookup, logs, wanted, data=data, progress=teller(shown))
    write_json(json, found.table.to_json())
    for note in found.notes:
        side.print(f"note: {note}", markup=False)
    _draw(found, plots)
    _show(found)


def _logs(name: str, lookup: "Lookup") -> "list[BehaviourLog]":
    from labwm.evaluation.offpolicy.behaviour_log import (
        WORST_HALF,
        read_logs,
        worst_half,
    )
    from labwm.evaluation.offpolicy.public_logs import PUBLIC

    if name == WORST_HALF:
        return [worst_half(lookup)]
    if name in PUBLIC:
        return [PUBLIC[name](lookup)]
    return read_logs(Path(name), lookup)


def _draw(found: "OffPolicyResult", folder: Path | None) -> None:
    if folder is None:
        return
    from labwm.evaluation.offpolicy.plots import support_plot, values_plot

    folder.mkdir(parents=True, exist_ok=True)
    for name, image in (
        ("offpolicy_values", values_plot(found.judged, unit=found.unit)),
        ("offpolicy_support", support_plot(found.judged)),
    ):
        path = folder / f"{name}.png"
        path.write_bytes(image)
        side.print(f"wrote {path}", markup=False)


def _show(found: "OffPolicyResult") -> None:
    rows = {(row.name, row.metric, row.at): row for row in found.table.rows}
    names = list(dict.fromkeys(row.name for row in found.table.rows))
    places = [row.at for row in found.table.rows
              if (row.name, row.metric) == (names[0], "value_error")]  # fmt: skip
    for at in places:
        shown = [s for s in _SCORES if (names[0], s, at) in rows]
        where = "all" if at is None else str(at)
        if not str(where).endswith("support") and at is not None:
            where = f"learnt from {where}"
        table(
            *("estimator", *(s.replace("_", " ") for s in shown)),
            title=f"{where}: mean [95 % interval] over {found.table.seeds} seeds",
            rows=[
                (name, *(cell(rows.get((name, s, at))) for s in shown))
                for name in names
            ],
        )
    out.print(f"data sha256 {found.table.data_sha256}", markup=False)
