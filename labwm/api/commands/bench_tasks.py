"""`labwm bench tasks`: what many assays teach about new ones."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from labwm.api.commands.bench_parts import cell, progress_bar, teller
from labwm.api.terminal import Json, out, refuse_unwritable, side, table, write_json

if TYPE_CHECKING:
    from labwm.data.assay_columns import AssayColumns
    from labwm.evaluation.table import BenchTable
    from labwm.evaluation.task_splits import TaskSplit

Supports = Annotated[
    list[int],
    Parameter(
        name="--support",
        negative=(),
        help="Rows of a new assay learnt from; repeatable.",
    ),
]


def tasks(  # noqa: PLR0913 one argument per flag
    *,
    data: Path,
    asked: Literal["valid", "test"] = "valid",
    kind: Literal["molecule", "sequence", "dna"] = "molecule",
    item: str | None = None,
    assay: str | None = None,
    value: str | None = None,
    relation: str | None = None,
    relation_of: str | None = None,
    active: str | None = None,
    family: str = "",
    support: Supports = [16, 32, 64, 128],  # noqa: B006 only read
    seeds: int = 5,
    epochs: int | None = None,
    prior: Path | None = None,
    keep: Path | None = None,
    search_budget: int = 0,
    plots: Path | None = None,
    json: Json = None,
) -> None:
    """Learn from many assays, and score few-shot predictions of others.

    Args:
        data: Folder of tables, or a table of many assays. Files named after train,
            valid and test have these roles; otherwise a fifth of the assays is kept
            out.
        asked: Role of the files whose assays are asked about.
        kind: Of items: SMILES, sequences, or DNA read from both strands.
        item: Column of the items; by its usual name when not given, as all the others.
        assay: Column of the assay's name; without one a file is an assay.
        value: Column of what was measured, in one unit.
        relation: Column of =, < and >.
        relation_of: Column that the relation speaks of, if it is not the value.
        active: Column of labels; the upper half of each assay when there is none.
        family: Assays whose names agree up to this text are kept out together.
        seeds: Supports drawn of each assay and size.
        epochs: Times that the assays are gone through in learning.
        prior: Folder of a prior learnt before; nothing is learnt then.
        keep: Folder to save the prior in.
        search_budget: Experiments to find the top 5 % of each assay with; 0 for no
            search.
        plots: Folder for a picture.
    """
    refuse_unwritable(json)
    from labwm.data.assay_columns import AssayColumns
    from labwm.evaluation.task_priors import (
        keep_prior,
        prior_of,
        read_prior,
        refuse_kept,
        settings_for,
    )
    from labwm.evaluation.tasks import TaskSettings, bench_tasks

    wanted = TaskSettings(tuple(support), seeds)
    columns = AssayColumns(item, assay, value, relation, relation_of, active)
    refuse_kept(keep)
    split = _split(data, columns, asked, family)
    with progress_bar() as shown:
        tell = teller(shown)
        if prior is not None:
            known, origin = read_prior(prior)
        else:
            known, origin = prior_of(
                split.learnt, kind=kind, settings=settings_for(epochs), progress=tell
            )
        side.print(f"prior: {origin}", markup=False)
        if keep is not None:
            keep_prior(known, keep)
        found = bench_tasks(known, split.asked, wanted, data=str(data), progress=tell)
        if search_budget:
            from labwm.evaluation.task_search import with_search

            found = with_search(
                found, known, split.asked, budget=search_budget, progress=tell
            )
    write_json(json, found.to_json())
    _show(found)
    if plots is not None:
        from labwm.evaluation.tasks_plots import write_plot

        out.print(f"wrote {write_plot(found, plots)}", markup=False)
    out.print(f"data sha256 {found.data_sha256}", markup=False)


def _split(data: Path, columns: "AssayColumns", asked: str, family: str) -> "TaskSplit":
    from labwm.data.read_assays import AssayLayout, read_assays
    from labwm.evaluation.task_splits import split_tasks

    tables = read_assays(data, AssayLayout(columns))
    for note in tables.notes:
        side.print(note, markup=False)
    split = split_tasks(tables, asked=asked, family=family)
    side.print(
        f"{len(split.learnt)} assays to learn from, {len(split.asked)} to ask about; "
        f"{split.how}",
        markup=False,
    )
    return split


def _show(found: "BenchTable") -> None:
    by_place = {(row.name, row.metric, row.at): row for row in found.rows}
    places = list(dict.fromkeys(row.at for row in found.rows))
    for metric in dict.fromkeys(row.metric for row in found.rows):
        own = [row for row in found.rows if row.metric == metric]
        names = list(dict.fromkeys(row.name for row in own))
        at = [place for place in places if any(row.at == place for row in own)]
        table(
            *("model", *(f"at {place}" for place in at)),
            title=f"{metric}: mean [95 % interval] over assays",
            rows=[
                (name, *(cell(by_place.get((name, metric, place))) for place in at))
                for name in names
            ],
        )
