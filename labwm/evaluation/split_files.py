"""Splits that a file states: CSV with the columns `row, fold, role`."""

import csv
import io
from pathlib import Path

import numpy as np

from labwm.errors import TableError, UnavailableError
from labwm.evaluation.splits import Split

COLUMNS = ("row", "fold", "role")
ROLES = ("train", "test")


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
            "A split is `random`, `scaffold`, `time`, `group`, `replicates` or a file; "
            f"got {path}, which does not exist. Check the path."
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
