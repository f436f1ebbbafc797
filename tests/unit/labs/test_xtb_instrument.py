"""The xTB instrument: real calculations, pure in (molecule, seed, settings)."""

import subprocess
import sys

import pytest

from labwm.errors import InvalidInputError, MoleculeError
from labwm.labs.xtb_instrument import MAX_SEED, XtbResult, XtbSettings, measure, seed_of

SETTINGS = XtbSettings()
DYE = "CN(C)c1ccc(/C=C/C#N)cc1"
FLEXIBLE = "OCCCCO"


def test_a_dye_has_a_gap_and_a_preference_for_octanol():
    result = measure(DYE, seed=1, settings=SETTINGS)
    assert result.status == "ok"
    assert result.reason == ""
    assert result.gap == pytest.approx(2.3, abs=0.15)
    assert result.octanol_water_dg == pytest.approx(-3.2, abs=0.5)
    assert result.force_field == "MMFF94"
    assert result.is_relaxed
    assert 0 < result.cpu_seconds < 30


def test_more_negative_is_more_lipophilic():
    octane, ethanol, glycerol = (
        _dg(measure(smiles, seed=1, settings=SETTINGS))
        for smiles in ("CCCCCCCC", "CCO", "OCC(O)CO")
    )
    assert octane < ethanol < glycerol


def test_longer_conjugation_closes_the_gap():
    short = measure("C=CC=C", seed=1, settings=SETTINGS)
    long = measure("C=C/C=C/C=C/C=C", seed=1, settings=SETTINGS)
    assert short.gap is not None
    assert long.gap is not None
    assert long.gap < short.gap - 0.5


def test_one_seed_gives_one_result_however_the_molecule_is_written():
    first = measure("OCC(N)C=C", seed=3, settings=SETTINGS)
    again = measure("C=CC(N)CO", seed=3, settings=SETTINGS)
    assert first == again


def test_another_process_with_two_threads_gives_the_same_result():
    code = (
        "from labwm.labs.xtb_instrument import XtbSettings, measure;"
        f"r = measure({DYE!r}, seed=4, settings=XtbSettings());"
        "import sys; sys.stdout.write(f'{r.gap!r} {r.octanol_water_dg!r}')"
    )
    environment = {"OMP_NUM_THREADS": "2", "PYTHONPATH": ":".join(sys.path)}
    elsewhere = subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    here = measure(DYE, seed=4, settings=SETTINGS)
    # Nothing else is printed: tblite is silent.
    assert elsewhere.stdout == f"{here.gap!r} {here.octanol_water_dg!r}"
    assert elsewhere.stderr == ""


def test_a_measurement_keeps_to_one_core_of_a_machine_with_more():
    code = (
        "import time;"
        "from labwm.labs.xtb_instrument import XtbSettings, measure;"
        "f = lambda: measure('c1ccc(-c2ccc(-c3ccc(-c4ccccc4)s3)s2)cc1', seed=1,"
        " settings=XtbSettings()).cpu_seconds;"
        "f(); before = time.process_time(); own = sum(f() for _ in range(3));"
        "print((time.process_time() - before) / own)"
    )
    environment = {"OMP_NUM_THREADS": "4", "PYTHONPATH": ":".join(sys.path)}
    ratio = subprocess.check_output([sys.executable, "-c", code], env=environment)
    assert float(ratio) < 1.05


def test_the_seed_is_the_noise():
    values = {_dg(measure(FLEXIBLE, seed=s, settings=SETTINGS)) for s in range(1, 5)}
    assert max(values) - min(values) > 0.05


def test_what_identifies_a_replicate_gives_a_seed_that_can_be_measured_with():
    identities = [("campaign", smiles, r) for smiles in "CNO" for r in range(50)]
    seeds = [seed_of(*identity) for identity in identities]
    assert seeds == [seed_of(*identity) for identity in identities]
    assert len(set(seeds)) == len(identities)
    assert 1 <= min(seeds) <= max(seeds) <= MAX_SEED
    # The parts are kept apart: "ab", "c" is not "a", "bc".
    assert seed_of("ab", "c") != seed_of("a", "bc")


def test_more_conformers_are_another_rule():
    rule = XtbSettings(n_conformers=5)
    chosen = measure(FLEXIBLE, seed=1, settings=rule)
    assert chosen.status == "ok"
    assert chosen == measure(FLEXIBLE, seed=1, settings=rule)


@pytest.mark.parametrize(
    ("smiles", "settings", "status", "reason"),
    [
        ("C1#CC1", SETTINGS, "embedding_failed", "no conformer"),
        ("[Na+].[Cl-]", SETTINGS, "embedding_failed", "connected"),
        ("C[CH2]", SETTINGS, "odd_electrons", "17 electrons, 1 unpaired"),
        ("O", XtbSettings(max_iterations=2), "scf_not_converged", "2 cycles"),
        ("O", XtbSettings(timeout_seconds=1e-9), "timeout", "0 of 3"),
    ],
    ids=["no-conformer", "two-fragments", "radical", "two-iterations", "no-time"],
)
def test_a_failure_is_an_outcome_with_its_reason(
    smiles: str, settings: XtbSettings, status: str, reason: str
):
    result = measure(smiles, seed=1, settings=settings)
    assert result.status == status
    assert reason in result.reason
    assert result.gap is None
    assert result.octanol_water_dg is None
    assert result.cpu_seconds > 0


@pytest.mark.parametrize("ion", ["C[NH3+]", "CC(=O)[O-]"])
def test_an_ion_prefers_water(ion: str):
    # Neutral molecules of this size lie within 3 kcal/mol of zero.
    assert _dg(measure(ion, seed=1, settings=SETTINGS)) > 5


def test_what_is_no_molecule_is_refused_before_any_work():
    with pytest.raises(MoleculeError, match="'C1CC'"):
        measure("C1CC", seed=1, settings=SETTINGS)


def test_a_seed_out_of_range_is_refused():
    with pytest.raises(InvalidInputError, match="got seed 0"):
        measure("CCO", seed=0, settings=SETTINGS)


@pytest.mark.parametrize(
    "wrong",
    [
        {"method": "B3LYP"},
        {"n_conformers": 0},
        {"max_iterations": 0},
        {"electronic_temperature": -1.0},
        {"timeout_seconds": 0},
    ],
)
def test_settings_that_cannot_measure_are_refused(wrong: dict):
    with pytest.raises(InvalidInputError, match="got"):
        XtbSettings(**wrong)


def test_importing_the_instrument_loads_neither_rdkit_nor_tblite():
    code = (
        "import labwm.labs.xtb_instrument, sys;"
        "assert not {'rdkit', 'tblite', 'torch'} & set(sys.modules)"
    )
    subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": ":".join(sys.path)}, check=True
    )


def _dg(result: XtbResult) -> float:
    assert result.octanol_water_dg is not None
    return result.octanol_water_dg
