"""Reading a molecule and naming it."""

import pytest

from labwm.chem.molecule import canonical, is_valid
from labwm.errors import MoleculeError


@pytest.mark.parametrize("writing", ["OCC", "C(O)C", "[CH3][CH2][OH]"])
def test_every_way_to_write_a_molecule_has_one_name(writing: str):
    assert canonical(writing) == "CCO"


def test_a_reagent_keeps_its_counter_ion_and_charges():
    assert canonical("[K+].[O-]C(C)=O") == "CC(=O)[O-].[K+]"


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ("", "without blanks"),
        (" CCO", "without blanks"),
        ("CCO ethanol", "without blanks"),
        ("C1CC", "syntax"),
        ("not-a-molecule", "syntax"),
        ("C(C)(C)(C)(C)C", "valence"),
        ("c1cccc1", "kekulize"),
    ],
)
def test_what_is_no_molecule_is_refused_with_its_reason(wrong: str, reason: str):
    assert not is_valid(wrong)
    with pytest.raises(MoleculeError, match=reason) as refused:
        canonical(wrong)
    assert repr(wrong) in str(refused.value)


def test_a_long_input_is_cut_in_the_message():
    with pytest.raises(MoleculeError, match=r"\(501 characters\)") as refused:
        canonical("C" * 500 + "(")
    assert len(str(refused.value)) < 400
