"""The dear level of the xtb lab: an extra, refused with words where it is absent."""

from importlib.util import find_spec
from pathlib import Path

import pytest

from labwm.errors import InvalidInputError, ProtocolError, UnavailableError
from labwm.labs import xtb_lab
from labwm.labs.cost_ratio import Pair, lines
from labwm.labs.xtb_instrument import XtbSettings, measure
from labwm.schema import Protocol

LEVEL = "B3LYP/STO-3G"
HAS_PYSCF = find_spec("pyscf") is not None


def protocol(readout: str = "gap", **settings: object) -> Protocol:
    return Protocol.model_validate(
        {
            "name": "dyes",
            "version": 1,
            "parameters": [{"name": "dye", "kind": "molecule"}],
            "readouts": [{"name": readout}],
            "objectives": [{"readout": readout, "goal": "maximise"}],
            "lab": {"adapter": "xtb", "settings": {"method": LEVEL, **settings}},
        }
    )


@pytest.mark.skipif(HAS_PYSCF, reason="PySCF is installed here")
def test_without_pyscf_the_remedy_is_told_before_anything_runs(tmp_path: Path):
    with pytest.raises(UnavailableError, match=r"pip install labwm\[pyscf\]"):
        xtb_lab(tmp_path, protocol())


@pytest.mark.skipif(not HAS_PYSCF, reason="PySCF is an extra; it is not installed")
def test_the_dear_level_measures_the_same_structure(tmp_path: Path):
    with pytest.raises(ProtocolError, match="gives the readout 'gap' only"):
        xtb_lab(tmp_path, protocol("octanol_water_dg"))
    result = measure("O", seed=1, settings=XtbSettings(method=LEVEL))
    assert result.status == "ok"
    # B3LYP/STO-3G of water at the MMFF94 structure, density fitted.
    assert result.gap == pytest.approx(13.3, abs=0.2)
    assert result.octanol_water_dg is None
    few = XtbSettings(method=LEVEL, max_iterations=1)
    assert measure("O", seed=1, settings=few).status == "scf_not_converged"


def test_a_temperature_that_the_level_does_not_know_is_refused():
    with pytest.raises(InvalidInputError, match="Leave it out"):
        XtbSettings(method=LEVEL, electronic_temperature=1000.0)


def test_the_ratio_of_costs_is_told_with_its_spread():
    pairs = [
        Pair("C", (0.01, 1.0), (10.0, 11.0)),
        Pair("CC", (0.01, 3.0), (9.0, 10.0)),
        Pair("CCC", (0.02, 4.0), (8.0, 9.0)),
    ]
    *_, last = lines(pairs, LEVEL)
    assert f"{LEVEL} costs 200 times GFN2-xTB (median; 100 to 300)" in last
