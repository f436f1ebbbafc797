"""Units: what is known, what converts, what a header says."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labwm.errors import UnitError
from labwm.units import affine, check_unit, convert, split_header

KNOWN = [
    "percent", "fraction", "degC", "K", "mol/L", "mM", "umol/L", "nm", "kcal/mol",
    "kJ/mol", "eV", "absorbance", "mAU", "min", "h", "uL/min", "M-1 cm-1", "s-1", "V",
    "log10(mol/L)", "pIC50", "Hz", "bar", "g/L", "mol%", "dimensionless", "equiv",
]  # fmt: skip


@pytest.mark.parametrize("unit", KNOWN)
def test_the_canonical_spelling_of_a_unit_is_its_own(unit: str):
    assert check_unit(check_unit(unit)) == check_unit(unit)


@pytest.mark.parametrize(
    ("written", "canonical"),
    [("°C", "degC"), ("%", "percent"), ("mM", "mmol/L"), ("µM", "umol/L")],
)
def test_common_spellings_have_one_canonical_form(written: str, canonical: str):
    assert check_unit(written) == canonical


@pytest.mark.parametrize("unit", ["percnt", "flurbs", "wtf/L", "", "water"])
def test_an_unknown_unit_is_refused(unit: str):
    with pytest.raises(UnitError, match="A unit is one that pint knows"):
        check_unit(unit)


def test_a_misspelt_unit_brings_a_suggestion():
    with pytest.raises(UnitError, match="Did you mean 'percent'"):
        check_unit("percnt")


@pytest.mark.parametrize(
    ("value", "source", "target", "expected"),
    [
        (100.0, "degC", "K", 373.15),
        (25.0, "degC", "degF", 77.0),
        (12.0, "mM", "mol/L", 0.012),
        (95.0, "%", "fraction", 0.95),
        (1.0, "kcal/mol", "kJ/mol", 4.184),
        (1.0, "eV", "kcal/mol", 23.060548),
        (3337.0, "mAU", "absorbance", 3.337),
        (1.0, "uL/min", "mL/h", 0.06),
    ],
)
def test_values_convert_between_units_of_one_dimension(value, source, target, expected):
    assert convert(value, source, target) == pytest.approx(expected, rel=1e-6)
    factor, offset = affine(source, target)
    assert factor * value + offset == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("nm", "degC"), ("percent", "mol/L"), ("g/L", "mol/L"),
        ("absorbance", "percent"), ("nm", "eV"),
    ],
)  # fmt: skip
def test_units_of_other_dimensions_are_refused(source: str, target: str):
    with pytest.raises(UnitError, match="units of one dimension"):
        convert(1.0, source, target)


@pytest.mark.parametrize("other", ["mol/L", "pIC50", "percent"])
def test_a_logarithm_converts_to_nothing_but_itself(other: str):
    assert convert(-3.0, "log10(mol/L)", "log10(mol/L)") == -3.0
    with pytest.raises(UnitError, match="logarithm"):
        convert(-3.0, "log10(mol/L)", other)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1))
def test_converting_there_and_back_changes_nothing(values: list[float]):
    there = convert(values, "degC", "degF")
    np.testing.assert_allclose(convert(there, "degF", "degC"), values, atol=1e-6)


def test_conversion_keeps_nan_and_does_not_touch_its_input():
    values = np.array([1.0, np.nan])
    converted = convert(values, "mM", "mM")
    converted[0] = 9.0
    assert values[0] == 1.0
    assert np.isnan(convert(values, "mM", "mol/L")[1])


@pytest.mark.parametrize(
    ("header", "name", "unit"),
    [
        ("Temp (°C)", "Temp", "degC"),
        ("Temp. [°C]", "Temp.", "degC"),
        ("conc [mM]", "conc", "mmol/L"),
        ("Qtot(uL/min)", "Qtot", "ul/min"),
        ("yield / %", "yield", "percent"),
        ("E isomer wavelength in nm", "E isomer wavelength", "nm"),
        ("Extinction in M-1 cm-1", "Extinction", "1/cm/M"),
        ("rate in s-1", "rate", "1/s"),
        ("yield (isolated)", "yield (isolated)", None),
        ("Extinction in M-1 cm-1.1", "Extinction in M-1 cm-1.1", None),
        ("solubility in water", "solubility in water", None),
        ("log solubility in mols per litre", "log solubility in mols per litre", None),
        ("measured in duplicate", "measured in duplicate", None),
        ("Concentration", "Concentration", None),
    ],
)
def test_a_header_splits_into_name_and_unit(header, name, unit):
    assert split_header(header) == (name, unit)
