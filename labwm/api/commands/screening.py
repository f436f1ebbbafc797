"""`labwm screen`: a pool of molecules to a short-list."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from labwm.api.commands.bench_parts import progress_bar
from labwm.api.terminal import (
    Json,
    out,
    record,
    refuse_unwritable,
    side,
    table,
    write_json,
)
from labwm.errors import InvalidInputError
from labwm.schema.screening import ScreenAnswer, ScreenRequest

Windows = Annotated[
    list[str],
    Parameter(
        name="--window",
        negative=(),
        help="Property with its least and greatest value: weight:200:500. Repeatable.",
    ),
]
AllowAlerts = Annotated[
    bool, Parameter(negative=(), help="Keep substructures that disturb assays (PAINS).")
]
_SHOWN = 12


def screen(  # noqa: PLR0913 one argument per flag
    pool: str,
    *,
    data: str | None = None,
    protocol: str | None = None,
    campaign: str | None = None,
    column: str | None = None,
    n: int | None = None,
    window: Windows = [],  # noqa: B006 cyclopts reads it
    allow_alerts: AllowAlerts = False,
    min_support: float | None = None,
    seed: int | None = None,
    folder: Path | None = None,
    jobs: int = 1,
    json: Json = None,
) -> None:
    """Screen a pool of molecules of any size to a short-list.

    The same command again goes on where it was stopped.

    Args:
        pool: File of SMILES, CSV, TSV or Parquet; .gz too.
        data: Table or catalogue name to learn from, with --protocol.
        protocol: Name or file; its only parameter is a molecule.
        campaign: Campaign to learn from, instead of --data.
        column: Column of the SMILES in the pool.
        n: Molecules wanted.
        min_support: Least closeness to the data, from 0 to 1.
        seed: Random seed.
        folder: For the code of each row; in the cache when not given.
        jobs: Threads.
    """
    from labwm.campaign.pool_screening import screen_pool

    refuse_unwritable(json)
    request = record(
        ScreenRequest,
        {
            "pool": pool,
            "column": column,
            "campaign_id": campaign,
            "data": data,
            "protocol": protocol,
            "n": n,
            "windows": [_window(text) for text in window] or None,
            "alerts": "allow" if allow_alerts else None,
            "min_support": min_support,
            "seed": seed,
        },
    )
    with progress_bar() as bar:
        task = bar.add_task("screening", total=None)
        answer = screen_pool(
            request,
            folder=folder,
            jobs=jobs,
            progress=lambda n, total: bar.update(task, completed=n, total=total),
        )
    write_json(json, answer)
    _show(answer)


def _show(answer: ScreenAnswer) -> None:
    is_cut = len(answer.listed) > _SHOWN
    table(
        *("rank", "molecule", "expected gain", "prediction"),
        rows=[
            (str(rank), one.label or one.smiles, f"{one.expected_gain:.3g}", one.reason)
            for rank, one in enumerate(answer.listed[:_SHOWN], start=1)
        ],
        title=f"{len(answer.listed)} of {answer.n_read} rows"
        + (f", the first {_SHOWN}" if is_cut else ""),
    )
    table(
        *("code", "rows"),
        rows=[(code, str(n)) for code, n in sorted(answer.counts.items())],
    )
    if not answer.is_exact:
        side.print("note: choosing from every molecule might have differed.")
    out.print(f"the code of each row: {answer.folder}", markup=False)


def _window(text: str) -> dict[str, str | float]:
    parts = text.split(":")
    try:
        name, low, high = parts[0], float(parts[1]), float(parts[2])
    except (IndexError, ValueError) as error:
        raise InvalidInputError(
            f"A window is a property with two numbers; got {text!r}. Write for example "
            "weight:200:500."
        ) from error
    if len(parts) > 3:
        raise InvalidInputError(
            f"A window has two numbers; got {text!r}. Write for example weight:200:500."
        )
    return {"property": name, "low": low, "high": high}
