"""Which rows of a table are learnt from and which are asked about.

Shapes: `N` distinct conditions.
"""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from labwm.errors import NotEnoughDataError, TableError, UnavailableError

COLUMNS = ("row", "fold", "role")
ROLES = ("train", "test")
TEST_SHARE = 0.2
MIN_TEST = 2


@dataclass(frozen=True)
class Split:
    """One division of a table's measurements.

    Attributes:
        name: For example `random-0`, or the fold of a split file.
        train: Rows of the table, from 0.
        test: Rows of the table, from 0.
    """

    name: str
    train: NDArray[np.int64]
    test: NDArray[np.int64]


def random_splits(groups: Sequence[NDArray[np.int64]], n: int) -> list[Split]:
    """Return `n` random 80/20 splits; replicates of one condition stay together.

    Args:
        groups: Rows of the table that have the same conditions, `N` arrays.
        n: Number of splits, with the seeds 0, 1, …

    Raises:
        NotEnoughDataError: If fewer than `MIN_TEST` conditions would be asked about.
    """
    n_test = round(TEST_SHARE * len(groups))
    if n_test < MIN_TEST:
        raise NotEnoughDataError(
            f"A random split asks about at least {MIN_TEST} conditions; a fifth "
            f"of {len(groups)} is {n_test}. Measure more."
        )
    splits: list[Split] = []
    for seed in range(n):
        order = np.random.default_rng(seed).permutation(len(groups))
        train = np.sort(np.concatenate([groups[i] for i in order[n_test:]]))
        test = np.sort(np.concatenate([groups[i] for i in order[:n_test]]))
        splits.append(Split("random", train, test))
    return splits


def read_splits(path: Path, n_rows: int) -> list[Split]:
    """Read a split file: CSV with the columns `row, fold, role`.

    `row` counts the table's data rows from 0, `role` is `train` or `test`; other roles,
    such as `valid`, are kept out of both.

    Raises:
        UnavailableError: If there is no such file.
        TableError: If a column is absent, a row is not of the table, or a fold lacks a
            role.
    """
    if not path.is_file():
        raise UnavailableError(
            f"A split is `random` or a file; got {path}, which does not exist. Check "
            "the path."
        )
    text = path.read_text(encoding="utf-8-sig")
    reader = csv.DictReader(io.StringIO(text))
    if missing := [name for name in COLUMNS if name not in (reader.fieldnames or ())]:
        raise TableError(
            f"A split file has the columns {', '.join(COLUMNS)}; {path} lacks "
            f"{missing[0]!r}. Add it."
        )
    folds: dict[str, dict[str, list[int]]] = {}
    for line, cells in enumerate(reader, start=2):
        row = _row(cells["row"], n_rows, f"{path}:{line}")
        roles = folds.setdefault(cells["fold"], {})
        roles.setdefault(cells["role"], []).append(row)
    return [_split(path, fold, roles) for fold, roles in folds.items()]


def _row(cell: str, n_rows: int, where: str) -> int:
    if not cell.strip().isdigit() or int(cell) >= n_rows:
        raise TableError(
            f"{where}: a row is a number from 0 to {n_rows - 1}; got {cell!r}. Number "
            "the table's data rows from 0."
        )
    return int(cell)


def _split(path: Path, fold: str, roles: dict[str, list[int]]) -> Split:
    for role in ROLES:
        if not roles.get(role):
            raise TableError(
                f"Each fold has rows to learn from and to ask about; the fold {fold!r} "
                f"of {path} has none with the role {role!r}. Add some."
            )
    train, test = (np.array(roles[role], dtype=np.int64) for role in ROLES)
    return Split(fold, train, test)
