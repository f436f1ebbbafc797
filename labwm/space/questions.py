"""Questions and observations by column: what models and planners work on.

Shapes: `n` rows, `m` readouts. Torch-free and xarray-free.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from labwm.errors import SpaceError, suggest
from labwm.schema import (
    CategoricalParameter,
    Conditions,
    ContextParameter,
    Measurement,
    MixtureParameter,
    MoleculeParameter,
    Protocol,
    Status,
    canonical_json,
)

Column = NDArray[np.float64] | NDArray[np.object_]


def _is_text(parameter: object) -> bool:
    return isinstance(
        parameter, CategoricalParameter | MoleculeParameter | ContextParameter
    )


def text_columns(protocol: Protocol) -> frozenset[str]:
    """Return the condition names that hold names or SMILES rather than numbers."""
    return frozenset(p.name for p in protocol.parameters if _is_text(p))


@dataclass(frozen=True)
class Questions:
    """Conditions of `n` experiments, by column.

    Attributes:
        columns: One array of length `n` per condition name: float64 for numbers (NaN
            where a conditional parameter is not active), object arrays of `str` for
            names and SMILES (empty where not active).
        time: Time asked about, length `n`, in the unit of the readout's axis; or None.
    """

    columns: Mapping[str, Column]
    time: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        lengths = {name: len(column) for name, column in self.columns.items()}
        if len(set(lengths.values())) > 1:
            raise SpaceError(f"Columns need one length; got {lengths}.")

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), ()))

    def take(self, rows: ArrayLike) -> "Questions":
        """Return some of the rows, in the order asked for."""
        index = np.asarray(rows)
        if index.size == 0:
            index = index.astype(int)
        return Questions(
            {name: column[index] for name, column in self.columns.items()},
            None if self.time is None else self.time[index],
        )

    def rows(self) -> list[Conditions]:
        """Return the conditions row by row; inactive parameters are left out."""
        return [self.row(i) for i in range(len(self))]

    def row(self, i: int) -> Conditions:
        """Return the conditions of one row; inactive parameters are left out."""
        conditions: Conditions = {}
        for name, column in self.columns.items():
            value = column[i]
            if isinstance(value, str):
                if value:
                    conditions[name] = value
            elif not np.isnan(value):
                conditions[name] = float(value)
        return conditions

    def keys(self) -> list[bytes]:
        """Return one canonical byte string per row: equal rows have equal keys."""
        return [canonical_json(row) for row in self.rows()]

    def digest(self) -> str:
        """Return a sha256 that depends on the rows as a set, not on their order."""
        total = hashlib.sha256()
        for key in sorted(self.keys()):
            total.update(key + b"\n")
        return total.hexdigest()


def questions_from(protocol: Protocol, rows: Sequence[Conditions]) -> Questions:
    """Turn conditions into columns.

    Raises:
        SpaceError: If a row names an unknown condition, or text where a number belongs.
    """
    names, texts = protocol.condition_names, text_columns(protocol)
    for i, row in enumerate(rows):
        if unknown := sorted(set(row) - set(names)):
            raise SpaceError(
                f"Conditions name parameters of the protocol; got {unknown[0]!r} in "
                f"row {i}. {suggest(unknown[0], names)}"
            )
    columns: dict[str, Column] = {}
    for name in names:
        values = [row.get(name) for row in rows]
        if name in texts:
            columns[name] = np.array(
                ["" if value is None else _text(value) for value in values],
                dtype=object,
            )
        else:
            columns[name] = np.array([_number(name, value) for value in values], float)
    return Questions(columns)


def concatenate(parts: Iterable[Questions]) -> Questions:
    """Return the rows of several questions of the same columns, one after another."""
    parts = list(parts)
    names = list(parts[0].columns)
    columns: dict[str, Column] = {}
    for name in names:
        columns[name] = np.concatenate([part.columns[name] for part in parts])  # pyright: ignore[reportArgumentType]
    return Questions(columns)


def _text(value: float | str) -> str:
    # A context such as a plate number may be read as a number; 3.0 and "3" are one.
    if isinstance(value, str):
        return value
    return str(int(value)) if float(value).is_integer() else str(value)


def _number(name: str, value: float | str | None) -> float:
    if value is None:
        return np.nan
    if isinstance(value, str):
        raise SpaceError(
            f"The parameter {name!r} takes numbers; got {value!r}. Write a number in "
            "the parameter's unit."
        )
    return float(value)


@dataclass(frozen=True)
class Observations:
    """Measured rows: questions with their values, statuses and censoring.

    Attributes:
        questions: Conditions, `n` rows; replicates are separate rows.
        readouts: Names, length `m`.
        values: `n x m`, NaN where there is no number.
        censoring: `n x m`; -1 where the value is an upper limit (`<5`), 1 where it is a
            lower limit (`>99`), 0 where it is the value itself or absent.
        statuses: `n x m` object array of `Status`.
    """

    questions: Questions
    readouts: tuple[str, ...]
    values: NDArray[np.float64]
    censoring: NDArray[np.int8]
    statuses: NDArray[np.object_] = field(repr=False)

    def __len__(self) -> int:
        return len(self.questions)

    @property
    def is_failed(self) -> NDArray[np.bool_]:
        """Rows that gave nothing: every readout failed, length `n`."""
        return np.all(self.statuses == Status.FAILED, axis=1)

    def take(self, rows: ArrayLike) -> "Observations":
        """Return some of the rows, in the order asked for."""
        index = np.asarray(rows)
        return Observations(
            self.questions.take(index),
            self.readouts,
            self.values[index],
            self.censoring[index],
            self.statuses[index],
        )

    def digest(self) -> str:
        """Return a sha256 of the rows as a sorted table: order does not change it."""
        lines = sorted(
            key
            + b"|"
            + canonical_json([_cell(v, s) for v, s in zip(*cells, strict=True)])
            for key, *cells in zip(
                self.questions.keys(), self.values, self.statuses, strict=True
            )
        )
        return hashlib.sha256(b"\n".join(lines)).hexdigest()


def _cell(value: float, status: Status) -> list[str | float | None]:
    return [None if np.isnan(value) else float(value), str(status)]


_CENSORING = {Status.BELOW: -1, Status.ABOVE: 1}
_WITHOUT_NUMBER = {
    Status.MISSING, Status.FAILED, Status.UNREADABLE, Status.NOT_DETECTED, Status.TRACE,
}  # fmt: skip


def observations_from(
    protocol: Protocol, measurements: Sequence[Measurement]
) -> Observations:
    """Turn measurements into rows; every measurement keeps its row.

    `not_detected` and `trace` become values censored at the readout's lower detection
    limit where it declares one, and have no number otherwise.
    """
    names = protocol.readout_names
    n, m = len(measurements), len(names)
    values = np.full((n, m), np.nan)
    censoring = np.zeros((n, m), dtype=np.int8)
    statuses = np.full((n, m), Status.MISSING, dtype=object)
    for i, measurement in enumerate(measurements):
        for j, name in enumerate(names):
            if (cell := measurement.readouts.get(name)) is None:
                continue
            statuses[i, j] = cell.status
            limit = protocol.readout(name).detection_limit
            if cell.status in {Status.NOT_DETECTED, Status.TRACE}:
                if limit and limit.below is not None:
                    values[i, j], censoring[i, j] = limit.below, -1
            elif cell.status not in _WITHOUT_NUMBER and cell.value is not None:
                values[i, j] = cell.value
                censoring[i, j] = _CENSORING.get(cell.status, 0)
    questions = questions_from(protocol, [m.conditions for m in measurements])
    return Observations(questions, names, values, censoring, statuses)


def mixture_columns(protocol: Protocol) -> dict[str, tuple[str, ...]]:
    """Return for each mixture the condition names of its parts."""
    return {
        parameter.name: parameter.part_columns
        for parameter in protocol.parameters
        if isinstance(parameter, MixtureParameter)
    }
