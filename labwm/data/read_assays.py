"""Read many assays from a folder or a table, long or wide."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from labwm.data.assay_columns import (
    USUAL,
    AssayColumns,
    direction,
    labels,
    numbers,
    relations,
)
from labwm.data.assays import Assay, above_median
from labwm.data.read import read_table
from labwm.data.table import Table
from labwm.errors import InvalidInputError, TableError, UnavailableError

Floats = NDArray[np.float64]
Layout = Literal["long", "wide"]

ENDINGS: Final = (".csv", ".tsv", ".txt", ".csv.gz", ".tsv.gz", ".xlsx", ".parquet")
FEWEST_WIDE: Final = 3
"""Columns of numbers that make a table without named values a wide one."""


@dataclass(frozen=True)
class AssayTables:
    """Assays by the file they came from.

    Attributes:
        files: Assays of each file, keyed by its name, in the order of the names.
        notes: What was decided, in words.
    """

    files: Mapping[str, tuple[Assay, ...]]
    notes: tuple[str, ...] = ()

    @property
    def assays(self) -> tuple[Assay, ...]:
        """Every assay."""
        return tuple(assay for own in self.files.values() for assay in own)


@dataclass(frozen=True)
class AssayLayout:
    """How tables are to be read.

    Attributes:
        columns: Of a long table.
        layout: `long`: one row per measurement. `wide`: one row per item, one column
            per assay. Chosen by the columns when None.
    """

    columns: AssayColumns = field(default_factory=AssayColumns)
    layout: Layout | None = None


def read_assays(path: Path | str, layout: AssayLayout | None = None) -> AssayTables:
    """Read every assay of a table, or of the tables of a folder.

    Without a column that names the assay, a file is one assay.

    Raises:
        UnavailableError: If the path, or a package that reads it, is absent.
        TableError: If a table breaks a rule; the message names file and line.
        InvalidInputError: If a folder has no table.
    """
    path, layout = Path(path), layout or AssayLayout()
    if not path.exists():
        raise UnavailableError(
            f"Assays lie in a table or a folder of tables; {path} does not exist. "
            "Check the path."
        )
    files = sorted(_tables_in(path)) if path.is_dir() else [path]
    if not files:
        raise InvalidInputError(
            f"A folder of assays holds tables ({', '.join(ENDINGS)}); {path} holds "
            "none. Name another folder."
        )
    found: dict[str, tuple[Assay, ...]] = {}
    notes: list[str] = []
    for file in files:
        assays, said = _read(file, layout)
        found[file.name] = assays
        notes += [f"{file.name}: {note}" for note in said]
    return AssayTables(found, tuple(notes))


def _tables_in(folder: Path) -> Iterator[Path]:
    return (
        file
        for file in folder.iterdir()
        if file.is_file() and file.name.lower().endswith(ENDINGS)
    )


def _read(path: Path, layout: AssayLayout) -> tuple[tuple[Assay, ...], list[str]]:
    if path.suffix.lower() == ".parquet":
        return _wide(path, *_parquet(path, layout.columns.item))
    table = read_table(path)
    if (layout.layout or _guessed(table, layout.columns)) == "wide":
        item = layout.columns.item or _item_header(table)
        values = {
            header: numbers(table, header)[0]
            for header in table.headers
            if header != item
        }
        return _wide(path, table.cells(item), values)
    return _long(table, layout.columns, path)


def _guessed(table: Table, columns: AssayColumns) -> Layout:
    named = columns.value or columns.assay
    usual = {*USUAL["value"], *USUAL["assay"]} & set(table.headers)
    is_wide = not named and not usual and len(table.headers) > FEWEST_WIDE
    return "wide" if is_wide else "long"


def _item_header(table: Table) -> str:
    return next((c for c in USUAL["item"] if c in table.columns), table.headers[0])


def _long(
    table: Table, wanted: AssayColumns, path: Path
) -> tuple[tuple[Assay, ...], list[str]]:
    columns = wanted.found_in(table)
    assert columns.item is not None and columns.value is not None  # noqa: PT018
    notes = [f"items {columns.item!r}, values {columns.value!r}"]
    items = np.array([cell.strip() for cell in table.columns[columns.item]])
    values, limits = numbers(table, columns.value)
    names = _names(table, columns, path)
    which, place = np.unique(names, return_inverse=True)
    if columns.relation is not None:
        limits, note = _limits(table, columns, values, place)
        notes.append(note)
    known = None if columns.active is None else labels(table, columns.active)
    notes.append(
        "active: the upper half of each assay"
        if known is None
        else f"active {columns.active!r}"
    )
    order = np.argsort(place, kind="stable")
    edges = np.flatnonzero(np.diff(place[order])) + 1
    assays = []
    for rows in np.split(order, edges):
        active = above_median(values[rows]) if known is None else known[rows]
        name = str(which[place[rows[0]]])
        assays.append(
            Assay(name, _texts(items[rows]), values[rows], limits[rows], active)
        )
    return tuple(assays), notes


def _texts(items: NDArray[np.str_]) -> tuple[str, ...]:
    return tuple(items.tolist())


def _names(table: Table, columns: AssayColumns, path: Path) -> NDArray[np.str_]:
    if columns.assay is None:
        return np.full(table.n_rows, path.name.split(".")[0])
    names = np.array([cell.strip() for cell in table.columns[columns.assay]])
    if len(empty := np.flatnonzero(names == "")):
        raise TableError(
            f"{table.source}:{table.lines[empty[0]]}: every row names its assay; got "
            f"an empty {columns.assay!r}. Fill the cell."
        )
    return names


def _limits(
    table: Table, columns: AssayColumns, values: Floats, place: NDArray[np.int64]
) -> tuple[NDArray[np.int8], str]:
    assert columns.relation is not None
    signs = relations(table, columns.relation)
    if columns.relation_of is None:
        return signs, f"relation {columns.relation!r} of the values"
    other, _ = numbers(table, columns.relation_of)
    way = direction(table, values, other, place)
    word = "rise" if way > 0 else "fall"
    note = (
        f"relation {columns.relation!r} is of {columns.relation_of!r}; values {word} "
        "with it"
    )
    return (signs * way).astype(np.int8), note


def _wide(
    path: Path, items: Sequence[str], values: Mapping[str, Floats]
) -> tuple[tuple[Assay, ...], list[str]]:
    """Return one assay per column, of the items that it has a value of."""
    if not values:
        raise TableError(
            f"A wide table has a column of numbers per assay; {path.name} has none. "
            "Name the columns of a long table."
        )
    names = np.array([item.strip() for item in items])
    assays = []
    for name, column in values.items():
        rows = np.flatnonzero(np.isfinite(column))
        assays.append(
            Assay(
                name,
                _texts(names[rows]),
                column[rows],
                np.zeros(len(rows), np.int8),
                above_median(column[rows]),
            )
        )
    note = (
        f"wide: {len(names)} items, {len(values)} assays, each active above its median"
    )
    return tuple(assays), [note]


def _parquet(path: Path, item: str | None) -> tuple[list[str], dict[str, Floats]]:
    try:
        from pyarrow import parquet  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise UnavailableError(
            f"Parquet is read by the package pyarrow, which is absent; got {path}. "
            "Install it with `pip install pyarrow`, or convert the file to CSV."
        ) from error
    table = parquet.read_table(path)
    header = item or next(
        (c for c in USUAL["item"] if c in table.column_names), table.column_names[0]
    )
    if header not in table.column_names:
        raise TableError(
            f"A wide table has a column of items; {path.name} has no {header!r}. Name "
            "it with --item."
        )
    values = {
        name: table.column(name).to_numpy().astype(float)
        for name in table.column_names
        if name != header
    }
    return [str(x) for x in table.column(header).to_pylist()], values
