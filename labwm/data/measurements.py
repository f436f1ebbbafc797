"""Turn a table into measurements, by the protocol's column mapping."""

from collections import Counter
from collections.abc import Iterator
from typing import Literal

from labwm.data.cells import read_cell
from labwm.data.conditions import columns_of, read_conditions
from labwm.data.report import ImportReport, error_for, statuses_of
from labwm.data.table import Table
from labwm.errors import InvalidInputError, UnitError
from labwm.schema import (
    Measurement,
    MoleculeParameter,
    Origin,
    Protocol,
    Readout,
    ReadoutKind,
    Value,
    canonical_json,
)
from labwm.units import affine, check_unit


def measurements_from_table(
    table: Table,
    protocol: Protocol,
    *,
    origin: Origin = Origin.IMPORTED,
    on_error: Literal["raise", "report"] = "raise",
) -> tuple[tuple[Measurement, ...], ImportReport]:
    """Read every row of a table as one measurement.

    Rows of equal conditions are replicates, numbered in the order of the file. A
    readout whose cell cannot be read keeps its row, with the status `unreadable`.

    Args:
        table: From `read_table` or `load_table`.
        protocol: Says which column holds what, in which unit.
        origin: Where the values come from.
        on_error: With `report`, rows that are no experiment of the protocol are left
            out and listed in the report; with `raise` any such row is an error.

    Raises:
        TableError: If a column is absent or a row cannot be read.
        UnitError: If a header's unit does not fit the protocol's.
        MoleculeError: If SMILES are invalid.
        SpaceError: If conditions lie outside the declared space.
        InvalidInputError: If a readout is a curve.
    """
    _refuse_curves(protocol)
    # Readouts first: an absent column or a wrong unit is told before molecules.
    cells = [_values(table, readout) for readout in protocol.readouts]
    conversions = [
        text for readout in protocol.readouts if (text := _conversion(table, readout))
    ]
    found = read_conditions(table, protocol)
    if found.problems and on_error == "raise":
        raise error_for(found.problems, table.n_rows, table.source)
    measurements: list[Measurement] = []
    replicates: Counter[bytes] = Counter()
    for row, values in zip(found.rows, zip(*cells, strict=True), strict=True):
        if row is None:
            continue
        key = canonical_json(row)
        measurements.append(
            Measurement(
                conditions=row,
                readouts=dict(zip(protocol.readout_names, values, strict=True)),
                origin=origin,
                replicate=replicates[key],
                raw_sha256=table.sha256,
            )
        )
        replicates[key] += 1
    return tuple(measurements), ImportReport(
        source=table.source,
        sha256=table.sha256,
        encoding=table.encoding,
        decimal=table.decimal,
        n_rows=table.n_rows,
        n_measurements=len(measurements),
        n_experiments=len(replicates),
        problems=tuple(found.problems),
        conversions=(*found.conversions, *conversions),
        statuses=statuses_of(measurements, protocol),
        notes=(*table.notes, *found.notes),
    )


def labels_from_table(table: Table, protocol: Protocol) -> dict[str, dict[str, str]]:
    """Return the names of molecules where the table has them: parameter, SMILES, name.

    A molecule that the table calls by two names keeps the first.
    """
    labels: dict[str, dict[str, str]] = {}
    for parameter in protocol.parameters:
        if not isinstance(parameter, MoleculeParameter) or not parameter.label_column:
            continue
        if not table.has(parameter.label_column):
            continue
        names = labels.setdefault(parameter.name, {})
        (_, column), *_ = columns_of(parameter, table)
        label = parameter.label_column
        for smiles, name in zip(table.cells(column), table.cells(label), strict=True):
            if smiles.strip() and name.strip():
                names.setdefault(smiles.strip(), name.strip())
    return labels


def _refuse_curves(protocol: Protocol) -> None:
    for readout in protocol.readouts:
        if readout.kind is ReadoutKind.CURVE:
            raise InvalidInputError(
                f"A table holds one value of a readout per row; {readout.name!r} is a "
                "curve. Read curves with `labwm bench dynamics`, or import a summary "
                "as a scalar readout."
            )


def _values(table: Table, readout: Readout) -> Iterator[Value]:
    column = readout.column or readout.name
    cells, unit = table.cells(column), table.unit(column)
    decimal = table.decimal_of(column)
    _conversion(table, readout)
    return (read_cell(cell, readout, decimal=decimal, unit=unit) for cell in cells)


def _conversion(table: Table, readout: Readout) -> str | None:
    header = table.find(readout.column or readout.name)
    have, wanted = table.units[header], readout.unit
    if wanted is not None:
        check_unit(wanted)
    if have is None or wanted is None:
        return None
    try:
        is_same = affine(have, wanted) == (1.0, 0.0)
    except UnitError as error:
        raise UnitError(
            f"The column {header!r} must fit {readout.name!r}. {error}"
        ) from error
    return None if is_same else f"{header}: {have} to {wanted}"
