"""Read one cell of a table; whatever it says becomes a value with a status.

Nothing is dropped: what no rule reads keeps its text with the status `unreadable`.
"""

import math
import re
from dataclasses import dataclass

from labwm.errors import UnitError
from labwm.schema import Readout, ReadoutKind, Status, Value
from labwm.units import affine

MISSING = frozenset(
    {"", "na", "n/a", "#n/a", "nan", "null", "none", "-", "–", "—", ".", "missing", "?"}
)
NOT_DETECTED = frozenset(
    {"nd", "n.d.", "n.d", "n/d", "not detected", "bdl", "bql", "blq", "bloq", "<lod",
     "<loq", "below lod", "below loq"}
)  # fmt: skip
TRACE = frozenset({"trace", "traces", "tr", "tr."})
OVERFLOW = frozenset(
    {"ovrflw", "overflow", "over", "#sat", "sat", "saturated", ">max", "over range"}
)
UNDERFLOW = frozenset({"#low", "undrflw", "underflow", "<min", "under range"})
FAILED = frozenset(
    {"failed", "fail", "error", "err", "missed", "#div/0!", "#value!", "#ref!", "#num!",
     "path?", "range?", "no reaction", "did not run"}
)  # fmt: skip
PASSES = frozenset({"pass", "passed", "yes", "true", "active", "hit", "1", "1.0"})
FAILS = frozenset({"fail", "failed", "no", "false", "inactive", "0", "0.0"})

_NUMBER = r"[-+]?(?:\d+(?:[.,]\d*)?|[.,]\d+)(?:[eE][-+]?\d+)?"
_CELL = re.compile(
    rf"(?P<sign><=|>=|<|>|≤|≥|=)?\s*(?P<number>{_NUMBER})\s*(?P<unit>.*)"
)
_POINT = re.compile(r"[-+]?\d*\.\d+(?:[eE][-+]?\d+)?%?")
_COMMA = re.compile(r"[<>≤≥=\s]*[-+]?\d*,\d+(?:[eE][-+]?\d+)?\s*%?")
_THOUSANDS = re.compile(r"[-+]?\d{1,3}(?:,\d{3})+")


@dataclass(frozen=True)
class Number:
    """A cell that holds a number."""

    value: float
    sign: str
    """`<`, `>`, or empty for the value itself."""
    unit: str | None
    """Unit written in the cell."""


def clean(cell: str) -> str:
    """Return the cell without outer blanks, and with plain signs."""
    return cell.replace("\u00a0", " ").replace("−", "-").strip()


def number_in(cell: str, decimal: str = ".") -> Number | None:
    """Return the number that a cell holds; None if it holds none."""
    try:
        if decimal == "." and "_" not in cell:
            value = float(cell)
            return Number(value, "", None) if math.isfinite(value) else None
    except ValueError:
        pass
    match = _CELL.fullmatch(clean(cell))
    if not match:
        return None
    digits = match["number"]
    other = "." if decimal == "," else ","
    if other in digits:
        return None
    value = float(digits.replace(",", "."))
    if not math.isfinite(value):
        return None
    sign = {"<=": "<", "≤": "<", ">=": ">", "≥": ">", "=": ""}.get(
        match["sign"] or "", match["sign"] or ""
    )
    return Number(value, sign, match["unit"].strip() or None)


def decimal_sign(cells: tuple[str, ...], *, delimiter: str) -> str:
    """Return the decimal sign of a column: a comma only where no cell has a point.

    In a table whose delimiter is the comma, quoted numbers such as `1,250` are taken
    for thousands only if all of them could be; then no sign is assumed and they stay
    unreadable.
    """
    commas = [cell for cell in cells if "," in cell and _COMMA.fullmatch(clean(cell))]
    if not commas or any("." in c and _POINT.fullmatch(clean(c)) for c in cells):
        return "."
    if delimiter == "," and all(_THOUSANDS.fullmatch(clean(cell)) for cell in commas):
        return "."
    return ","


