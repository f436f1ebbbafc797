"""Read the conditions of every row of a table, by the protocol's columns.

Shapes: `n` rows. A cell that cannot be read becomes a problem of its row, no guess.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from labwm.data.cells import MISSING, clean, in_unit, number_in
from labwm.data.report import ProblemKind, RowProblem
from labwm.data.table import Table
from labwm.errors import TableError, UnitError
from labwm.schema import (
    CategoricalParameter,
    Conditions,
    ContextParameter,
    ContinuousParameter,
    DiscreteParameter,
    MixtureParameter,
    MoleculeParameter,
    Parameter,
    Protocol,
)
from labwm.space.levels import same_level
from labwm.space.membership import membership_of
from labwm.units import affine, check_unit

Reader = Callable[[int, str], float | str | None]


@dataclass
class ConditionRows:
    """Conditions by row; None where a row is no experiment of the protocol."""

    rows: list[Conditions | None]
    problems: list[RowProblem] = field(default_factory=list)
    conversions: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def read_conditions(table: Table, protocol: Protocol) -> ConditionRows:
    """Read the conditions of each row and check them against the space.

    Raises:
        TableError: If a column is absent.
        UnitError: If a header's unit does not fit the parameter's.
    """
    found = ConditionRows([{} for _ in range(table.n_rows)])
    for parameter in protocol.parameters:
        for name, column in columns_of(parameter, table):
            _fill(found, table, parameter, name, column)
    membership = membership_of(protocol)
    for i, row in enumerate(found.rows):
        if row is None:
            continue
        if broken := membership.problems(row):
            _reject(found, table, i, ProblemKind.OUTSIDE, broken[0])
    found.problems.sort(key=lambda problem: problem.line)
    return found


def columns_of(parameter: Parameter, table: Table) -> list[tuple[str, str]]:
    """Return (condition name, column of the table) of a parameter.

    The part of a mixture stands in a column `mixture.part`, or just `part`.
    """
    if isinstance(parameter, MixtureParameter):
        return [
            (name, name if table.has(name) else part)
            for name, part in zip(parameter.part_columns, parameter.parts, strict=True)
        ]
    return [(parameter.name, parameter.columns[0])]


def _fill(
    found: ConditionRows, table: Table, parameter: Parameter, name: str, column: str
) -> None:
    reader = _reader(found, table, parameter, column)
    for i, cell in enumerate(table.cells(column)):
        row = found.rows[i]
        if row is None:
            continue
        text = clean(cell)
        if text.lower() in MISSING and not _may_be_level(parameter, text):
            continue
        try:
            value = reader(i, text)
        except (TableError, UnitError) as error:
            _reject(found, table, i, ProblemKind.UNREADABLE, str(error))
            continue
        if value is not None:
            row[name] = value


def _reject(
    found: ConditionRows, table: Table, i: int, kind: ProblemKind, text: str
) -> None:
    found.rows[i] = None
    found.problems.append(RowProblem(line=table.lines[i], kind=kind, text=text))


def _may_be_level(parameter: Parameter, text: str) -> bool:
    """Is a word such as `none` a declared level rather than a missing value?"""
    return isinstance(parameter, CategoricalParameter) and text in (
        parameter.levels or ()
    )


def _reader(
    found: ConditionRows, table: Table, parameter: Parameter, column: str
) -> Reader:
    if isinstance(parameter, MoleculeParameter):
        return _molecule_reader(found, table, parameter, column)
    if isinstance(parameter, CategoricalParameter | ContextParameter):
        return lambda _, text: text
    return _number_reader(found, table, parameter, column)


def _number_reader(
    found: ConditionRows, table: Table, parameter: Parameter, column: str
) -> Reader:
    header, decimal = table.find(column), table.decimal_of(column)
    have, wanted = table.unit(column), parameter.unit
    if isinstance(parameter, MixtureParameter):
        # The record holds fractions; the declared unit says how the table writes them.
        have, wanted = have or parameter.unit, "fraction"
    if wanted is not None:
        check_unit(wanted)
    if have is not None and wanted is not None:
        try:
            factor, offset = affine(have, wanted)
        except UnitError as error:
            raise UnitError(
                f"The column {header!r} must fit {parameter.name!r}. {error}"
            ) from error
        if (factor, offset) != (1.0, 0.0):
            found.conversions.append(f"{header}: {have} to {wanted}")

    def read(_: int, text: str) -> float | None:
        number = number_in(text, decimal)
        if number is None or number.sign:
            raise TableError(
                f"The parameter {parameter.name!r} takes numbers; got {text!r}. Write "
                "one number."
            )
        return _snapped(parameter, in_unit(number, wanted, have))

    return read


def _snapped(parameter: Parameter, value: float) -> float:
    """Return the declared level that a number is up to rounding."""
    if isinstance(parameter, DiscreteParameter):
        return next((x for x in parameter.levels if same_level(x, value)), value)
    if isinstance(parameter, ContinuousParameter):
        return next((x for x in parameter.bounds if same_level(x, value)), value)
    return value


def _molecule_reader(
    found: ConditionRows, table: Table, parameter: MoleculeParameter, column: str
) -> Reader:
    from labwm.chem.molecule import canonical
    from labwm.errors import MoleculeError

    declared = frozenset(parameter.smiles or ())
    by_canonical = {canonical(smiles): smiles for smiles in declared}
    known: dict[str, str | MoleculeError] = {}
    rewritten: set[str] = set()

    def resolve(text: str) -> str | MoleculeError:
        try:
            whole = canonical(text)
        except MoleculeError as error:
            return error
        if text in declared or whole not in by_canonical:
            return text
        rewritten.add(text)
        if len(rewritten) == 1:
            found.notes.append(
                f"{column}: SMILES written otherwise than in the protocol were matched "
                "by their canonical form"
            )
        return by_canonical[whole]

    def read(i: int, text: str) -> str | None:
        if text not in known:
            known[text] = resolve(text)
        value = known[text]
        if isinstance(value, MoleculeError):
            _reject(found, table, i, ProblemKind.MOLECULE, str(value))
            return None
        return value

    return read
