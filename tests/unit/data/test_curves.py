"""A long table, one row per read, becomes curves on grids of their own."""

from pathlib import Path

import numpy as np
import pytest

from labwm.data.curves import CurveAssay, read_curves, to_dataset
from labwm.errors import (
    InvalidInputError,
    NotEnoughDataError,
    ProtocolError,
    SpaceError,
    TableError,
    UnitError,
)
from labwm.schema import Protocol
from labwm.space.curves import Reads

DRYING = {
    "name": "drying",
    "version": 1,
    "parameters": [
        {"name": "heat", "kind": "continuous", "unit": "degC", "bounds": [20, 80]},
        {"name": "paint", "kind": "categorical", "levels": ["oil", "water"]},
    ],
    "readouts": [
        {
            "name": "mass",
            "unit": "g",
            "kind": "curve",
            "detection_limit": {"above": 9},
            "over": {"name": "time", "unit": "min", "column": "at", "curve": ["tile"]},
        },
        {
            "name": "gloss",
            "kind": "curve",
            "over": {"name": "time", "unit": "min", "column": "at", "curve": ["tile"]},
        },
    ],
    "objectives": [{"readout": "mass", "goal": "minimise"}],
}
HEADER = "heat,paint,tile,at,mass,gloss"
TWO = ["20,oil,1,0,5,1", "20,oil,1,2,4,2", "20,oil,2,0,5.1,1", "20,oil,2,3,3.9,2"]


def protocol(**changes: object) -> Protocol:
    return Protocol.model_validate(DRYING | changes)


def read(
    folder: Path, rows: list[str], header: str = HEADER, **options: object
) -> CurveAssay:
    path = folder / "reads.csv"
    path.write_text("\n".join([header, *rows]) + "\n")
    return read_curves(path, protocol(), **options)  # pyright: ignore[reportArgumentType]


def test_rows_of_equal_conditions_and_tile_are_one_curve_in_the_order_of_time(tmp_path):
    found = read(tmp_path, ["80,water,9,5,1,7", *TWO, "80,water,9,0,3,6"])
    curves = found.curves
    assert curves.names == ("9", "1", "2")
    assert [list(time) for time in curves.times] == [[0, 5], [0, 2], [0, 3]]
    np.testing.assert_array_equal(curves.values[0], [[3, 6], [1, 7]])
    assert curves.questions.row(0) == {"heat": 80.0, "paint": "water"}
    assert found.report.n_curves == 3
    assert found.report.n_conditions == 2
    assert found.report.reads == (2, 2)


def test_the_order_of_rows_changes_no_curve(tmp_path):
    there = read(tmp_path, TWO).curves
    assert there.digest() == read(tmp_path, TWO[::-1]).curves.digest()


def test_units_of_headers_are_converted(tmp_path):
    header = "heat [K],paint,tile,at [s],mass [mg],gloss"
    rows = ["300,oil,1,0,5000,1", "300,oil,1,120,4000,2"]
    curves = read(tmp_path, rows, header).curves
    assert curves.times[0].tolist() == [0.0, 2.0]
    assert curves.values[0][:, 0].tolist() == pytest.approx([5.0, 4.0])
    assert curves.questions.columns["heat"][0] == pytest.approx(26.85)


def test_missing_reads_and_reads_beyond_a_limit_are_counted_and_left_out(tmp_path):
    rows = [*TWO, "20,oil,1,4,,3", "20,oil,1,6,>9,4", "20,oil,1,8,12,4"]
    found = read(tmp_path, rows)
    assert found.report.missing == {"mass": 3}
    first, _ = found.curves.reads("mass")
    assert first.time.tolist() == [0.0, 2.0]
    assert len(found.curves.reads("gloss")[0]) == 5
    assert "mass: 3 reads without a number" in found.report.text()


