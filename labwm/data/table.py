"""A table as it came: columns of text with what its headers and bytes say."""

from collections.abc import Mapping
from dataclasses import dataclass

from labwm.errors import TableError, suggest


@dataclass(frozen=True)
class Table:
    """Columns of raw text; nothing has been interpreted yet.

    Attributes:
        columns: Cells of each column, keyed by its header as written.
        names: Header without its unit, keyed by header.
        units: Canonical unit in the header, or None, keyed by header.
        lines: Line of the file on which each row starts, or row of the sheet.
        source: File it was read from.
        sha256: Of the file's bytes.
        encoding: Of the text; `binary` for a workbook.
        delimiter: Between cells; empty for a workbook.
        decimals: Decimal sign of each column, keyed by header.
        notes: What the reader decided, in words.
    """

    columns: Mapping[str, tuple[str, ...]]
    names: Mapping[str, str]
    units: Mapping[str, str | None]
    lines: tuple[int, ...]
    source: str
    sha256: str
    encoding: str
    delimiter: str
    decimals: Mapping[str, str]
    notes: tuple[str, ...] = ()

    @property
    def n_rows(self) -> int:
        """Number of data rows."""
        return len(self.lines)

    @property
    def headers(self) -> tuple[str, ...]:
        """Headers as written, from left to right."""
        return tuple(self.columns)

    @property
    def decimal(self) -> str:
        """The decimal comma if any column has it, else the point."""
        return "," if "," in self.decimals.values() else "."

    def find(self, column: str) -> str:
        """Return the header of a column, named with or without its unit.

        Raises:
            TableError: If there is none, or more than one.
        """
        if column in self.columns:
            return column
        found = [header for header, name in self.names.items() if name == column]
        if len(found) == 1:
            return found[0]
        if found:
            raise TableError(
                f"A column is named so that one fits; {column!r} fits {found} in "
                f"{self.source}. Use the whole header."
            )
        raise TableError(
            f"A protocol's column must be in the table; {self.source} has no "
            f"{column!r}. {suggest(column, self.headers)}"
        )

    def has(self, column: str) -> bool:
        """Is there such a column, with or without its unit in the name?"""
        return column in self.columns or column in self.names.values()

    def cells(self, column: str) -> tuple[str, ...]:
        """Return the raw cells of a column; see `find`."""
        return self.columns[self.find(column)]

    def unit(self, column: str) -> str | None:
        """Return the unit that a column's header states."""
        return self.units[self.find(column)]

    def decimal_of(self, column: str) -> str:
        """Return the decimal sign of a column."""
        return self.decimals[self.find(column)]
