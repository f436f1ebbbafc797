"""Compute the xTB lab's table of a whole library, with its card.

`python -m labwm.labs.xtb_table LIBRARY FOLDER` measures every molecule of the CSV file
`LIBRARY` and writes `FOLDER/table.csv` and `FOLDER/card.yaml`. Stopped at any moment,
the same command goes on from `FOLDER/table.partial.csv`. A failed measurement is a row.
"""

import argparse
import csv
import hashlib
import io
import multiprocessing
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path

import yaml

from labwm.errors import TableError, UnavailableError
from labwm.labs.xtb_instrument import XtbResult, XtbSettings, measure

COLUMNS: tuple[str, ...] = (
    "smiles",
    "name",
    "seed",
    "replicate",
    "gap_eV",
    "octanol_water_dg_kcal_mol",
    "status",
    "reason",
    "seconds",
)
N_REPLICATES = 3
"""Replicates of the molecules that are measured repeatedly; all others have one."""
DECIMALS = 6


@dataclass(frozen=True)
class Row:
    """One planned measurement; replicate `r` has the seed `r + 1`."""

    smiles: str
    name: str
    replicate: int

    @property
    def seed(self) -> int:
        """Return the seed of this replicate, the same for every molecule."""
        return self.replicate + 1

    @property
    def key(self) -> tuple[str, str]:
        """Return what identifies this row in a written table."""
        return self.smiles, str(self.replicate)


def plan(library: Path, *, replicate_every: int) -> list[Row]:
    """Return one row for each molecule, and more for every `replicate_every`-th.

    Raises:
        UnavailableError: If there is no such file.
        TableError: If it has no columns `smiles` and `name`, or no rows.
    """
    if not library.is_file():
        raise UnavailableError(
            f"A table is computed for a library file; got {library}, which does not "
            "exist. Make it with python -m labwm.chem.library."
        )
    with library.open(encoding="utf-8", newline="") as file:
        molecules = list(csv.DictReader(file))
    if not molecules or not {"smiles", "name"} <= molecules[0].keys():
        raise TableError(
            f"A library has columns smiles and name and at least one row; got {library}"
            f" with {len(molecules)} rows. Make it with python -m labwm.chem.library."
        )
    return [
        Row(molecule["smiles"], molecule["name"], replicate)
        for index, molecule in enumerate(molecules)
        for replicate in range(1 if index % replicate_every else N_REPLICATES)
    ]


def compute(rows: Sequence[Row], partial_path: Path, *, n_processes: int) -> None:
    """Measure the rows that `partial_path` lacks and append each as it ends."""
    complete = _records(partial_path)
    done = {_key(record) for record in complete}
    missing = [row for row in rows if row.key not in done]
    # Written anew, so that nothing is appended to a line that a crash cut.
    partial_path.write_text(as_csv(complete), encoding="utf-8", newline="")
    # Forked children would inherit OpenMP's threads in an unknown state.
    os.environ["OMP_NUM_THREADS"] = "1"
    context = multiprocessing.get_context("spawn")
    with (
        partial_path.open("a", encoding="utf-8", newline="") as file,
        context.Pool(n_processes) as pool,
    ):
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        work = partial(_measured, settings=XtbSettings())
        for record in _shown(pool.imap_unordered(work, missing), len(missing)):
            writer.writerow(record)
            file.flush()


def assemble(rows: Sequence[Row], partial_path: Path) -> list[dict[str, str]]:
    """Return the computed records in the order of `rows`.

    Raises:
        TableError: If a planned measurement is missing.
    """
    records = {_key(record): record for record in _records(partial_path)}
    missing = [row.name for row in rows if row.key not in records]
    if missing:
        raise TableError(
            f"Every planned measurement is in a table; got {len(missing)} missing, "
            f"first {missing[0]!r}. Run the command again."
        )
    return [records[row.key] for row in rows]


