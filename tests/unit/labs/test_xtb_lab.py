"""The lab that computes molecules: what it accepts, and how replicates are seeded."""

from pathlib import Path

import pytest

from labwm.errors import InvalidInputError, LabError, ProtocolError
from labwm.labs import xtb_lab
from labwm.labs.process_pool import ProcessPool
from labwm.labs.xtb import XtbInstrument
from labwm.labs.xtb_instrument import XtbSettings, measure, seed_of
from labwm.schema import Origin, Protocol, Status, Well


def protocol(settings: dict | None = None, **changes: object) -> Protocol:
    return Protocol.model_validate(
        {
            "name": "dyes",
            "version": 1,
            "parameters": [{"name": "dye", "kind": "molecule"}],
            "readouts": [{"name": "gap", "unit": "eV"}],
            "objectives": [{"readout": "gap", "goal": "match", "target": 2.0}],
            "lab": {"adapter": "xtb", "settings": settings or {}},
            **changes,
        }
    )


def instrument(folder: Path, what: Protocol) -> XtbInstrument:
    made = xtb_lab(folder, what).instrument
    assert isinstance(made, XtbInstrument)
    return made


def well(smiles: str, replicate: int = 0) -> Well:
    return Well(
        name="w", proposal_id="p", conditions={"dye": smiles}, replicate=replicate
    )


def test_the_protocol_fixes_the_level_of_theory(tmp_path: Path):
    settings = {"method": "GFN1-xTB", "n_conformers": 3, "timeout_seconds": 5}
    lab = xtb_lab(tmp_path, protocol(settings))
    assert lab.origin is Origin.COMPUTED
    assert instrument(tmp_path, protocol(settings)).settings == XtbSettings(
        method="GFN1-xTB", n_conformers=3, timeout_seconds=5
    )


@pytest.mark.parametrize(
    ("settings", "error", "match"),
    [
        ({"methods": "GFN2-xTB"}, ProtocolError, "Did you mean 'method'"),
        ({"method": "DFT"}, InvalidInputError, "got 'DFT'"),
        ({"method": 2}, ProtocolError, "of type str; got 2"),
        ({"n_conformers": 1.5}, ProtocolError, "of type int; got 1.5"),
        ({"n_conformers": True}, ProtocolError, "of type int; got True"),
        ({"n_conformers": 0}, InvalidInputError, "above zero"),
    ],
    ids=["name", "method", "text", "fraction", "flag", "zero"],
)
def test_settings_without_sense_are_refused(
    tmp_path: Path, settings: dict, error: type, match: str
):
    with pytest.raises(error, match=match):
        xtb_lab(tmp_path, protocol(settings))


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"readouts": [{"name": "gab"}]}, "Did you mean 'gap'"),
        ({"readouts": [{"name": "gap", "unit": "kcal/mol"}]}, "in eV; got the unit"),
        (
            {
                "parameters": [
                    {"name": "dye", "kind": "molecule"},
                    {"name": "t", "kind": "discrete", "levels": [1, 2]},
                ]
            },
            "one molecule and nothing else",
        ),
    ],
    ids=["readout", "unit", "parameter"],
)
def test_a_protocol_that_it_cannot_follow_is_refused(
    tmp_path: Path, changes: dict, match: str
):
    objective = {"readout": changes.get("readouts", [{"name": "gap"}])[0]["name"]}
    objectives = [{**objective, "goal": "maximise"}]
    with pytest.raises(ProtocolError, match=match):
        xtb_lab(tmp_path, protocol(**changes, objectives=objectives))


def test_a_well_is_the_measurement_of_its_seed(tmp_path: Path):
    what = protocol()
    for replicate in (0, 1):
        outcome = instrument(tmp_path, what).measure(well("OCCO", replicate))
        seed = seed_of("OCCO", replicate, what.digest())
        expected = measure("OCCO", seed=seed, settings=XtbSettings())
        assert outcome.readouts["gap"].value == expected.gap
        assert outcome.duration is not None


def test_each_way_to_write_a_molecule_gives_the_same_value(tmp_path: Path):
    made = instrument(tmp_path, protocol())
    assert made.measure(well("OCCO")).readouts == made.measure(well("C(O)CO")).readouts


def test_a_calculation_that_fails_is_a_value_with_its_reason(tmp_path: Path):
    value = instrument(tmp_path, protocol()).measure(well("[CH3]")).readouts["gap"]
    assert value.status is Status.FAILED
    assert value.reason is not None
    assert value.reason.startswith("odd_electrons: ")


def test_wells_that_hold_no_molecule_are_refused(tmp_path: Path):
    made = instrument(tmp_path, protocol())
    with pytest.raises(LabError, match=r"valid SMILES.*Well 'w' holds it"):
        made.check(well("C1CC"))
    with pytest.raises(LabError, match="one condition 'dye'"):
        made.check(Well(name="w", proposal_id="p", conditions={"x": 1.0}))


def test_another_level_of_theory_is_another_instrument(tmp_path: Path):
    plain = instrument(tmp_path, protocol()).digest
    assert plain == instrument(tmp_path, protocol()).digest
    assert plain != instrument(tmp_path, protocol({"n_conformers": 2})).digest


def test_a_calculation_that_hangs_is_killed_and_the_next_well_is_measured(
    tmp_path: Path,
):
    imatinib = "Cc1ccc(NC(=O)c2ccc(CN3CCN(C)CC3)cc2)cc1Nc1nccc(-c2cccnc2)n1"
    lab = xtb_lab(tmp_path, protocol({"n_conformers": 300}))
    pool = ProcessPool(1, seconds_per_well=2.0)
    wells = [well(imatinib), well("O")]
    (_, stopped), (_, measured) = pool(lab.instrument, wells)
    assert stopped.readouts["gap"].status is Status.FAILED
    assert stopped.readouts["gap"].reason is not None
    assert "it was stopped" in stopped.readouts["gap"].reason
    assert measured.readouts["gap"].status is Status.OK
