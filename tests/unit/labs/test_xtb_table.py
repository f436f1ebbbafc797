"""The computed table of a library and its card."""

import csv
import hashlib
import sys
from pathlib import Path

import pytest
import yaml

from labwm.errors import TableError, UnavailableError
from labwm.labs.xtb_instrument import XtbSettings, measure
from labwm.labs.xtb_table import COLUMNS, as_csv, main, plan

ROOT = Path(__file__).parents[3]
LIBRARY = ROOT / "protocols" / "xtb_dyes" / "library.csv"
DYES = ROOT / "assay_data" / "xtb_dyes"


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def small_library(folder: Path, *smiles: str) -> Path:
    path = folder / "library.csv"
    path.write_text("smiles,name\n" + "".join(f"{s},{s}\n" for s in smiles))
    return path


def run(library: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = [str(library), str(folder), "--processes", "1"]
    monkeypatch.setattr(sys, "argv", ["xtb_table", *arguments])
    main()


def test_the_committed_table_holds_every_planned_measurement():
    planned = [(row.smiles, str(row.seed)) for row in plan(LIBRARY, replicate_every=15)]
    written = [(row["smiles"], row["seed"]) for row in rows_of(DYES / "table.csv")]
    assert written == planned


def test_the_committed_card_describes_the_committed_files():
    card = yaml.safe_load((DYES / "card.yaml").read_text(encoding="utf-8"))
    rows = rows_of(DYES / "table.csv")
    table = (DYES / "table.csv").read_bytes()
    assert card["table_sha256"] == hashlib.sha256(table).hexdigest()
    repeatable = as_csv(rows, [column for column in COLUMNS if column != "seconds"])
    assert card["readouts_sha256"] == hashlib.sha256(repeatable.encode()).hexdigest()
    assert card["library_sha256"] == hashlib.sha256(LIBRARY.read_bytes()).hexdigest()
    assert card["n_rows"] == len(rows)
    assert sum(card["statuses"].values()) == len(rows)
    assert card["settings"] == vars(XtbSettings())


@pytest.mark.parametrize("index", [0, 700, 1745])
def test_the_committed_table_is_what_the_instrument_measures(index: int):
    row = rows_of(DYES / "table.csv")[index]
    result = measure(row["smiles"], seed=int(row["seed"]), settings=XtbSettings())
    # Linear algebra on another processor differs in the last digits.
    assert result.gap == pytest.approx(float(row["gap_eV"]), abs=1e-3)
    assert result.octanol_water_dg == pytest.approx(
        float(row["octanol_water_dg_kcal_mol"]), abs=1e-2
    )


def test_a_failed_measurement_is_a_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    run(small_library(tmp_path, "CCO", "C1#CC1"), tmp_path, monkeypatch)
    ethanol, *_, cyclopropyne = rows_of(tmp_path / "table.csv")
    assert ethanol["status"] == "ok"
    assert float(ethanol["gap_eV"]) > 0
    assert (cyclopropyne["status"], cyclopropyne["gap_eV"]) == ("embedding_failed", "")
    assert "no conformer" in cyclopropyne["reason"]
    card = yaml.safe_load((tmp_path / "card.yaml").read_text(encoding="utf-8"))
    assert card["statuses"] == {"embedding_failed": 1, "ok": 3}


def test_a_stopped_run_goes_on_and_a_cut_line_is_measured_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    library = small_library(tmp_path, "CCO", "CCN")
    kept = dict.fromkeys(COLUMNS, "kept") | {"smiles": "CCO", "replicate": "0"}
    cut = "CCN,CCN,1,0,7.5,1."
    partial_path = tmp_path / "table.partial.csv"
    partial_path.write_text(as_csv([kept]) + cut, encoding="utf-8")
    run(library, tmp_path, monkeypatch)
    rows = rows_of(tmp_path / "table.csv")
    assert rows[0] == kept
    assert [row["status"] for row in rows[1:]] == ["ok"] * 3
    assert not partial_path.exists()


def test_a_missing_library_is_reported(tmp_path: Path):
    with pytest.raises(UnavailableError, match="does not exist"):
        plan(tmp_path / "library.csv", replicate_every=1)


@pytest.mark.parametrize("text", ["", "smiles,name\n", "molecule\nCCO\n"])
def test_what_is_no_library_is_refused(tmp_path: Path, text: str):
    path = tmp_path / "library.csv"
    path.write_text(text)
    with pytest.raises(TableError, match="columns smiles and name"):
        plan(path, replicate_every=1)