@pytest.mark.parametrize(
    ("rows", "error", "match"),
    [
        ([*TWO, "20,oil,1,-1,5,1"], TableError, r"at is a number of 0 or more.*'-1'"),
        ([*TWO, "20,oil,1,soon,5,1"], TableError, "'soon'"),
        ([*TWO, "20,oil,1,,5,1"], TableError, "line 6"),
        ([*TWO, "20,oil,1,2,5,1"], TableError, "read once at a time; lines 3 and 6"),
        ([*TWO, "20,oil,3,0,5,1"], NotEnoughDataError, "line 6 of .* has one"),
        ([*TWO, "99,oil,1,1,5,1"], SpaceError, "heat"),
    ],
    ids=["negative", "text", "empty", "twice", "single read", "outside"],
)
def test_bad_rows_are_refused_with_their_line(tmp_path, rows, error, match):
    with pytest.raises(error, match=match):
        read(tmp_path, rows)


def test_rows_that_are_no_experiment_are_reported_where_that_is_wanted(tmp_path):
    found = read(tmp_path, [*TWO, "99,oil,1,1,5,1"], on_error="report")
    assert [problem.line for problem in found.report.problems] == [6]
    assert len(found.curves) == 2


def test_a_table_without_any_fitting_row_is_refused(tmp_path):
    with pytest.raises(NotEnoughDataError, match="none that fits"):
        read(tmp_path, ["99,oil,1,1,5,1"], on_error="report")


def test_a_unit_that_is_no_time_is_refused(tmp_path):
    with pytest.raises(UnitError, match="at"):
        read(tmp_path, ["20,oil,1,0,5,1"], "heat,paint,tile,at [g],mass,gloss")


def test_an_absent_column_that_tells_curves_apart_is_named(tmp_path):
    with pytest.raises(TableError, match="tile"):
        read(tmp_path, ["20,oil,0,5,1"], "heat,paint,at,mass,gloss")


@pytest.mark.parametrize("curve", ["all", "other axes"])
def test_a_protocol_without_one_axis_of_curves_is_refused(tmp_path, curve: str):
    mass, gloss = DRYING["readouts"]
    readouts = [{"name": "mass"}, {"name": "gloss"}]
    if curve == "other axes":
        readouts = [mass, gloss | {"over": {"name": "wavelength"}}]
    path = tmp_path / "reads.csv"
    path.write_text("\n".join([HEADER, *TWO]) + "\n")
    with pytest.raises(ProtocolError, match="kind `curve`"):
        read_curves(path, protocol(readouts=readouts))


def test_a_dataset_has_the_union_of_all_grids(tmp_path):
    dataset = to_dataset(read(tmp_path, TWO).curves, protocol())
    assert dict(dataset.sizes) == {"curve": 2, "time": 3}
    assert dataset["mass"].attrs["units"] == "g"
    np.testing.assert_array_equal(
        dataset["mass"].values, [[5, 4, np.nan], [5.1, np.nan, 3.9]]
    )
    assert dataset["paint"].values.tolist() == ["oil", "oil"]


def test_what_tells_curves_apart_changes_no_digest_where_it_is_not_declared():
    axis = {"name": "time", "unit": "min"}
    plain = protocol(readouts=[{"name": "mass", "kind": "curve", "over": axis}])
    content = plain.model_dump(mode="json")
    assert "curve" not in content["readouts"][0]["over"]


@pytest.mark.parametrize(
    ("time", "value", "match"),
    [
        ([0.0, -1.0], [1.0, 2.0], "0 or more; got -1"),
        ([0.0, 0.0], [1.0, 2.0], "got 0 twice"),
        ([0.0, 1.0], [1.0, np.nan], "finite value"),
        ([0.0], [1.0, 2.0], "one length"),
    ],
    ids=["negative", "twice", "nan", "lengths"],
)
def test_reads_that_no_clock_shows_are_refused(time, value, match: str):
    with pytest.raises(InvalidInputError, match=match):
        Reads(np.array(time), np.array(value))
