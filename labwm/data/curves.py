"""From a long table to curves: one row per read.

A protocol says of each curve what it runs over (`over.column`), and which columns tell
curves of equal conditions apart (`over.curve`: replicate, well, run). Rows of equal
conditions and equal such cells are one curve; its grid is its own.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from labwm.data.catalogue import load_table
from labwm.data.cells import clean, in_unit, number_in, read_cell
from labwm.data.conditions import ConditionRows, read_conditions
from labwm.data.report import ProblemKind, RowProblem, error_for, problems_text
from labwm.data.table import Table
from labwm.errors import NotEnoughDataError, ProtocolError, TableError, UnitError
from labwm.schema import Axis, Protocol, Readout, ReadoutKind, canonical_json
from labwm.schema.record import Record, Sha256
from labwm.space.curves import Curves
from labwm.space.questions import questions_from, text_columns
from labwm.units import affine

if TYPE_CHECKING:
    import xarray as xr

Floats = NDArray[np.float64]
Key = tuple[bytes, tuple[str, ...]]


class CurveReport(Record):
    """What became of a table of reads."""

    source: str
    sha256: Sha256
    n_rows: int
    n_curves: int
    n_conditions: int
    reads: tuple[int, int]
    """Of the curve with fewest and of the one with most."""
    missing: dict[str, int] = {}
    """For each readout the reads without a number: missing, unreadable, at a limit."""
    problems: tuple[RowProblem, ...] = ()
    notes: tuple[str, ...] = ()

    def text(self) -> str:
        """Return the report as lines to read."""
        lines = [
            f"{self.source}: {self.n_rows} rows, {self.n_curves} curves of "
            f"{self.n_conditions} conditions, {self.reads[0]} to {self.reads[1]} reads"
        ]
        lines += [f"note: {note}" for note in self.notes]
        lines += [
            f"{name}: {n} reads without a number" for name, n in self.missing.items()
        ]
        if self.problems:
            lines.append(problems_text(self.problems, self.n_rows))
        return "\n".join(lines)


@dataclass(frozen=True)
class CurveAssay:
    """Curves, and what reading them found."""

    curves: Curves
    report: CurveReport


def read_curves(
    name_or_path: str | Path,
    protocol: Protocol,
    *,
    on_error: Literal["raise", "report"] = "raise",
) -> CurveAssay:
    """Read a set of the catalogue or a table of one's own as curves.

    Readouts of the protocol that are no curves are left aside. A read that has no
    number — an empty cell, a value beyond a detection limit — is missing, and counted.

    Args:
        name_or_path: Name in the catalogue, or a file.
        protocol: Declares at least one curve.
        on_error: With `report`, rows that are no experiment of the protocol are left
            out and listed in the report; with `raise` any such row is an error.

    Raises:
        NotFoundError: If there is no such set or file.
        ProtocolError: If no readout is a curve, or they run over different axes.
        TableError: If a column is absent, a time is no number or negative, or a curve
            was read twice at one time.
        NotEnoughDataError: If a curve has a single read.
    """
    axis, readouts = curve_readouts(protocol)
    return curves_from_table(
        load_table(name_or_path), protocol, axis, readouts, on_error=on_error
    )


def curve_readouts(protocol: Protocol) -> tuple[Axis, tuple[Readout, ...]]:
    """Return the axis of a protocol's curves, and the readouts that are curves.

    Raises:
        ProtocolError: If there is none, or they run over different axes.
    """
    readouts = tuple(r for r in protocol.readouts if r.kind is ReadoutKind.CURVE)
    axes = [readout.over for readout in readouts if readout.over]
    if not axes or any(axis != axes[0] for axis in axes):
        found = "none" if not axes else f"the axes {[axis.name for axis in axes]}"
        raise ProtocolError(
            "A table of curves has a readout of kind `curve`, and all of them one "
            f"`over`; protocol {protocol.name!r} has {found}. Declare it: kind: curve, "
            "over: {name: time, unit: s, column: seconds, curve: [well]}."
        )
    return axes[0], readouts


def curves_from_table(
    table: Table,
    protocol: Protocol,
    axis: Axis,
    readouts: Sequence[Readout],
    *,
    on_error: Literal["raise", "report"] = "raise",
) -> CurveAssay:
    """Read the rows of a table as reads of curves; see `read_curves`."""
    apart = [table.cells(column) for column in axis.curve]
    values = _values(table, readouts)
    found = read_conditions(table, protocol)
    times = _times(table, axis, found)
    if found.problems and on_error == "raise":
        raise error_for(found.problems, table.n_rows, table.source)
    rows: dict[Key, list[int]] = {}
    for i, row in enumerate(found.rows):
        if row is not None:
            key = canonical_json(row), tuple(clean(cells[i]) for cells in apart)
            rows.setdefault(key, []).append(i)
    ordered = [_in_time(table, axis, own, times) for own in rows.values()]
    if not ordered:
        raise NotEnoughDataError(
            f"A table of curves holds reads; {table.source} has none that fits the "
            "protocol. Check its conditions."
        )
    conditions = [found.rows[own[0]] or {} for own in ordered]
    curves = Curves(
        questions_from(protocol, conditions),
        _names(rows),
        tuple(readout.name for readout in readouts),
        tuple(times[own] for own in ordered),
        tuple(values[own] for own in ordered),
    )
    return CurveAssay(curves, _report(table, curves, found))


def to_dataset(curves: Curves, protocol: Protocol) -> "xr.Dataset":
    """Lay curves out by `curve` and `time`, the union of all grids; NaN where not read.

    Conditions and the curves' names are coordinates of `curve`.
    """
    import xarray as xr

    axis, readouts = curve_readouts(protocol)
    times = np.unique(np.concatenate(curves.times))
    texts = text_columns(protocol)
    coordinates: dict[str, object] = {
        name: ("curve", np.asarray(column, dtype=str if name in texts else float))
        for name, column in curves.questions.columns.items()
    }
    coordinates |= {"curve": list(curves.names), "time": ("time", times, _unit(axis))}
    grids = {}
    for j, readout in enumerate(readouts):
        grid = np.full((len(curves), len(times)), np.nan)
        for i, (time, value) in enumerate(
            zip(curves.times, curves.values, strict=True)
        ):
            grid[i, np.searchsorted(times, time)] = value[:, j]
        grids[readout.name] = (("curve", "time"), grid, _unit(readout))
    return xr.Dataset(grids, coords=coordinates, attrs={"protocol": protocol.name})


def _unit(of: Axis | Readout) -> dict[str, str]:
    return {"units": of.unit} if of.unit else {}


def _values(table: Table, readouts: Sequence[Readout]) -> Floats:
    columns = []
    for readout in readouts:
        column = readout.column or readout.name
        decimal, unit = table.decimal_of(column), table.unit(column)
        if unit is not None and readout.unit is not None:
            _check(unit, readout.unit, column)
        cells = [
            read_cell(cell, readout, decimal=decimal, unit=unit)
            for cell in table.cells(column)
        ]
        # A limit is no read: `value` of a censored cell is where it lies beyond.
        known = [v.value if v.status in _NUMBERS else None for v in cells]
        columns.append([np.nan if x is None else x for x in known])
    return np.array(columns, dtype=float).T.reshape(-1, len(readouts))


_NUMBERS = frozenset({"ok", "out_of_bounds"})


def _check(have: str, wanted: str, column: str) -> tuple[float, float]:
    try:
        return affine(have, wanted)
    except UnitError as error:
        raise UnitError(f"The column {column!r} must fit. {error}") from error


def _times(table: Table, axis: Axis, found: ConditionRows) -> Floats:
    column = axis.column or axis.name
    decimal, unit = table.decimal_of(column), table.unit(column)
    if unit is not None and axis.unit is not None:
        _check(unit, axis.unit, column)
    times = np.full(table.n_rows, np.nan)
    for i, cell in enumerate(table.cells(column)):
        if found.rows[i] is None:
            continue
        number = number_in(clean(cell), decimal)
        is_time = number is not None and not number.sign
        value = in_unit(number, axis.unit, unit) if is_time and number else np.nan
        if not value >= 0.0:
            found.rows[i] = None
            text = (
                f"{column} is a number of 0 or more, counted from the start of the "
                f"curve; got {cell!r}"
            )
            found.problems.append(
                RowProblem(line=table.lines[i], kind=ProblemKind.UNREADABLE, text=text)
            )
        else:
            times[i] = value
    found.problems.sort(key=lambda problem: problem.line)
    return times


def _in_time(
    table: Table, axis: Axis, rows: Sequence[int], times: Floats
) -> NDArray[np.int64]:
    order = np.array(sorted(rows, key=lambda i: times[i]), dtype=np.int64)
    own = times[order]
    if len(order) < 2:
        raise NotEnoughDataError(
            "A curve has at least two reads; the one that line "
            f"{table.lines[order[0]]} of {table.source} belongs to has one. Take it "
            f"out{'' if axis.curve else ', or name what tells curves apart'}."
        )
    if np.any(np.diff(own) <= 0.0):
        i = int(np.argmax(np.diff(own) <= 0.0))
        told = list(axis.curve) or "no column"
        raise TableError(
            f"A curve is read once at a time; lines {table.lines[order[i]]} and "
            f"{table.lines[order[i + 1]]} of {table.source} have equal conditions and "
            f"the {axis.name} {own[i]:g}; told apart by {told}. Name the columns that "
            "tell curves apart under `over.curve`, or take one read out."
        )
    return order


def _names(keys: Sequence[Key] | dict[Key, list[int]]) -> tuple[str, ...]:
    """Return a name for each curve: its cells; with a number where they repeat."""
    plain = ["/".join(apart) or "curve" for _, apart in keys]
    met: Counter[str] = Counter()
    total, names = Counter(plain), []
    for name in plain:
        met[name] += 1
        names.append(name if total[name] == 1 else f"{name}#{met[name]}")
    return tuple(names)


def _report(table: Table, curves: Curves, found: ConditionRows) -> CurveReport:
    lengths = [len(time) for time in curves.times]
    stacked = np.concatenate(curves.values)
    missing = np.isnan(stacked).sum(axis=0)
    _, n_conditions = curves.conditions_of()
    return CurveReport(
        source=table.source,
        sha256=table.sha256,
        n_rows=table.n_rows,
        n_curves=len(curves),
        n_conditions=n_conditions,
        reads=(min(lengths), max(lengths)),
        missing={
            name: int(n) for name, n in zip(curves.readouts, missing, strict=True) if n
        },
        problems=tuple(found.problems),
        notes=(*table.notes, *found.notes, *found.conversions),
    )
