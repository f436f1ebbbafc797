"""RDKit's descriptors as an array."""

import numpy as np
import pytest

from labwm.chem.descriptors import descriptor_names, descriptors
from labwm.errors import MoleculeError


def test_each_molecule_has_one_row_of_named_numbers():
    values, names = descriptors(["CCO", "c1ccccc1", "CCO"])
    assert values.shape == (3, len(names))
    assert len(names) > 200
    assert names == descriptor_names()
    assert values[:, names.index("HeavyAtomCount")].tolist() == [3, 6, 3]
    assert values[0, names.index("ExactMolWt")] == pytest.approx(46.0419, abs=1e-3)


def test_every_way_to_write_a_molecule_has_the_same_row():
    values, _ = descriptors(["OC(=O)c1ccccc1", "C1=CC=CC=C1C(=O)O"])
    np.testing.assert_array_equal(values[0], values[1])


def test_what_cannot_be_computed_is_nan_in_its_cell_alone():
    values, names = descriptors(["[Na+].[Cl-]", "CCO"])
    charge = names.index("MaxPartialCharge")
    assert not np.isinf(values).any()
    assert np.isnan(values[0, names.index("BCUT2D_MWHI")])
    assert np.isfinite(values[0, names.index("HeavyAtomCount")])
    assert np.isfinite(values[1]).all()
    assert np.isfinite(values[1, charge])


def test_a_descriptor_that_raises_is_nan():
    values, names = descriptors(["[H][H]"])
    assert np.isnan(values[0, names.index("SPS")])
    assert values[0, names.index("HeavyAtomCount")] == 0


def test_a_caller_cannot_change_the_cache():
    first, _ = descriptors(["CCCO"])
    first[:] = -1
    again, _ = descriptors(["CCCO"])
    assert (again != -1).any()


def test_no_molecules_give_no_rows():
    values, names = descriptors([])
    assert values.shape == (0, len(names))


def test_what_is_no_molecule_is_refused():
    with pytest.raises(MoleculeError, match="'C1CC'"):
        descriptors(["CCO", "C1CC"])
