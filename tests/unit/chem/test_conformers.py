"""Three-dimensional structures by seed."""

import numpy as np
import pytest

from labwm.chem.conformers import MAX_SEED, embed
from labwm.errors import InvalidInputError, MoleculeError

FLEXIBLE = "OCCCCCCO"


def test_a_structure_has_bonds_of_chemical_length_in_angstrom():
    water = embed("O", seed=1)
    assert water.numbers.tolist() == [8, 1, 1]
    assert water.n_electrons == 10
    lengths = np.linalg.norm(water.positions[1:] - water.positions[0], axis=1)
    np.testing.assert_allclose(lengths, 0.96, atol=0.03)


def test_one_seed_gives_one_structure_however_the_molecule_is_written():
    first, again = embed("OCC(N)C=C", seed=5), embed("C=CC(N)CO", seed=5)
    np.testing.assert_array_equal(first.positions, again.positions)
    np.testing.assert_array_equal(first.numbers, again.numbers)


def test_another_seed_gives_another_conformer():
    first, other = embed(FLEXIBLE, seed=1), embed(FLEXIBLE, seed=2)
    assert _spread(first.positions) != pytest.approx(_spread(other.positions), rel=1e-3)


def test_more_conformers_are_relaxed_and_one_is_chosen():
    chosen = embed(FLEXIBLE, seed=1, n_conformers=4)
    assert chosen.positions.shape == (len(chosen.numbers), 3)
    assert chosen.is_relaxed


def test_a_force_field_other_than_mmff_is_stated():
    assert embed("CCO", seed=1).force_field == "MMFF94"
    assert embed("CB(O)O", seed=1).force_field == "UFF"


def test_charge_and_unpaired_electrons_are_carried():
    assert embed("C[NH3+]", seed=1).charge == 1
    assert embed("C[CH2]", seed=1).n_unpaired == 1


@pytest.mark.parametrize(
    ("smiles", "reason"),
    [
        ("C1#CC1", "no conformer"),
        ("[Na+].[Cl-]", "one connected molecule; got 2 fragments"),
        ("N[Pt](N)(Cl)Cl", "force field must know every atom"),
        ("C1CC", "valid SMILES"),
    ],
)
def test_what_has_no_structure_is_refused(smiles: str, reason: str):
    with pytest.raises(MoleculeError, match=reason):
        embed(smiles, seed=1)


@pytest.mark.parametrize(("seed", "n"), [(0, 1), (MAX_SEED + 1, 1), (-1, 1), (1, 0)])
def test_a_seed_or_count_out_of_range_is_refused(seed: int, n: int):
    with pytest.raises(InvalidInputError, match=f"got seed {seed}"):
        embed("CCO", seed=seed, n_conformers=n)


def _spread(positions: np.ndarray) -> float:
    return float(np.linalg.norm(positions - positions.mean(axis=0)))
