"""A worklist: the table that goes to whoever does the work, and comes back filled in.

One row per well: `submission_key, well, replicate`, where there are controls `control`,
one column per condition, one empty column per readout, units in the headers. Wells of a
plate are named by their places. Results are such a table with cells filled in;
they may leave out everything but the wells and at least one readout.
"""

import csv
import io
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from labwm.data.cells import number_in, read_cell
from labwm.data.read import table_from
from labwm.data.table import Table
from labwm.errors import ProtocolError, TableError, UnitError, suggest
from labwm.schema import (
    Job,
    MixtureParameter,
    Protocol,
    Readout,
    ReadoutKind,
    Status,
    Value,
    Well,
)
from labwm.schema.record import Scalar
from labwm.units import affine

KEY, WELL, REPLICATE, MEASURED_AT = "submission_key", "well", "replicate", "measured_at"
CONTROL = "control"


@dataclass(frozen=True)
class ReadRow:
    """What a results table says of one well.

    Attributes:
        well: The well of the job.
        readouts: One value for each readout of the protocol.
        measured_at: When, if the table has the column.
    """

    well: Well
    readouts: dict[str, Value]
    measured_at: datetime | None


def check_protocol(protocol: Protocol) -> None:
    """Refuse a protocol whose experiments are no rows of a worklist.

    Raises:
        ProtocolError: If a readout is a curve, or two columns would have one name.
    """
    for readout in protocol.readouts:
        if readout.kind is ReadoutKind.CURVE:
            raise ProtocolError(
                f"A worklist holds one value of a readout per well; {readout.name!r} "
                "is a curve. Declare a scalar readout that summarises it."
            )
    columns = [KEY, WELL, REPLICATE, CONTROL, MEASURED_AT, *protocol.condition_names]
    columns += [_column(readout) for readout in protocol.readouts]
    if twice := sorted(name for name, n in Counter(columns).items() if n > 1):
        raise ProtocolError(
            f"Each column of a worklist has its own name; got {twice} twice. Rename "
            "the parameter, or the column of the readout."
        )


def worklist_bytes(job: Job, protocol: Protocol) -> bytes:
    """Return the worklist of a job as CSV; the same job gives the same bytes."""
    conditions = [name for name in protocol.condition_names if _is_used(name, job)]
    units = _condition_units(protocol)
    has_controls = any(well.control is not None for well in job.wells)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(
        [
            *(KEY, WELL, REPLICATE),
            *([CONTROL] if has_controls else []),
            *(_header(name, units.get(name)) for name in conditions),
            *(_header(_column(readout), readout.unit) for readout in protocol.readouts),
        ]
    )
    empty = [""] * len(protocol.readouts)
    for well in job.wells:
        values = [_text(well.conditions.get(name, "")) for name in conditions]
        row = [job.submission_key, well.name, str(well.replicate)]
        row += [well.control or ""] if has_controls else []
        writer.writerow([*row, *values, *empty])
    return text.getvalue().encode()


def read_results(
    content: bytes, path: Path, job: Job, protocol: Protocol
) -> tuple[ReadRow, ...]:
    """Read a results table whole; rows without any readout are not measured yet.

    Args:
        content: The bytes of the file.
        path: Where it lies: its ending tells the kind, and errors name it.
        job: Whose wells the rows name.
        protocol: Names the columns and their units.

    Raises:
        TableError: If it is no table, has an unknown column, an unknown well, a well
            twice, another job's key, or conditions other than the planned ones.
        UnitError: If the unit of a header does not fit the protocol's.
    """
    table = table_from(content, path)
    readouts = _readouts_in(table, protocol)
    wells = {well.name: well for well in job.wells}
    rows: dict[str, ReadRow] = {}
    for i, line in enumerate(table.lines):
        cells = {table.names[header]: table.columns[header][i].strip() for header in
                 table.headers}  # fmt: skip
        where = f"{table.source}:{line}"
        well = _well(cells.get(WELL, ""), wells, where)
        _check_plan(cells, well, job, where)
        if all(not table.cells(_column(readout))[i].strip() for readout in readouts):
            continue
        if well.name in rows:
            raise TableError(
                f"{where}: results name each well once; got {well.name!r} again. Send "
                "a corrected value in a file of its own."
            )
        values = {r.name: Value(status=Status.MISSING) for r in protocol.readouts}
        values |= {readout.name: _value(table, readout, i) for readout in readouts}
        rows[well.name] = ReadRow(well, values, _time(cells.get(MEASURED_AT), where))
    return tuple(rows.values())


