"""Ensembles of conformers."""

import numpy as np
import pytest

from labwm.chem.ensemble import (
    distinct_conformers,
    embed_many,
    force_field_relaxed,
    skeleton_of,
)
from labwm.errors import MoleculeError


def embedded(smiles: str, n: int = 4, seed: int = 3) -> np.ndarray:
    return embed_many(smiles, n=n, seed=seed, timeout_seconds=10)


def test_a_seed_decides_the_conformers_however_the_molecule_is_written():
    assert np.array_equal(embedded("OCC"), embedded("CCO"))
    assert not np.array_equal(embedded("CCO"), embedded("CCO", seed=4))


def test_a_force_field_lowers_what_it_relaxes_and_changes_nothing_handed_in():
    raw = embedded("CCO")
    kept = raw.copy()
    positions, energies = force_field_relaxed("CCO", raw)
    assert np.array_equal(raw, kept)
    again, lower = force_field_relaxed("CCO", positions)
    assert positions.shape == again.shape == raw.shape
    assert np.all(lower <= energies + 1e-6)


def test_equal_conformers_are_one_and_the_first_of_the_order_stays():
    one = embedded("CCO", n=1)
    twice = np.concatenate([one, one + 5.0, embedded("CCO", n=1, seed=9) * [1, 1, -1]])
    assert distinct_conformers("CCO", twice[:2], np.array([1, 0]), rmsd=0.1) == [1]
    assert len(distinct_conformers("CCO", twice[:2], np.array([0, 1]), rmsd=0.0)) == 2


def test_turned_methyl_groups_are_not_another_conformer():
    many = embedded("CC", n=6)
    assert len(distinct_conformers("CC", many, np.arange(6), rmsd=0.1)) == 1


@pytest.mark.parametrize("smiles", ["C.C", "[CH3]", "C[N]", "not a molecule"], ids=repr)
def test_what_is_no_connected_closed_shell_is_refused(smiles: str):
    with pytest.raises(MoleculeError):
        skeleton_of(smiles)