def read_cell(
    cell: str, readout: Readout, *, decimal: str = ".", unit: str | None = None
) -> Value:
    """Read a cell of a readout's column.

    Args:
        cell: Its text.
        readout: Declares unit, bounds and detection limits. A number at or beyond a
            detection limit is censored there.
        decimal: The column's decimal sign.
        unit: Unit of the column, from its header; the readout's own if None.
    """
    text = clean(cell)
    word = text.lower()
    if readout.kind is ReadoutKind.PASS_FAIL:
        return _read_verdict(text, word)
    if (value := _read_word(text, word, readout)) is not None:
        return value
    number = number_in(text, decimal)
    if number is None:
        return Value(status=Status.UNREADABLE, raw=text, reason=_why(text))
    try:
        amount = in_unit(number, readout.unit, unit)
    except UnitError as error:
        return Value(status=Status.UNREADABLE, raw=text, reason=str(error))
    is_plain = not number.sign and number.unit is None and decimal == "."
    return _judge(amount, number.sign, readout, None if is_plain else text)


def in_unit(number: Number, wanted: str | None, unit: str | None) -> float:
    """Return a number in the wanted unit; the cell's own unit wins over the header's.

    Raises:
        UnitError: If the units do not fit, or the cell has one where none is declared.
    """
    have = number.unit or unit
    if have is None or wanted is None:
        if number.unit is not None:
            raise UnitError(
                f"A unit in a cell needs one in the protocol; got {number.unit!r}. "
                "Declare the unit."
            )
        return number.value
    factor, offset = affine(have, wanted)
    return number.value * factor + offset


def _read_word(text: str, word: str, readout: Readout) -> Value | None:
    if word in MISSING:
        return Value(status=Status.MISSING, raw=text or None)
    if word in NOT_DETECTED:
        return Value(status=Status.NOT_DETECTED, raw=text)
    if word in TRACE:
        return Value(status=Status.TRACE, raw=text)
    if word in FAILED:
        return Value(status=Status.FAILED, raw=text, reason=f"the table says {text!r}")
    if word in OVERFLOW or word in UNDERFLOW:
        return _read_saturation(text, word in OVERFLOW, readout)
    return None


def _read_saturation(text: str, is_over: bool, readout: Readout) -> Value:
    limit, bounds = readout.detection_limit, readout.bounds
    if is_over:
        edge = (limit.above if limit else None) or (bounds[1] if bounds else None)
    else:
        edge = limit.below if limit else None
    if edge is None:
        side = "above" if is_over else "below"
        return Value(
            status=Status.FAILED,
            raw=text,
            reason=f"out of the instrument's range; declare detection_limit.{side}",
        )
    return Value(value=edge, status=Status.ABOVE if is_over else Status.BELOW, raw=text)


def _judge(amount: float, sign: str, readout: Readout, raw: str | None) -> Value:
    limit = readout.detection_limit
    if sign:
        status = Status.BELOW if sign == "<" else Status.ABOVE
        return Value(value=amount, status=status, raw=raw)
    text = raw or f"{amount:g}"
    if limit and limit.below is not None and amount <= limit.below:
        return Value(value=limit.below, status=Status.BELOW, raw=text)
    if limit and limit.above is not None and amount >= limit.above:
        return Value(value=limit.above, status=Status.ABOVE, raw=text)
    if readout.bounds and not readout.bounds[0] <= amount <= readout.bounds[1]:
        low, high = readout.bounds
        return Value(
            value=amount,
            status=Status.OUT_OF_BOUNDS,
            raw=text,
            reason=f"outside [{low:g}, {high:g}]",
        )
    return Value(value=amount, raw=raw)


def _read_verdict(text: str, word: str) -> Value:
    if word in PASSES or word in FAILS:
        return Value(value=float(word in PASSES), raw=text)
    if word in MISSING:
        return Value(status=Status.MISSING, raw=text or None)
    return Value(status=Status.UNREADABLE, raw=text, reason="neither a pass nor a fail")


def _why(text: str) -> str:
    if _THOUSANDS.fullmatch(text):
        return "the comma may be a decimal sign or part thousands"
    if text.startswith(("~", "ca", "≈")):
        return "an approximate value"
    return "no rule reads it as a number"