def _is_used(name: str, job: Job) -> bool:
    return any(name in well.conditions for well in job.wells)


def _condition_units(protocol: Protocol) -> dict[str, str | None]:
    return {
        parameter.name: parameter.unit
        for parameter in protocol.parameters
        if not isinstance(parameter, MixtureParameter)
    }


def _column(readout: Readout) -> str:
    return readout.column or readout.name


def _header(name: str, unit: str | None) -> str:
    return f"{name} [{unit}]" if unit else name


def _text(value: Scalar) -> str:
    return value if isinstance(value, str) else repr(value).removesuffix(".0")


def _readouts_in(table: Table, protocol: Protocol) -> tuple[Readout, ...]:
    """Return the readouts that a table has, and refuse every column it may not have."""
    if not table.has(WELL):
        raise TableError(
            f"Results name their wells; {table.source} has no column {WELL!r}. Fill in "
            "the worklist and send it back."
        )
    found = tuple(r for r in protocol.readouts if table.has(_column(r)))
    if not found:
        wanted = [_column(readout) for readout in protocol.readouts]
        raise TableError(
            f"Results have a column of a readout; {table.source} has none of {wanted}. "
            "Name the column as the worklist does."
        )
    known = {KEY, WELL, REPLICATE, CONTROL, MEASURED_AT, *protocol.condition_names}
    headers = {table.find(_column(readout)) for readout in found}
    for header in table.headers:
        if header not in headers and table.names[header] not in known:
            named = sorted(known | {_column(r) for r in protocol.readouts})
            raise TableError(
                f"Results have the columns of the worklist; {table.source} has "
                f"{header!r}. {suggest(table.names[header], named)}"
            )
    for readout in found:
        _check_unit(table, readout)
    _check_condition_units(table, protocol)
    return found


def _check_condition_units(table: Table, protocol: Protocol) -> None:
    units = _condition_units(protocol)
    for header in table.headers:
        have, planned = table.units[header], units.get(table.names[header])
        if have and planned and affine(have, planned) != (1.0, 0.0):
            raise UnitError(
                f"Conditions come back in the worklist's units; {table.source} has "
                f"{header!r}, planned in {planned!r}. Leave the column as it was."
            )


def _check_unit(table: Table, readout: Readout) -> None:
    unit = table.unit(_column(readout))
    if unit is not None and readout.unit is None:
        raise UnitError(
            f"A readout without a unit has none in the table; {table.source} gives "
            f"{readout.name!r} in {unit!r}. Declare the unit in the protocol."
        )
    if unit is not None and readout.unit is not None:
        affine(unit, readout.unit)


def _well(name: str, wells: dict[str, Well], where: str) -> Well:
    if name not in wells:
        raise TableError(
            f"{where}: results are of wells of their job; got {name!r}. "
            f"{suggest(name, wells)}"
        )
    return wells[name]


def _check_plan(cells: dict[str, str], well: Well, job: Job, where: str) -> None:
    """Refuse a row that says something else was done than planned."""
    planned: dict[str, Scalar] = {KEY: job.submission_key, REPLICATE: well.replicate}
    planned |= well.conditions
    for name, plan in planned.items():
        said = cells.get(name, "")
        if said and not _is_same(said, plan):
            raise TableError(
                f"{where}: well {well.name!r} was planned with {name} {_text(plan)}; "
                f"got {said!r}. Correct the row; what was done instead of the plan is "
                "no result of this job."
            )


def _is_same(said: str, plan: Scalar) -> bool:
    if isinstance(plan, str):
        return said == plan.strip()
    number = number_in(said, ",") if "," in said else number_in(said)
    if number is None or number.sign or number.unit:
        return False
    return abs(number.value - plan) <= 1e-9 * max(1.0, abs(plan))


def _value(table: Table, readout: Readout, i: int) -> Value:
    column = _column(readout)
    return read_cell(
        table.cells(column)[i],
        readout,
        decimal=table.decimal_of(column),
        unit=table.unit(column),
    )


def _time(text: str | None, where: str) -> datetime | None:
    if not text:
        return None
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        time = None
    if time is None or time.tzinfo is None:
        raise TableError(
            f"{where}: a time is ISO 8601 with its zone; got {text!r}. Write for "
            "example 2026-11-22T14:30:00+01:00, or leave the cell empty."
        )
    return time
