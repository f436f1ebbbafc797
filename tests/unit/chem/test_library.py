"""The library of donor-bridge-acceptor molecules."""

import re
import sys
from pathlib import Path

import pytest
import yaml

from labwm.chem.library import (
    COLUMNS,
    Blocks,
    as_csv,
    enumerate_donor_acceptor,
    main,
    read_blocks,
)
from labwm.chem.molecule import canonical
from labwm.errors import InvalidInputError, MoleculeError, UnavailableError

DYES = Path(__file__).parents[3] / "protocols" / "xtb_dyes"
SMALL = {
    "max_atoms": 40,
    "donors": [
        {"name": "anisyl", "smiles": "COc1ccc(cc1)*"},
        {"name": "dimethylamino", "smiles": "CN(C)*", "tags": ["amine"]},
    ],
    "bridges": [{"name": "none"}, {"name": "vinylene", "smiles": "*/C=C/*"}],
    "acceptors": [
        {"name": "cyano", "smiles": "*C#N", "tags": ["group"]},
        {"name": "cyanoacrylic", "smiles": "*/C=C(\\C#N)C(=O)O"},
    ],
    "exclusions": [
        {"donor": "amine", "bridge": "none", "acceptor": "group", "reason": "cyanamide"}
    ],
}


def blocks_of(folder: Path, **changes: object) -> Blocks:
    path = folder / "blocks.yaml"
    path.write_text(yaml.safe_dump(SMALL | changes), encoding="utf-8")
    return read_blocks(path)


def test_the_committed_library_is_what_its_blocks_give():
    library = enumerate_donor_acceptor(read_blocks(DYES / "blocks.yaml"))
    assert (DYES / "library.csv").read_text(encoding="utf-8") == as_csv(library)
    assert len(library) >= 1000


def test_the_committed_library_holds_distinct_canonical_molecules():
    library = enumerate_donor_acceptor(read_blocks(DYES / "blocks.yaml"))
    names = [molecule.smiles for molecule in library]
    assert len(set(names)) == len(names)
    assert names == [canonical(name) for name in names]


def test_every_vinylene_of_the_library_keeps_its_geometry():
    library = enumerate_donor_acceptor(read_blocks(DYES / "blocks.yaml"))
    vinylenes = [m.smiles for m in library if m.bridge == "vinylene"]
    assert vinylenes
    assert all(len(re.findall(r"[/\\]", smiles)) >= 2 for smiles in vinylenes)


def test_blocks_are_joined_at_their_open_bonds_and_named(tmp_path: Path):
    library = enumerate_donor_acceptor(blocks_of(tmp_path))
    by_name = {molecule.name: molecule.smiles for molecule in library}
    assert by_name == {
        "anisyl | none | cyano": canonical("COc1ccc(C#N)cc1"),
        "anisyl | none | cyanoacrylic": canonical("COc1ccc(/C=C(\\C#N)C(=O)O)cc1"),
        "anisyl | vinylene | cyano": canonical("COc1ccc(/C=C/C#N)cc1"),
        "anisyl | vinylene | cyanoacrylic": canonical(
            "COc1ccc(/C=C/C=C(\\C#N)C(=O)O)cc1"
        ),
        "dimethylamino | none | cyanoacrylic": canonical("CN(C)/C=C(\\C#N)C(=O)O"),
        "dimethylamino | vinylene | cyano": canonical("CN(C)/C=C/C#N"),
        "dimethylamino | vinylene | cyanoacrylic": canonical(
            "CN(C)/C=C/C=C(\\C#N)C(=O)O"
        ),
    }


def test_molecules_above_the_size_limit_are_left_out(tmp_path: Path):
    largest = enumerate_donor_acceptor(blocks_of(tmp_path, max_atoms=17))
    # 4-Methoxybenzonitrile has 17 atoms, hydrogens included.
    assert "anisyl | none | cyano" in {molecule.name for molecule in largest}
    smaller = enumerate_donor_acceptor(blocks_of(tmp_path, max_atoms=16))
    assert "anisyl | none | cyano" not in {molecule.name for molecule in smaller}


def test_one_molecule_made_in_two_ways_is_listed_once(tmp_path: Path):
    twice = [*SMALL["donors"], {"name": "again", "smiles": "c1cc(OC)ccc1*"}]
    library = enumerate_donor_acceptor(blocks_of(tmp_path, donors=twice))
    assert len(library) == 7
    assert "again" not in {molecule.donor for molecule in library}


@pytest.mark.parametrize(
    ("changes", "error", "reason"),
    [
        ({"max_atoms": None}, InvalidInputError, "max_atoms"),
        ({"donors": [{"smiles": "C*"}]}, InvalidInputError, "name"),
        ({"donors": SMALL["donors"][:1] * 2}, InvalidInputError, "comes twice"),
        ({"donors": [{"name": "x", "smiles": "*C"}]}, MoleculeError, "donor 'x'"),
        ({"donors": [{"name": "x", "smiles": "*C*"}]}, MoleculeError, "donor 'x'"),
        ({"acceptors": [{"name": "x", "smiles": ""}]}, MoleculeError, "one SMILES"),
        ({"bridges": [{"name": "x", "smiles": "*C"}]}, MoleculeError, "bridge 'x'"),
        ({"bridges": [{"name": "x", "smiles": "*C1*"}]}, MoleculeError, "syntax"),
        (
            {"exclusions": [{"donor": "amin", "reason": "x"}]},
            InvalidInputError,
            "Did you mean 'amine'",
        ),
        ({"exclusions": [{"dona": "x", "reason": "x"}]}, InvalidInputError, "dona"),
    ],
)
def test_malformed_blocks_are_refused(
    tmp_path: Path, changes: dict[str, object], error: type[Exception], reason: str
):
    with pytest.raises(error, match=reason):
        blocks_of(tmp_path, **changes)


def test_a_missing_file_of_blocks_is_reported(tmp_path: Path):
    with pytest.raises(UnavailableError, match="does not exist"):
        read_blocks(tmp_path / "blocks.yaml")


def test_the_command_writes_the_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    blocks_of(tmp_path)
    monkeypatch.setattr(sys, "argv", ["library", str(tmp_path)])
    main()
    lines = (tmp_path / "library.csv").read_text(encoding="utf-8").splitlines()
    assert lines[0] == ",".join(COLUMNS)
    assert len(lines) == 8
