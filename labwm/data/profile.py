"""What a column of a table looks like: numbers, molecules, names, an index, nothing."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from labwm.data.cells import MISSING, clean, number_in
from labwm.data.table import Table

MOST = 0.95
"""Share of a column that must look alike for the column to count as such."""
TRIED = 200
"""Distinct values that are tried as SMILES."""

MAX_UNIQUE = 12
"""A text that never repeats is an identifier in a table longer than this."""

_WHERE = "its name says where or when a row was measured"
_IDENTIFIER = re.compile(
    r"(.*[\s_-])?(index|idx|entry|id|no|nr|name|number|cas|key|inchi\w*|unnamed\s\d+)\.?"
)
_PLACE = re.compile(
    r"(.*[\s_-])?(plate|batch|well|row|col|column|date|day|operator|instrument|run)"
)
_REMARK = re.compile(
    r"(.*[\s_-])?(remarks?|comments?|notes?|observations?|bemerkung(en)?|kommentare?)"
)
_BONDS = re.compile(r"[=#()\[\]@]|c1|C1|\d")


class Kind(StrEnum):
    """How the cells of a column look."""

    EMPTY = "empty"
    CONSTANT = "constant"
    INDEX = "index"
    IDENTIFIER = "identifier"
    PLACE = "place"
    MOLECULE = "molecule"
    REACTION = "reaction"
    REMARK = "remark"
    NUMBER = "number"
    TEXT = "text"


@dataclass(frozen=True)
class Profile:
    """One column, looked at.

    Attributes:
        header: As written.
        kind: What it looks like.
        cells: Cleaned cells, empty where nothing was observed.
        distinct: Distinct cells that are not empty, in order of appearance.
        numbers: Cells as numbers, NaN where they are none; length `n`.
        unit: Canonical unit in the header.
        why: What the kind was told by.
    """

    header: str
    kind: Kind
    cells: tuple[str, ...]
    distinct: tuple[str, ...]
    numbers: NDArray[np.float64]
    unit: str | None
    why: str

    @property
    def n_missing(self) -> int:
        """Cells without a value."""
        return sum(not cell for cell in self.cells)

    @property
    def values(self) -> tuple[float, ...]:
        """Distinct numbers, sorted."""
        return tuple(float(v) for v in np.unique(self.numbers[~np.isnan(self.numbers)]))


def profile(table: Table, column: str) -> Profile:
    """Look at one column."""
    header = table.find(column)
    decimal = table.decimal_of(header)
    raw = tuple(clean(cell) for cell in table.columns[header])
    cells = tuple("" if text.lower() in MISSING else text for text in raw)
    found = [number_in(cell, decimal) if cell else None for cell in cells]
    numbers = np.array(
        [n.value if n and not n.sign and not n.unit else np.nan for n in found], float
    )
    distinct = tuple(dict.fromkeys(cell for cell in cells if cell))
    kind, why = _kind(table.names[header], cells, distinct, numbers)
    if kind is Kind.TEXT:
        # Among names, `none` is one of them: an experiment without an additive.
        cells = tuple(
            text if text.lower() == "none" else cell
            for text, cell in zip(raw, cells, strict=True)
        )
        distinct = tuple(dict.fromkeys(cell for cell in cells if cell))
    return Profile(header, kind, cells, distinct, numbers, table.units[header], why)


def _kind(
    name: str,
    cells: Sequence[str],
    distinct: Sequence[str],
    numbers: NDArray[np.float64],
) -> tuple[Kind, str]:
    n_filled = sum(bool(cell) for cell in cells)
    if not distinct:
        return Kind.EMPTY, "it is empty"
    if len(distinct) == 1:
        return Kind.CONSTANT, f"it holds one value, {distinct[0]!r}"
    word = name.lower().replace("_", " ")
    is_unique = len(distinct) == n_filled
    if np.count_nonzero(~np.isnan(numbers)) >= MOST * n_filled:
        return _kind_of_numbers(word, numbers, is_unique)
    n_measured = np.count_nonzero(~np.isnan(numbers))
    if is_unique and n_measured > n_filled / 2:
        return Kind.IDENTIFIER, "every row has another value, and not all are numbers"
    if found := _remark(word, n_filled, len(distinct), len(cells)):
        return found
    return _kind_of_texts(word, distinct, is_unique)


def _remark(
    word: str, n_filled: int, n_distinct: int, n: int
) -> tuple[Kind, str] | None:
    if _REMARK.fullmatch(word):
        return Kind.REMARK, "its name says that it holds remarks"
    # A factor that is seldom there, such as an additive, repeats its few names.
    if n_filled < n / 2 and n_distinct > n_filled / 2:
        return Kind.REMARK, f"it holds text, and {n - n_filled} of {n} rows lack it"
    return None


def _kind_of_numbers(
    word: str, numbers: NDArray[np.float64], is_unique: bool
) -> tuple[Kind, str]:
    if len(numbers) > 2 and np.all(np.diff(numbers) == 1.0):
        return Kind.INDEX, "it counts the rows"
    if _PLACE.fullmatch(word):
        return Kind.PLACE, _WHERE
    is_whole = bool(np.all(np.mod(numbers[~np.isnan(numbers)], 1) == 0))
    if _IDENTIFIER.fullmatch(word) and is_unique and is_whole:
        return Kind.IDENTIFIER, "its name and values are those of an identifier"
    return Kind.NUMBER, "it holds numbers"


def _kind_of_texts(
    word: str, distinct: Sequence[str], is_unique: bool
) -> tuple[Kind, str]:
    if found := _molecules(word, distinct):
        return found
    if _PLACE.fullmatch(word):
        return Kind.PLACE, _WHERE
    if is_unique and (_IDENTIFIER.fullmatch(word) or len(distinct) > MAX_UNIQUE):
        return Kind.IDENTIFIER, "every row has another text"
    return Kind.TEXT, f"it holds {len(distinct)} different names"


def _molecules(word: str, distinct: Sequence[str]) -> tuple[Kind, str] | None:
    from labwm.chem.molecule import is_valid

    step = max(1, len(distinct) // TRIED)
    tried = distinct[::step]
    if sum(">>" in value for value in tried) >= MOST * len(tried):
        return Kind.REACTION, "it holds reactions, which its components decide"
    n_valid = sum(is_valid(value) for value in tried)
    is_named = "smiles" in word
    if n_valid < (0.5 if is_named else MOST) * len(tried):
        return None
    if not is_named and not any(_BONDS.search(value) for value in tried):
        return None
    named = ", and its name says so" if is_named else ""
    return Kind.MOLECULE, f"{n_valid} of {len(tried)} values tried are SMILES{named}"


def decides(a: Profile, b: Profile) -> bool:
    """Does every value of `a` go with a single value of `b`?"""
    seen: dict[str, str] = {}
    return all(
        seen.setdefault(x, y) == y for x, y in zip(a.cells, b.cells, strict=True)
    )


def are_same(a: Profile, b: Profile) -> bool:
    """Do two columns vary together, one to one?"""
    return decides(a, b) and decides(b, a)
