"""Write the tables, protocols and split files that docs/benchmarks.md names.

`python benchmarks/make_tables.py FOLDER` reads the catalogue's public sets and writes
what their authors published in other shapes: workbook sheets, one file per role.
"""

import csv
import math
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from labwm.data.catalogue import fetch, load_table

N_TRAIN_70 = 2767
"""Rows learnt from in each of the ten random sheets of the reaction workbook."""
N_TRAIN_ADDITIVES = (3057, 3055, 3058, 3055)
"""Rows learnt from in each of its four sheets of new additives (rxn_yields)."""
CONDITIONS = ("Ligand", "Additive", "Base", "Aryl halide")
MUBEN = ("muben_esol", "muben_freesolv", "muben_lipophilicity")
BIOGEN = ("biogen_hlm", "biogen_rlm", "biogen_mdr1_er", "biogen_solubility")

MOLECULES = """name: {name}
version: 1
parameters:
  - {{name: molecule, kind: molecule, smiles_column: smiles}}
readouts:
  - {{name: value, column: {column}{limit}}}
objectives:
  - {{readout: value, goal: maximise}}
"""
REACTIONS = """name: buchwald
version: 1
parameters:
  - {name: ligand, kind: molecule, smiles_column: Ligand}
  - {name: additive, kind: molecule, smiles_column: Additive}
  - {name: base, kind: molecule, smiles_column: Base}
  - {name: aryl_halide, kind: molecule, smiles_column: Aryl halide}
readouts:
  - {name: yield, column: Output, unit: percent}
objectives:
  - {readout: yield, goal: maximise}
"""


def main(folder: Path) -> None:
    """Write every table."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in MUBEN:
        _muben(name, folder)
    for name in BIOGEN:
        _biogen(name, folder)
    _buchwald(folder)


def _muben(name: str, folder: Path) -> None:
    rows, split = [], []
    for path in fetch(name):
        if path.suffix != ".csv":
            continue
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                split.append((len(rows), "scaffold", path.stem))
                rows.append((row["smiles"], row["labels"].strip("[]")))
    _write(folder / f"{name}.csv", ("smiles", "value"), rows)
    _write(folder / f"{name}_split.csv", ("row", "fold", "role"), split)
    _protocol(folder / f"{name}.yaml", name, "value")


def _biogen(name: str, folder: Path) -> None:
    table = load_table(name)
    smiles, values = table.cells("smiles"), table.cells("activity")
    (commonest, n), *_ = Counter(values).most_common(1)
    # The value that a tenth of the rows share is the assay's floor, not a result.
    floor = float(commonest) if n > 0.1 * len(values) else -math.inf
    cells = [f"<{commonest}" if float(v) <= floor else v for v in values]
    rows = list(zip(smiles, cells, strict=True))
    _write(folder / f"{name}.csv", ("smiles", "value"), rows)
    _protocol(folder / f"{name}.yaml", name, "value")


def _buchwald(folder: Path) -> None:
    base = _sheet("FullCV_01")
    place = {row[:4]: i for i, row in enumerate(base)}
    random, additives = [], []
    for number in range(1, 11):
        rows = _sheet(f"FullCV_{number:02d}")
        random += _roles(rows, place, f"random-{number}", N_TRAIN_70)
    for number, n_train in enumerate(N_TRAIN_ADDITIVES, start=1):
        rows = _sheet(f"Test{number}")
        additives += _roles(rows, place, f"additives-{number}", n_train)
    _write(folder / "buchwald.csv", (*CONDITIONS, "Output"), base)
    _write(folder / "buchwald_random.csv", ("row", "fold", "role"), random)
    _write(folder / "buchwald_additives.csv", ("row", "fold", "role"), additives)
    (folder / "buchwald.yaml").write_text(REACTIONS, encoding="utf-8")


def _sheet(name: str) -> list[tuple[str, ...]]:
    table = load_table("buchwald_hartwig_splits", sheet=name)
    columns = [table.cells(column) for column in (*CONDITIONS, "Output")]
    return list(zip(*columns, strict=True))


def _roles(
    rows: Sequence[tuple[str, ...]],
    place: dict[tuple[str, ...], int],
    fold: str,
    n_train: int,
) -> list[tuple[int, str, str]]:
    return [
        (place[row[:4]], fold, "train" if i < n_train else "test")
        for i, row in enumerate(rows)
    ]


def _protocol(path: Path, name: str, column: str, limit: str = "") -> None:
    path.write_text(
        MOLECULES.format(name=name, column=column, limit=limit), encoding="utf-8"
    )


def _write(
    path: Path, header: Sequence[str], rows: Iterable[Sequence[str | int]]
) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
