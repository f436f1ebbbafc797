"""Units of measurement: read, checked and converted by pint; one registry.

A unit is written as in a protocol: `mol/L`, `umol/L`, `degC`, `percent`, `kcal/mol`,
`nm`, `fraction`, `absorbance`. Logarithms (`log10(mol/L)`, `logS`, `pIC50`) are units
of their own: they convert to nothing but themselves, because only the scientist knows
the concentration that they refer to.
"""

import functools
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from labwm.errors import UnitError, suggest

if TYPE_CHECKING:
    from pint import UnitRegistry

_SPELLINGS = {
    "%": "percent", "pct": "percent", "per cent": "percent",
    "mol%": "percent", "mol %": "percent", "wt%": "percent", "wt %": "percent",
    "vol%": "percent", "area%": "percent",
    "°C": "degC", "ºC": "degC", "° C": "degC", "C": "degC", "celsius": "degC",
    "°F": "degF", "K": "kelvin",
    "M": "mol/L", "mM": "mmol/L", "uM": "umol/L", "nM": "nmol/L", "pM": "pmol/L",
    "molar": "mol/L",
    "AU": "absorbance", "a.u.": "absorbance", "OD": "absorbance",
    "mAU": "milliabsorbance",
    "1": "dimensionless", "-": "dimensionless", "unitless": "dimensionless",
    "hr": "h", "hrs": "h", "hours": "h", "mins": "min", "sec": "s", "secs": "s",
    "Å": "angstrom", "A": "angstrom", "ul": "uL", "ml": "mL", "l": "L",
    "equiv": "equivalent", "eq": "equivalent", "eq.": "equivalent",
}  # fmt: skip
_LOGARITHM = re.compile(r"(?:log(?:10|2)?|ln|p)\s*[\[(].+[\])]|log[A-Z]|p[A-Z]{1,2}\d*")
_BRACKETED = re.compile(r"^(?P<name>.*?)\s*[\[(](?P<unit>[^\[\]()]+)[\])]\s*$")
_SLASHED = re.compile(r"^(?P<name>.+?)\s+/\s+(?P<unit>\S.*)$")
_WORDED = re.compile(r"^(?P<name>.+?)\s+in\s+(?P<unit>\S.*)$")
_POWER = re.compile(r"([A-Za-zµμ°Åå]+)\s*\^?\s*([-−]\d+|\d+)(?![.\w])")
_WORDS_NOT_UNITS = frozenset({"water", "mercury", "H2O", "Hg", "count", "B", "b", "a"})
"""What pint reads as a unit and a table's header does not mean as one."""
_KNOWN = (
    "percent", "fraction", "degC", "mol/L", "mmol/L", "umol/L", "nm", "kcal/mol", "eV",
    "absorbance", "min", "h", "s", "mL", "dimensionless",
)  # fmt: skip


@functools.cache
def _registry() -> "UnitRegistry[float]":
    import pint

    registry: UnitRegistry[float] = pint.UnitRegistry(
        autoconvert_offset_to_baseunit=True, cache_folder=None
    )
    registry.define("fraction = 1")
    # An optical density is no plain number: it must not pass for a percentage.
    registry.define("absorbance = [optical_density]")
    registry.define("equivalent = [equivalent]")
    return registry


@functools.lru_cache(maxsize=512)
def check_unit(text: str) -> str:
    """Return the canonical spelling of a unit.

    >>> check_unit("°C"), check_unit("mM"), check_unit("%")
    ('degC', 'mmol/L', 'percent')

    Raises:
        UnitError: If nobody knows the unit.
    """
    written = " ".join(text.replace("μ", "u").replace("µ", "u").split())
    if _LOGARITHM.fullmatch(written):
        return written
    written = _SPELLINGS.get(written, written)
    if written in _KNOWN:
        return written
    unit = None
    if written not in _WORDS_NOT_UNITS:
        try:
            unit = _registry().parse_units(_with_powers(written))
        except Exception:  # noqa: BLE001 - pint lets its tokeniser's errors through
            unit = None
    if unit is None or str(unit) == "dimensionless":
        raise UnitError(
            f"A unit is one that pint knows, such as mol/L, degC or percent; got "
            f"{text!r}. {suggest(text, _KNOWN)}"
        )
    return f"{unit:~C}".replace("**", "^").replace("µ", "u")


