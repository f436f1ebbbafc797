"""What importing a table found: problems by row, conversions, statuses."""

from collections import Counter
from collections.abc import Sequence
from enum import StrEnum

from labwm.errors import InvalidInputError, MoleculeError, SpaceError, TableError
from labwm.schema import Measurement, Protocol, Status
from labwm.schema.record import Record, Sha256

SHOWN = 5


class ProblemKind(StrEnum):
    """What is wrong with a row."""

    UNREADABLE = "unreadable"
    OUTSIDE = "outside"
    MOLECULE = "molecule"


_ERRORS: dict[ProblemKind, type[InvalidInputError]] = {
    ProblemKind.UNREADABLE: TableError,
    ProblemKind.OUTSIDE: SpaceError,
    ProblemKind.MOLECULE: MoleculeError,
}


class RowProblem(Record):
    """Why one row of a table is no experiment of the protocol."""

    line: int
    """Line of the file, or row of the sheet."""
    kind: ProblemKind
    text: str


class ImportReport(Record):
    """What became of a table."""

    source: str
    sha256: Sha256
    encoding: str
    decimal: str
    n_rows: int
    n_measurements: int
    n_experiments: int
    """Distinct conditions; the rest are replicates."""
    problems: tuple[RowProblem, ...] = ()
    conversions: tuple[str, ...] = ()
    statuses: dict[str, dict[str, int]] = {}
    """For each readout: how many values have each status."""
    notes: tuple[str, ...] = ()

    def text(self) -> str:
        """Return the report as lines to read."""
        lines = [
            f"{self.source}: {self.n_rows} rows, {self.n_measurements} measurements of "
            f"{self.n_experiments} experiments ({self.encoding}, decimal "
            f"{self.decimal!r})"
        ]
        lines += [f"note: {note}" for note in self.notes]
        lines += [f"converted: {text}" for text in self.conversions]
        for readout, counts in self.statuses.items():
            shown = ", ".join(f"{n} {status}" for status, n in counts.items())
            lines.append(f"{readout}: {shown}")
        if self.problems:
            lines.append(problems_text(self.problems, self.n_rows))
        return "\n".join(lines)


def problems_text(problems: Sequence[RowProblem], n_rows: int) -> str:
    """Return how many rows are wrong, and the first of them."""
    n_lines = len({problem.line for problem in problems})
    first = [f"  line {p.line}: {p.text}" for p in problems[:SHOWN]]
    more = len(problems) - len(first)
    if more > 0:
        first.append(f"  and {more} more")
    return "\n".join([f"{n_lines} of {n_rows} rows are left out:", *first])


def error_for(
    problems: Sequence[RowProblem], n_rows: int, source: str
) -> InvalidInputError:
    """Return the error for rows that are no experiments: typed by what is wrong."""
    kinds = Counter(problem.kind for problem in problems)
    error = _ERRORS[next(iter(kinds))] if len(kinds) == 1 else TableError
    n_lines = len({problem.line for problem in problems})
    listed = problems_text(problems, n_rows).split("\n", 1)[1]
    return error(
        f"Every row of a table is an experiment of the protocol; {n_lines} of {n_rows} "
        f"rows of {source} are not:\n{listed}\nCorrect them, or take those rows "
        "out of the table."
    )


def statuses_of(
    measurements: Sequence[Measurement], protocol: Protocol
) -> dict[str, dict[str, int]]:
    """Count the statuses of each readout, most frequent first."""
    counts: dict[str, dict[str, int]] = {}
    for name in protocol.readout_names:
        cells = [m.readouts.get(name) for m in measurements]
        statuses = [str(cell.status if cell else Status.MISSING) for cell in cells]
        counts[name] = dict(Counter(statuses).most_common())
    return counts
