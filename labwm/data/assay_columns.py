"""Which columns of a table of assays hold what, and how its relations are read."""

from dataclasses import dataclass, fields, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from labwm.data.cells import FAILS, MISSING, PASSES, clean, number_in
from labwm.data.table import Table
from labwm.errors import TableError, suggest

Floats = NDArray[np.float64]

USUAL: Final = {
    "item": ("smiles", "SMILES", "canonical_smiles", "molecule", "sequence", "kmer"),
    "assay": ("assay", "assay_id", "assay_chembl_id", "assay_name", "task"),
    "value": ("log_regression_property", "pchembl_value", "value", "log_value"),
    "relation": ("relation", "standard_relation"),
    "relation_of": ("regression_property", "standard_value"),
    "active": ("active", "label", "is_active"),
}
"""Names under which columns are found that were not named."""
AT_MOST: Final = frozenset({"<", "<=", "<<", "≤"})
AT_LEAST: Final = frozenset({">", ">=", ">>", "≥"})
EQUAL: Final = frozenset({"=", "==", "~", "≈"})
AGREEMENT: Final = 0.95
"""Share of the assays in which the two columns of one quantity go the same way."""


@dataclass(frozen=True)
class AssayColumns:
    """Columns of a long table; what is None is looked for by its usual names.

    Attributes:
        item: SMILES or sequence.
        assay: Name of the assay.
        value: What was measured; larger and smaller mean the same in every assay.
        relation: `=`, `<`, `>`, … of the value, or of `relation_of`.
        relation_of: Column that the relation speaks of, where the value is computed
            from it: concentrations, where the value is their negative logarithm.
        active: Counts as active? The upper half of each assay when absent.
    """

    item: str | None = None
    assay: str | None = None
    value: str | None = None
    relation: str | None = None
    relation_of: str | None = None
    active: str | None = None

    def found_in(self, table: Table) -> "AssayColumns":
        """Return the headers of a table, None where there is no such column.

        Raises:
            TableError: If a column that was named is absent, or that of the items or
                values is not found.
        """
        found = {f.name: self._header(table, f.name) for f in fields(self)}
        for needed in ("item", "value"):
            if found[needed] is None:
                raise TableError(
                    f"A table of assays has a column for each {needed}; {table.source} "
                    f"has {list(table.headers)[:12]}, and none of "
                    f"{', '.join(USUAL[needed])}. Name it with --{needed}."
                )
        columns = replace(self, **found)
        if columns.relation is None or columns.relation_of == columns.value:
            return replace(columns, relation_of=None)
        return columns

    def _header(self, table: Table, name: str) -> str | None:
        wanted = getattr(self, name)
        if wanted is not None:
            return table.find(wanted)
        return next((c for c in USUAL[name] if c in table.columns), None)


def numbers(table: Table, header: str) -> tuple[Floats, NDArray[np.int8]]:
    """Return the numbers of a column, NaN where missing, and the signs before them.

    Raises:
        TableError: If a cell is neither a number nor one of the usual blanks.
    """
    decimal = table.decimal_of(header)
    values = np.full(table.n_rows, np.nan)
    signs = np.zeros(table.n_rows, np.int8)
    for i, cell in enumerate(table.columns[header]):
        if clean(cell).lower() in MISSING:
            continue
        number = number_in(cell, decimal)
        if number is None:
            raise TableError(
                f"{table.source}:{table.lines[i]}: {header!r} is a number or empty; "
                f"got {cell!r}. Correct the cell, or name another column."
            )
        values[i] = number.value
        signs[i] = {"<": -1, ">": 1}.get(number.sign, 0)
    return values, signs


def relations(table: Table, header: str) -> NDArray[np.int8]:
    """Return -1 for at most, +1 for at least, 0 for equal; a blank is equal.

    Raises:
        TableError: If a cell is no relation.
    """
    found = np.zeros(table.n_rows, np.int8)
    for i, cell in enumerate(table.columns[header]):
        sign = clean(cell).strip("'\"")
        if sign in AT_MOST:
            found[i] = -1
        elif sign in AT_LEAST:
            found[i] = 1
        elif sign not in EQUAL and sign.lower() not in MISSING:
            raise TableError(
                f"{table.source}:{table.lines[i]}: a relation is one of = ~ < <= > >= "
                f"or empty; got {cell!r}. {suggest(sign, AT_MOST | AT_LEAST | EQUAL)}"
            )
    return found


def direction(
    table: Table, value: Floats, other: Floats, assay: NDArray[np.int64]
) -> int:
    """Return +1 if the value rises with the other column inside assays, -1 if it falls.

    Raises:
        TableError: If neither holds in nearly every assay: then a limit of one is no
            limit of the other.
    """
    rises: list[bool] = []
    known = np.isfinite(value) & np.isfinite(other)
    order = np.lexsort((value[known], assay[known]))
    own, x, y = assay[known][order], value[known][order], other[known][order]
    edges = np.flatnonzero(np.diff(own)) + 1
    for rows in np.split(np.arange(len(own)), edges):
        if len(rows) > 2 and np.ptp(x[rows]) > 0 and np.ptp(y[rows]) > 0:
            rises.append(bool(y[rows][-1] > y[rows][0]))
    share = float(np.mean(rises)) if rises else 1.0
    if AGREEMENT > share > 1 - AGREEMENT:
        raise TableError(
            "A relation can be carried over to the value if the value always rises or "
            f"always falls with the column it speaks of; in {table.source} it rises in "
            f"{share:.0%} of the assays. Name the relation's own column."
        )
    return 1 if share >= AGREEMENT else -1


def labels(table: Table, header: str) -> NDArray[np.bool_]:
    """Return whether each row counts as active.

    Raises:
        TableError: If a cell says neither.
    """
    found = np.zeros(table.n_rows, dtype=bool)
    for i, cell in enumerate(table.columns[header]):
        text = clean(cell).lower()
        if text not in PASSES | FAILS:
            raise TableError(
                f"{table.source}:{table.lines[i]}: {header!r} says active or not (1 or "
                f"0); got {cell!r}. Correct the cell, or leave the column out."
            )
        found[i] = text in PASSES
    return found
