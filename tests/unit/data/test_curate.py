"""Curation reports what is odd and loses nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labwm.data.curate import CurationReport, curate
from labwm.schema import Measurement, Origin, Protocol, Status, Value

PROTOCOL = Protocol.model_validate(
    {
        "name": "p",
        "version": 1,
        "parameters": [
            {"name": "base", "kind": "molecule"},
            {"name": "t", "kind": "continuous", "bounds": [0, 100]},
        ],
        "readouts": [{"name": "yield", "unit": "percent"}],
        "objectives": [{"readout": "yield", "goal": "maximise"}],
    }
)
KOAC, CSOAC, ACID = "CC(=O)[O-].[K+]", "CC(=O)[O-].[Cs+]", "CC(O)=O"
KOPIV = "CC(C)(C)C(=O)[O-].[K+]"


def measured(base: str, value: float | None, t: float = 20.0) -> Measurement:
    cell = Value(status=Status.MISSING) if value is None else Value(value=value)
    return Measurement(
        conditions={"base": base, "t": t},
        readouts={"yield": cell},
        origin=Origin.IMPORTED,
    )


def test_salts_of_one_acid_stay_apart_and_are_reported():
    found = [measured(KOAC, 1), measured(CSOAC, 2), measured(ACID, 3)]
    curated, report = curate(found, PROTOCOL)
    assert list(curated) == found
    assert report.n_experiments == 3
    assert any(m.reason for m in report.molecules)
    assert "kept as given" in report.text()


def test_a_salt_that_would_change_keeps_its_input_beside_the_standardised_form():
    _, report = curate([measured(KOPIV, 1)], PROTOCOL)
    (finding,) = report.molecules
    assert finding.input == KOPIV
    assert finding.standardised == "CC(C)(C)C(=O)O"
    assert finding.changes


def test_a_complex_that_would_lose_its_metal_is_kept_whole():
    cisplatin = "N[Pt](N)(Cl)Cl"
    curated, report = curate([measured(cisplatin, 1)], PROTOCOL)
    assert curated[0].conditions["base"] == cisplatin
    assert "metal Pt" in report.molecules[0].reason


def test_one_molecule_in_two_writings_becomes_replicates_and_is_told():
    curated, report = curate([measured("OC(C)=O", 1), measured(ACID, 3)], PROTOCOL)
    assert curated[0].conditions == curated[1].conditions
    assert [m.replicate for m in curated] == [0, 1]
    assert [m.readouts["yield"].value for m in curated] == [1, 3]
    (same,) = report.same_molecules
    assert same.is_identical
    assert set(same.inputs) == {"OC(C)=O", ACID}


def test_replicates_duplicates_and_statuses_are_counted():
    found = [
        measured(ACID, 10), measured(ACID, 14), measured(ACID, 14),
        measured(KOAC, None), measured(KOAC, 5), measured(ACID, 1, t=300),
    ]  # fmt: skip
    _, report = curate(found, PROTOCOL)
    (spread,) = report.spreads
    assert (spread.n_experiments, spread.n_values) == (1, 3)
    assert spread.pooled_sd == pytest.approx(2.3094, abs=1e-4)
    assert report.n_exact_duplicates == 1
    assert report.statuses == {"yield": {"ok": 5, "missing": 1}}
    assert report.n_outside == 1
    assert "'t' lies between 0 and 100" in report.text()
    assert CurationReport.model_validate(report.model_dump(mode="json")) == report


@given(st.lists(st.sampled_from([KOAC, CSOAC, ACID, "OC(C)=O", "C(C)(=O)O", "CO"])))
def test_curating_twice_is_curating_once_and_loses_nothing(molecules: list[str]):
    found = [measured(smiles, float(i)) for i, smiles in enumerate(molecules)]
    once, _ = curate(found, PROTOCOL)
    twice, _ = curate(once, PROTOCOL)
    assert once == twice
    assert [m.readouts for m in once] == [m.readouts for m in found]
