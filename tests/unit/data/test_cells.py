"""One cell becomes one value with a status; nothing is dropped."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labwm.data.cells import decimal_sign, number_in, read_cell
from labwm.schema import DetectionLimit, Readout, ReadoutKind, Status

YIELD = Readout(name="yield", unit="percent", bounds=(0, 100))
LIMITED = Readout(
    name="a420",
    unit="absorbance",
    detection_limit=DetectionLimit(below=0.05, above=3.2),
)


@pytest.mark.parametrize(
    ("cell", "status", "value"),
    [
        ("95", Status.OK, 95.0),
        ("  95.5 ", Status.OK, 95.5),
        ("95%", Status.OK, 95.0),
        ("95 %", Status.OK, 95.0),
        ("1.2E+01", Status.OK, 12.0),
        ("<5", Status.BELOW, 5.0),
        ("< 5", Status.BELOW, 5.0),
        ("≤5", Status.BELOW, 5.0),
        ("<=5", Status.BELOW, 5.0),
        (">99", Status.ABOVE, 99.0),
        ("≥ 99", Status.ABOVE, 99.0),
        (">99%", Status.ABOVE, 99.0),
        ("104.2", Status.OUT_OF_BOUNDS, 104.2),
        ("-3", Status.OUT_OF_BOUNDS, -3.0),
        ("−3", Status.OUT_OF_BOUNDS, -3.0),
        ("ND", Status.NOT_DETECTED, None),
        ("n.d.", Status.NOT_DETECTED, None),
        ("<LOQ", Status.NOT_DETECTED, None),
        ("trace", Status.TRACE, None),
        ("Traces", Status.TRACE, None),
        ("", Status.MISSING, None),
        ("NA", Status.MISSING, None),
        ("N/A", Status.MISSING, None),
        ("nan", Status.MISSING, None),
        ("OVRFLW", Status.ABOVE, 100.0),
        ("#SAT", Status.ABOVE, 100.0),
        ("failed", Status.FAILED, None),
        ("#DIV/0!", Status.FAILED, None),
        ("inf", Status.UNREADABLE, None),
        ("~5", Status.UNREADABLE, None),
        ("5 ± 1", Status.UNREADABLE, None),
        ("12 mM", Status.UNREADABLE, None),
        ("see notebook", Status.UNREADABLE, None),
        ("1_000", Status.UNREADABLE, None),
        ("1,250", Status.UNREADABLE, None),
    ],
)
def test_a_cell_has_a_status(cell: str, status: Status, value: float | None):
    read = read_cell(cell, YIELD)
    assert (read.status, read.value) == (status, value)
    if status not in {Status.OK, Status.MISSING}:
        assert read.raw
    if status in {Status.UNREADABLE, Status.FAILED, Status.OUT_OF_BOUNDS}:
        assert read.reason


@given(st.text(max_size=12))
def test_any_text_becomes_a_value_that_keeps_it(cell: str):
    read = read_cell(cell, YIELD)
    if read.status is Status.UNREADABLE:
        assert read.raw == cell.replace("\u00a0", " ").replace("−", "-").strip()


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_plain_number_is_read_exactly(number: float):
    assert read_cell(repr(number), Readout(name="y_out")).value == number


def test_a_decimal_comma_is_read_where_the_column_has_it():
    assert read_cell("12,5", YIELD, decimal=",").value == 12.5
    assert read_cell("<0,5", YIELD, decimal=",").value == 0.5
    assert read_cell("12.5", YIELD, decimal=",").status is Status.UNREADABLE


@pytest.mark.parametrize(
    ("cells", "delimiter", "sign"),
    [
        (("12,5", "3,25", "4"), ";", ","),
        (("12.5", "3,25"), ";", "."),
        (("1,250", "3,400"), ";", ","),
        (("1,250", "3,400"), ",", "."),
        (("1,250", "3,4"), ",", ","),
        (("12.5", "3"), ",", "."),
        (("XPhos, 5 mol%", "x,y"), ",", "."),
    ],
)
def test_the_decimal_sign_of_a_column_is_seen(cells, delimiter, sign):
    assert decimal_sign(cells, delimiter=delimiter) == sign


def test_a_number_at_or_beyond_a_detection_limit_is_censored_there():
    assert read_cell("3.4", LIMITED).status is Status.ABOVE
    assert read_cell("3.4", LIMITED).value == 3.2
    assert read_cell("3.4", LIMITED).raw == "3.4"
    assert read_cell("3.2", LIMITED).status is Status.ABOVE
    assert read_cell("0.05", LIMITED).status is Status.BELOW
    assert read_cell("#Low", LIMITED).value == 0.05
    assert read_cell("OVRFLW", LIMITED).value == 3.2
    assert read_cell("1.0", LIMITED).status is Status.OK


def test_an_overflow_without_a_declared_limit_says_what_to_declare():
    read = read_cell("OVRFLW", Readout(name="y_out"))
    assert read.status is Status.FAILED
    assert "detection_limit.above" in (read.reason or "")


def test_the_unit_of_the_cell_wins_over_that_of_the_header():
    readout = Readout(name="conc", unit="mol/L")
    assert read_cell("12", readout, unit="mM").value == pytest.approx(0.012)
    assert read_cell("12 uM", readout, unit="mM").value == pytest.approx(12e-6)
    assert read_cell("12 nm", readout).status is Status.UNREADABLE


def test_a_verdict_is_one_or_zero():
    readout = Readout(name="ok", kind=ReadoutKind.PASS_FAIL)
    assert read_cell("Pass", readout).value == 1.0
    assert read_cell("no", readout).value == 0.0
    assert read_cell("maybe", readout).status is Status.UNREADABLE
    assert read_cell("", readout).status is Status.MISSING


def test_a_word_is_no_number():
    assert number_in("abc") is None
    assert number_in("1e999") is None
