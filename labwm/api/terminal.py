"""What commands share: records from flags, results to files, tables to the terminal."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

from cyclopts import Parameter
from pydantic import ValidationError
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from labwm.errors import InvalidInputError, UnavailableError
from labwm.schema import Record
from labwm.schema.record import canonical_json

Json = Annotated[
    Path | None,
    Parameter(name="--json", help="Write the full result to this file as JSON."),
]

_FILE_WIDTH = 220
"""Columns of a table that goes to a file or pipe: nothing is cut to fit a screen."""

out = Console(
    soft_wrap=True,
    highlight=False,
    width=None if sys.stdout.isatty() else _FILE_WIDTH,
)
"""Results: what a caller may parse or read."""

side = Console(stderr=True, soft_wrap=True, highlight=False)
"""Progress and hints: never part of a result."""

R = TypeVar("R", bound=Record)


def record(kind: type[R], fields: Mapping[str, object]) -> R:
    """Return a record from flags; a flag that was not given is left to its default.

    Raises:
        InvalidInputError: If a flag breaks the record's rules.
    """
    given = {name: value for name, value in fields.items() if value is not None}
    try:
        return kind.model_validate(given)
    except ValidationError as error:
        raise InvalidInputError(
            "; ".join(_explained(problem) for problem in error.errors())
        ) from error


def _explained(problem: Any) -> str:
    flag = "--" + ".".join(str(part) for part in problem["loc"]).replace("_", "-")
    message = problem["msg"].removeprefix("Value error, ")
    return f"{flag}: {message}; got {problem['input']!r}."


def refuse_unwritable(path: Path | None) -> None:
    """Refuse a result file that could not be written, before work starts.

    Raises:
        UnavailableError: If its folder is absent or may not be written to.
    """
    if path is None:
        return
    is_new = not path.exists()
    try:
        with path.open("ab"):
            pass
        if is_new:
            path.unlink()
    except OSError as error:
        raise UnavailableError(
            f"A result goes to a file that can be written; {path}: {error.strerror}. "
            "Name another file."
        ) from error


def write_json(path: Path | None, content: bytes | Record | Sequence[Record]) -> None:
    """Write a result as JSON, if a file was asked for.

    Raises:
        UnavailableError: If it cannot be written.
    """
    if path is None:
        return
    if isinstance(content, Record):
        content = content.canonical_json()
    elif not isinstance(content, bytes):
        content = canonical_json([one.model_dump(mode="json") for one in content])
    refuse_unwritable(path)
    path.write_bytes(content + b"\n")


def table(*headings: str, rows: Iterable[Sequence[object]], title: str = "") -> None:
    """Print a table; cells are shown as they are, never as markup."""
    shown = Table(box=SIMPLE_HEAD, title=title or None, title_justify="left")
    for heading in headings:
        shown.add_column(heading, overflow="fold")
    for row in rows:
        shown.add_row(*(escape(_cell(cell)) for cell in row))
    out.print(shown)


def lines(texts: Iterable[str]) -> None:
    """Print lines as they are."""
    for text in texts:
        out.print(text, markup=False)


def hint(command: str, why: str) -> None:
    """Say on the side what to type next."""
    side.print(f"  [bold]{escape(command)}[/bold]   [dim]{escape(why)}[/dim]")


def is_interactive() -> bool:
    """Does a person sit at both ends?"""
    return sys.stdin.isatty() and sys.stdout.isatty()


def _cell(value: object) -> str:
    if value is None:
        return "–"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