def convert(values: ArrayLike, source: str, target: str) -> NDArray[np.float64]:
    """Convert numbers, any shape, from one unit to another; NaN stays NaN.

    Raises:
        UnitError: If a unit is unknown, the two measure different things, or just one
            of them is a logarithm.
    """
    numbers = np.asarray(values, dtype=float)
    have, want = check_unit(source), check_unit(target)
    if have == want:
        return numbers.copy()
    if _LOGARITHM.fullmatch(have) or _LOGARITHM.fullmatch(want):
        raise UnitError(
            f"A logarithm converts to nothing but itself; got {source!r} to "
            f"{target!r}. Take the power or the logarithm in the table first."
        )
    import pint

    registry = _registry()
    try:
        quantity = registry.Quantity(numbers, registry.parse_units(_plain(have)))
        # "energy": per molecule and per mole are one scale, as chemists use them.
        goal = registry.parse_units(_plain(want))
        return np.asarray(quantity.to(goal, "energy").magnitude, dtype=float)
    except pint.errors.PintError as error:
        raise UnitError(
            f"A value converts between units of one dimension; got {source!r} to "
            f"{target!r}. Correct the unit in the header or in the protocol."
        ) from error


@functools.lru_cache(maxsize=256)
def affine(source: str, target: str) -> tuple[float, float]:
    """Return (factor, offset) with `target = factor * source + offset`.

    Raises:
        UnitError: As `convert` does.
    """
    if check_unit(source) == check_unit(target):
        return 1.0, 0.0
    offset, one = convert([0.0, 1.0], source, target)
    return float(one - offset), float(offset)


def split_header(header: str) -> tuple[str, str | None]:
    """Split a column header into its name and its unit, None where it has none.

    Understood are `Temp (°C)`, `conc [mM]`, `yield / %` and `wavelength in nm`; what
    stands in brackets and is no unit stays part of the name.

    >>> split_header("Extinction coefficient in M-1 cm-1")
    ('Extinction coefficient', '1/M/cm')
    >>> split_header("yield (isolated)")
    ('yield (isolated)', None)
    """
    for pattern in (_BRACKETED, _SLASHED, _WORDED):
        if not (match := pattern.match(header)):
            continue
        name, text = match["name"].strip(), match["unit"].strip()
        try:
            unit = check_unit(text)
        except UnitError:
            continue
        if name:
            return name, unit
    return header.strip(), None


def _with_powers(text: str) -> str:
    # `M-1 cm-1` means 1/(M cm); pint would subtract.
    powers = _POWER.sub(lambda m: f"{m[1]}**{m[2].replace('−', '-')}", text)
    return re.sub(r"(?<=[\w)])\s+(?=[A-Za-z(])", " * ", powers)


def _plain(canonical: str) -> str:
    return canonical.replace("^", "**")


def split_quantity(text: str) -> tuple[float, str]:
    """Split a quantity into its number and its unit.

    >>> split_quantity("0.2 mL")
    (0.2, 'mL')

    Raises:
        UnitError: If it is not a number and a known unit.
    """
    match = re.fullmatch(r"\s*([0-9]*\.?[0-9]+(?:[eE][-+]?[0-9]+)?)\s*(\S.*?)\s*", text)
    if not match:
        raise UnitError(
            "A quantity is a number and a unit, such as 0.2 mL; got "
            f"{text!r}. Write it so."
        )
    return float(match[1]), check_unit(match[2])


def product(
    times: Sequence[tuple[float, str]],
    target: str,
    *,
    over: Sequence[tuple[float, str]] = (),
) -> float:
    """Multiply quantities, divide by others, and return the number in a unit.

    >>> product([(50, "umol/L"), (0.2, "mL")], "uL", over=[(10, "mmol/L")])
    1.0

    Raises:
        UnitError: If the result is of another dimension than `target`.
    """
    import pint

    registry = _registry()
    whole, result = 1.0, registry.Quantity(1.0, "dimensionless")
    for number, unit in times:
        whole *= number
        result = result * registry.Quantity(1.0, _plain(check_unit(unit)))
    for number, unit in over:
        whole /= number
        result = result / registry.Quantity(1.0, _plain(check_unit(unit)))
    try:
        factor = float(np.asarray(result.to(_plain(check_unit(target))).magnitude))
    except pint.errors.PintError as error:
        raise UnitError(
            f"What is multiplied has the unit of the result; got {result.units:~C} for "
            f"{target!r}. Correct one of the units."
        ) from error
    return round(whole * factor, 12)
