"""What benches and screens share: flags, tables with their protocols, progress."""

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

from labwm.api.terminal import side
from labwm.errors import InvalidInputError

if TYPE_CHECKING:
    from labwm.evaluation.table import Row
    from labwm.schema import Measurement, Protocol

Policies = Annotated[
    list[str],
    Parameter(name="--policy", negative=(), help="Policy to compare; repeatable."),
]


def material(
    data: str, protocol: str | None
) -> tuple["Protocol", tuple["Measurement", ...]]:
    """Return the protocol and the measurements that a bench works on.

    Raises:
        InvalidInputError: If no protocol is named and the catalogue knows none.
    """
    from labwm.data.assay import read_assay

    rules = protocol_of(data, protocol)
    assay = read_assay(data, rules)
    side.print(assay.text(), markup=False)
    return rules, assay.measurements


def protocol_of(data: str, protocol: str | None) -> "Protocol":
    """Return the protocol that is named, or the one that comes with the data.

    Raises:
        InvalidInputError: If no protocol is named and the catalogue knows none.
    """
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
    return load_protocol(name)


def progress_bar() -> Progress:
    """Return a bar on standard error with the time that is left."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=side,
        transient=True,
    )


def teller(shown: Progress) -> Callable[[str, int, int], None]:
    """Return what benches tell of their progress to."""
    bar = shown.add_task("starting")

    def tell(what: str, n_done: int, n_all: int) -> None:
        shown.update(bar, description=what, completed=n_done, total=n_all)

    return tell


def cell(row: "Row | None") -> str:
    """Return a figure with its interval."""
    if row is None or row.mean is None:
        return "–"
    if row.n == 0 or row.low is None or row.high is None:
        return f"{row.mean:.4g}"
    return f"{row.mean:.4g} [{row.low:.4g}, {row.high:.4g}]"
