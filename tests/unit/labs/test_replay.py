"""A lab that plays a table."""

from pathlib import Path

import pytest

from labwm.errors import LabError, NotEnoughDataError
from labwm.labs import replay_lab
from labwm.schema import Measurement, Origin, Protocol, Status, Value, Well


def protocol() -> Protocol:
    return Protocol.model_validate(
        {
            "name": "table",
            "version": 1,
            "parameters": [
                {"name": "t", "kind": "continuous", "bounds": [0, 100]},
                {"name": "base", "kind": "categorical"},
                {"name": "plate", "kind": "context"},
            ],
            "readouts": [{"name": "y"}, {"name": "z"}],
            "objectives": [{"readout": "y", "goal": "maximise"}],
        }
    )


def row(t: float, y: Value | float, *, plate: str = "1", **kw: object) -> Measurement:
    value = y if isinstance(y, Value) else Value(value=y)
    return Measurement(
        conditions={"t": t, "base": "KOAc", "plate": plate},
        readouts={"y": value},
        origin=Origin.IMPORTED,
        **kw,
    )


TABLE = (
    row(10, 1.0),
    row(20, Value(value=5.0, status=Status.BELOW, raw="<5")),
    row(10, 1.5, plate="2", duration=60.0),
    row(0.0, 9.0),
)


def play(folder: Path, *, replicate: int = 0, **conditions: float | str):
    table = replay_lab(folder, protocol(), TABLE).instrument
    well = Well(name="w", proposal_id="p", conditions=conditions, replicate=replicate)
    table.check(well)
    return table.measure(well)


def test_values_come_back_as_they_were_read(tmp_path: Path):
    outcome = play(tmp_path, t=20.0, base="KOAc")
    assert outcome.readouts == {
        "y": Value(value=5.0, status=Status.BELOW, raw="<5"),
        "z": Value(status=Status.MISSING),
    }


def test_replicates_are_rows_in_the_order_of_the_table(tmp_path: Path):
    first, second, third = (
        play(tmp_path, t=10.0, base="KOAc", replicate=r) for r in range(3)
    )
    assert (first.readouts["y"].value, second.readouts["y"].value) == (1.0, 1.5)
    assert second.duration == 60.0
    assert third.readouts["y"].status is Status.FAILED
    assert third.readouts["y"].reason == (
        "the table holds 2 replicates of these conditions; got replicate 2"
    )


def test_a_stated_context_chooses_among_the_rows(tmp_path: Path):
    there = play(tmp_path, t=10.0, base="KOAc", plate="2")
    assert there.readouts["y"].value == 1.5
    with pytest.raises(LabError, match="no row has"):
        play(tmp_path, t=10.0, base="KOAc", plate="3")


def test_conditions_that_were_never_measured_are_refused_with_the_nearest(
    tmp_path: Path,
):
    with pytest.raises(LabError, match=r"nearest row has {'t': 10.0"):
        play(tmp_path, t=11.0, base="KOAc")
    with pytest.raises(LabError, match="no row has"):
        play(tmp_path, t=10.0, base="CsOAc")


def test_minus_zero_is_zero(tmp_path: Path):
    assert play(tmp_path, t=-0.0, base="KOAc").readouts["y"].value == 9.0


def test_unknown_conditions_and_an_empty_table_are_refused(tmp_path: Path):
    with pytest.raises(LabError, match=r"got \['pressure'\] in well 'w'"):
        play(tmp_path, t=10.0, base="KOAc", pressure=1.0)
    with pytest.raises(NotEnoughDataError, match="got none"):
        replay_lab(tmp_path, protocol(), ())


def test_another_table_is_another_instrument(tmp_path: Path):
    whole = replay_lab(tmp_path, protocol(), TABLE).instrument.digest
    assert replay_lab(tmp_path, protocol(), TABLE).instrument.digest == whole
    assert replay_lab(tmp_path, protocol(), TABLE[1:]).instrument.digest != whole
    assert replay_lab(tmp_path, protocol(), TABLE[::-1]).instrument.digest != whole
