"""Count fingerprints as sparse rows."""

import numpy as np
import pytest

from labwm.chem.fingerprints import (
    KINDS,
    N_COUNTS,
    Kind,
    count_fingerprints,
)
from labwm.errors import InvalidInputError, MoleculeError

DRUGS = [
    "CC(=O)Oc1ccccc1C(=O)O",
    "Cn1c(=O)c2c(ncn2C)n(C)c1=O",
    "Cc1ccc(NC(=O)c2ccc(CN3CCN(C)CC3)cc2)cc1Nc1nccc(-c2cccnc2)n1",
    "O=C([O-])C.[K+]",
    "O=[N+]([O-])/C=C/N1CCOCC1",
    "[2H]C([2H])([2H])O",
    "[H][H]",
    "O=C1C=CC(=O)C=C1",
    "c1ccc2c(c1)[nH]c1ccccc12",
]


@pytest.mark.parametrize("kind", KINDS)
def test_every_way_to_write_a_molecule_has_the_same_counts(kind: Kind):
    kekulised, aromatic = "C1=CC=CC=C1C(=O)O", "OC(=O)c1ccccc1"
    rows = count_fingerprints([kekulised, aromatic], kind).toarray()
    assert rows.shape == (2, N_COUNTS)
    assert rows[0].sum() > 0
    np.testing.assert_array_equal(rows[0], rows[1])


def test_counts_count_rather_than_flag():
    (hexane,) = count_fingerprints(["CCCCCC"], "ecfp4").toarray()
    # Two methyl ends and four CH2 at radius 0.
    assert {2, 4} <= set(hexane)


@pytest.mark.parametrize("kind", KINDS)
def test_rows_keep_the_order_of_the_molecules(kind: Kind):
    rows = count_fingerprints(DRUGS, kind).toarray()
    for row, smiles in zip(rows, DRUGS, strict=True):
        (alone,) = count_fingerprints([smiles], kind).toarray()
        np.testing.assert_array_equal(row, alone)


def test_no_molecules_give_no_rows():
    assert count_fingerprints([], "ecfp4").shape == (0, N_COUNTS)


@pytest.mark.parametrize("wrong", ["", "C1CC", "C(C)(C)(C)(C)C"])
def test_what_is_no_molecule_is_refused(wrong: str):
    with pytest.raises(MoleculeError):
        count_fingerprints(["CCO", wrong], "ecfp4")


def test_an_unknown_kind_is_refused_with_the_nearest_one():
    with pytest.raises(InvalidInputError, match="Did you mean 'torsion'"):
        count_fingerprints(["CCO"], "torsions")  # pyright: ignore[reportArgumentType]
