"""Who measured what, in which order: logs of behaviours on one table.

Shapes: `n` experiments.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from labwm.data.cells import number_in
from labwm.data.conditions import read_conditions
from labwm.data.read import read_table
from labwm.data.table import Table
from labwm.errors import NotFoundError, TableError
from labwm.evaluation.lookup import Lookup
from labwm.space.questions import questions_from

CAMPAIGN, ORDER, BEHAVIOUR, ROW = "campaign", "order", "behaviour", "row"


@dataclass(frozen=True)
class BehaviourLog:
    """Experiments of one behaviour, such as a group of people or a program.

    Attributes:
        name: Of the behaviour.
        campaign: Number of the campaign of each experiment, length `n`.
        order: Place in its campaign, from 0, length `n`.
        row: Row of the pool, length `n`.
        sees_outcomes: Does the choice depend on the outcome itself, not only on what
            was measured before? Then no propensity follows from conditions.
        n_unknown: Experiments of the source that are no row of the pool, or not a
            certain one; they are left out.
    """

    name: str
    campaign: NDArray[np.int64]
    order: NDArray[np.int64]
    row: NDArray[np.int64]
    sees_outcomes: bool = False
    n_unknown: int = 0

    def __len__(self) -> int:
        return len(self.row)

    def some(self, n: int, *, seed: int) -> NDArray[np.int64]:
        """Return `n` distinct rows: whole campaigns in a drawn order, as far as needed.

        Fewer come back where the behaviour measured fewer.
        """
        rng = np.random.default_rng([seed, 21])
        if self.sees_outcomes:
            # One campaign without an order of its own.
            return rng.permutation(np.unique(self.row))[:n]
        found: dict[int, None] = {}
        for campaign in rng.permutation(np.unique(self.campaign)):
            own = self.campaign == campaign
            for row in self.row[own][np.argsort(self.order[own], kind="stable")]:
                if len(found) < n:
                    found.setdefault(int(row))
        return np.array(list(found), dtype=np.int64)


def read_logs(path: Path, lookup: Lookup) -> list[BehaviourLog]:
    """Read a table of experiments: columns `campaign`, `order` and what was done.

    What was done is a column `row`, the row of the data's distinct conditions counted
    from 0, or the protocol's own columns. A column `behaviour` names who; without one
    it is the name of the file.

    Raises:
        NotFoundError: If there is no such file.
        TableError: If a column is absent or a cell is no number.
    """
    if not path.is_file():
        raise NotFoundError(
            f"A log is read from a file; {path} is none. Check the path, or name one "
            "of the logs that labwm knows."
        )
    table = read_table(path)
    for column in (CAMPAIGN, ORDER):
        if not table.has(column):
            raise TableError(
                f"A log needs the columns {CAMPAIGN!r} and {ORDER!r}; {path} has "
                f"{list(table.headers)}. Add them."
            )
    order = _integers(table, ORDER)
    _, campaign = np.unique(np.array(table.cells(CAMPAIGN)), return_inverse=True)
    names = np.array(
        table.cells(BEHAVIOUR) if table.has(BEHAVIOUR) else [path.stem] * table.n_rows
    )
    rows = _rows(table, lookup)
    return [
        _log(str(name), names == name, (campaign, order, rows))
        for name in np.unique(names)
    ]


def worst_half(lookup: Lookup) -> BehaviourLog:
    """Return somebody who measured the worse half of a table, in the table's order."""
    worth = lookup.utilities[:, 0]
    ranked = np.argsort(np.where(np.isnan(worth), -np.inf, worth), kind="stable")
    rows = np.sort(ranked[: (len(ranked) + 1) // 2])
    return BehaviourLog(
        name=WORST_HALF,
        campaign=np.zeros(len(rows), dtype=np.int64),
        order=np.arange(len(rows)),
        row=rows,
        sees_outcomes=True,
    )


WORST_HALF: Final = "worst_half"


def log_from(
    name: str,
    experiments: Sequence[tuple[int, int, int | None]],
) -> BehaviourLog:
    """Return a log of (campaign, order, row); experiments without a row are counted."""
    known = [(c, o, r) for c, o, r in experiments if r is not None]
    campaign, order, row = np.array(known, dtype=np.int64).reshape(-1, 3).T
    n_unknown = len(experiments) - len(known)
    return BehaviourLog(name, campaign, order, row, n_unknown=n_unknown)


def _log(
    name: str,
    own: NDArray[np.bool_],
    columns: tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]],
) -> BehaviourLog:
    campaign, order, rows = (column[own] for column in columns)
    is_known = rows >= 0
    return BehaviourLog(
        name,
        campaign[is_known],
        order[is_known],
        rows[is_known],
        n_unknown=int(np.sum(~is_known)),
    )


def _rows(table: Table, lookup: Lookup) -> NDArray[np.int64]:
    """Return the row of the pool of each experiment; -1 where there is none."""
    if table.has(ROW):
        rows = _integers(table, ROW)
        if np.any((rows < 0) | (rows >= len(lookup))):
            raise TableError(
                f"The column {ROW!r} names rows of the data from 0 to "
                f"{len(lookup) - 1}; got {rows.min()} to {rows.max()}. Check what it "
                "counts."
            )
        return rows
    conditions = read_conditions(table, lookup.protocol).rows
    known = [row for row in conditions if row is not None]
    row_of = {key: i for i, key in enumerate(lookup.pool.keys())}
    found = iter(questions_from(lookup.protocol, known).keys())
    return np.array(
        [-1 if row is None else row_of.get(next(found), -1) for row in conditions],
        dtype=np.int64,
    )


def _integers(table: Table, column: str) -> NDArray[np.int64]:
    values: list[int] = []
    for line, cell in zip(table.lines, table.cells(column), strict=True):
        number = _number(cell)
        if number is None or number != int(number):
            raise TableError(
                f"The column {column!r} holds whole numbers; got {cell!r} in line "
                f"{line}. Correct it."
            )
        values.append(int(number))
    return np.array(values, dtype=np.int64)


def _number(cell: str) -> float | None:
    found = number_in(cell.strip())
    if found is None or found.sign:
        return None
    return found.value