def as_csv(records: Iterable[dict[str, str]], columns: Sequence[str] = COLUMNS) -> str:
    """Return the records as CSV text."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    writer.writerows(records)
    return text.getvalue()


def card(records: Sequence[dict[str, str]], library: Path) -> dict[str, object]:
    """Describe the table: what it holds, how it was made, and what it is not."""
    reproducible = tuple(column for column in COLUMNS if column != "seconds")
    statuses = [record["status"] for record in records]
    return {
        "title": "Donor-acceptor dyes measured by the xtb lab",
        "origin": "computed",
        "level": "GFN2-xTB//MMFF94: a computed quantity, not an experiment",
        "how": (
            "One ETKDGv3 conformer by the replicate's seed, relaxed with MMFF94; "
            "three GFN2-xTB single points: gas phase, ALPB octanol, ALPB water."
        ),
        "readouts": {
            "gap_eV": "HOMO-LUMO gap in the gas phase, eV",
            "octanol_water_dg_kcal_mol": (
                "Solvation free energy in octanol minus water, kcal/mol; the more "
                "negative, the more lipophilic"
            ),
            "seconds": "Processor time of the measurement; the only column that varies",
        },
        "caveats": [
            "Gaps of GFN2-xTB rank molecules; they are not optical gaps.",
            "The structure is not relaxed at the GFN2-xTB level or in the solvent.",
            "Replicates differ by conformer only; rigid molecules show no noise.",
        ],
        "settings": asdict(XtbSettings()),
        "seeds": f"replicate r has seed r + 1; {N_REPLICATES} replicates at most",
        "command": f"python -m labwm.labs.xtb_table {library.as_posix()} FOLDER",
        "library_sha256": _sha256(library.read_bytes()),
        "table_sha256": _sha256(as_csv(records).encode()),
        "readouts_sha256": _sha256(as_csv(records, reproducible).encode()),
        "n_rows": len(records),
        "n_molecules": len({record["smiles"] for record in records}),
        "statuses": {status: statuses.count(status) for status in sorted({*statuses})},
        "versions": {name: version(name) for name in ("tblite", "rdkit", "numpy")},
        "licence": "MIT, as labwm",
    }


def _measured(row: Row, *, settings: XtbSettings) -> dict[str, str]:
    result = measure(row.smiles, seed=row.seed, settings=settings)
    return {
        "smiles": row.smiles,
        "name": row.name,
        "seed": str(row.seed),
        "replicate": str(row.replicate),
        "gap_eV": _decimal(result.gap),
        "octanol_water_dg_kcal_mol": _decimal(result.octanol_water_dg),
        "status": result.status,
        "reason": _reason(result),
        "seconds": f"{result.cpu_seconds:.3f}",
    }


def _reason(result: XtbResult) -> str:
    """Say why a measurement failed, or what about a good one is out of the ordinary."""
    if result.status != "ok":
        return result.reason
    notes = (
        [] if result.force_field == "MMFF94" else [f"{result.force_field} structure"]
    )
    if not result.is_relaxed:
        notes.append("force field not converged")
    return "; ".join(notes)


def _decimal(value: float | None) -> str:
    return "" if value is None else f"{value:.{DECIMALS}f}"


def _records(path: Path) -> list[dict[str, str]]:
    """Read the complete lines; one that a crash cut has no line end."""
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        lines = [line for line in file if line.endswith("\n")]
    return list(csv.DictReader(lines))


def _key(record: dict[str, str]) -> tuple[str, str]:
    return record["smiles"], record["replicate"]


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _shown(records: Iterable[dict[str, str]], total: int) -> Iterable[dict[str, str]]:
    from rich.progress import track

    return track(records, description="Measuring", total=total)


def main() -> None:
    """Measure a library and write its table and card."""
    parser = argparse.ArgumentParser(prog="python -m labwm.labs.xtb_table")
    parser.add_argument("library", type=Path, help="CSV file with smiles and name")
    parser.add_argument("folder", type=Path, help="where table and card are written")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--replicate-every", type=int, default=15)
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    rows = plan(arguments.library, replicate_every=arguments.replicate_every)
    partial_path = arguments.folder / "table.partial.csv"
    compute(rows, partial_path, n_processes=arguments.processes)
    records = assemble(rows, partial_path)
    table, described = as_csv(records), card(records, arguments.library)
    (arguments.folder / "table.csv").write_text(table, encoding="utf-8", newline="")
    (arguments.folder / "card.yaml").write_text(
        yaml.safe_dump(described, sort_keys=False, width=88), encoding="utf-8"
    )
    partial_path.unlink()


if __name__ == "__main__":
    main()
