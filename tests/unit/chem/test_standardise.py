"""Standardising never destroys: what would be lost is refused, the input is kept."""

import pytest

from labwm.chem.molecule import canonical
from labwm.chem.standardise import standardise
from labwm.errors import MoleculeError


@pytest.mark.parametrize(
    ("given", "expected", "changes"),
    [
        ("OCC", "CCO", ()),
        (
            "O=C([O-])c1ccccc1.[Na+]",
            "O=C(O)c1ccccc1",
            ("removed 1 x sodium", "charges neutralised"),
        ),
        ("NCCN.Cl.Cl", "NCCN", ("removed 2 x chloride",)),
        ("CCN.OC(=O)/C=C/C(=O)O", "CCN", ("removed 1 x fumarate or maleate",)),
        ("C[N+](C)(C)CC(=O)[O-]", "C[N+](C)(C)CC(=O)[O-]", ()),
        ("O", "O", ()),
        ("C[C@H](N)O.O", "C[C@H](N)O", ("removed 1 x water",)),
    ],
)
def test_known_counter_ions_are_removed_and_named(
    given: str, expected: str, changes: tuple[str, ...]
):
    result = standardise(given)
    assert result.input == given
    assert (result.standardised, result.changes) == (canonical(expected), changes)
    assert not result.is_refused


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ("N[Pt](N)(Cl)Cl", "metal Pt"),
        ("CC(=O)O[Pd]OC(C)=O", "metal Pd"),
        ("[Na+].[Cl-]", "none is the parent"),
        ("O=C([O-])C.[K+]", "none is the parent"),
        ("CCCN.c1ccncc1", "2 fragments"),
    ],
    ids=["cisplatin", "palladium-acetate", "salt", "potassium-acetate", "mixture"],
)
def test_what_would_be_lost_is_refused_and_stays_whole(given: str, reason: str):
    result = standardise(given)
    assert result.is_refused
    assert reason in result.reason
    assert (result.input, result.standardised) == (given, canonical(given))
    assert result.changes == ()


@pytest.mark.parametrize(
    "given", ["CC[NH3+].[Cl-]", "OCC", "[K]OC(=O)c1ccccc1", "C[N+](C)(C)C.[Br-]"]
)
def test_standardising_twice_changes_nothing_more(given: str):
    once = standardise(given).standardised
    again = standardise(once)
    assert again.standardised == once
    assert again.changes == ()


def test_what_is_no_molecule_is_refused():
    with pytest.raises(MoleculeError, match="valid SMILES"):
        standardise("C1CC")
