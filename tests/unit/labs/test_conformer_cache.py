"""Structures are embedded once, and a cache that was damaged costs time only."""

from pathlib import Path

import numpy as np
import pytest

from labwm.chem.conformers import embed
from labwm.errors import MoleculeError
from labwm.labs.conformer_cache import conformer_of
from labwm.labs.xtb_instrument import XtbSettings, measure


def get(cache: Path, smiles: str = "CCO", seed: int = 1):
    return conformer_of(
        smiles, seed=seed, n_conformers=1, timeout_seconds=20, cache=cache
    )


def test_a_cached_structure_is_the_embedded_one_to_the_last_bit(tmp_path: Path):
    fresh = embed("CCO", seed=1)
    for _ in range(2):
        found = get(tmp_path)
        assert np.array_equal(found.positions, fresh.positions)
        assert np.array_equal(found.numbers, fresh.numbers)
        assert found.positions.dtype == fresh.positions.dtype
        assert found.numbers.dtype == fresh.numbers.dtype
        assert (found.charge, found.force_field) == (fresh.charge, fresh.force_field)
    assert len(list(tmp_path.iterdir())) == 1


def test_what_is_cached_is_not_embedded_again(tmp_path: Path, monkeypatch):
    first = get(tmp_path)
    monkeypatch.setattr("labwm.chem.conformers.embed", None)
    assert np.array_equal(get(tmp_path).positions, first.positions)
    with pytest.raises(TypeError):
        get(tmp_path, seed=2)


@pytest.mark.parametrize(
    "damage", [b"", b"{", b"[]", b'{"numbers":[6],"positions":[]}']
)
def test_a_damaged_entry_is_made_again(tmp_path: Path, damage: bytes):
    first = get(tmp_path)
    (entry,) = tmp_path.iterdir()
    entry.write_bytes(damage)
    assert np.array_equal(get(tmp_path).positions, first.positions)
    assert entry.read_bytes() != damage


def test_what_cannot_be_embedded_leaves_no_entry(tmp_path: Path):
    with pytest.raises(MoleculeError):
        get(tmp_path, smiles="CC.CC")
    assert not tmp_path.exists() or not list(tmp_path.iterdir())


def test_a_measurement_is_the_same_with_and_without_the_cache(tmp_path: Path):
    plain = measure("CCO", seed=7, settings=XtbSettings())
    for _ in range(2):
        assert measure("CCO", seed=7, settings=XtbSettings(), cache=tmp_path) == plain
