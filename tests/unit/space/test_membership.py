"""Conditions outside the space are refused with what would be right."""

from typing import Any

import pytest

from labwm.errors import SpaceError
from labwm.schema import Conditions, Protocol
from labwm.space import check, contains

SPACE = Protocol.model_validate(
    {
        "name": "p",
        "version": 1,
        "parameters": [
            {"name": "t", "kind": "continuous", "unit": "degC", "bounds": [20, 80]},
            {"name": "c", "kind": "discrete", "unit": "mol/L", "levels": [0.1, 0.3]},
            {"name": "base", "kind": "categorical", "levels": ["KOAc", "CsOAc"]},
            {"name": "m", "kind": "mixture", "parts": ["a", "b", "w"]},
            {"name": "dose", "kind": "continuous", "bounds": [0, 5]},
            {"name": "plate", "kind": "context"},
        ],
        "constraints": [
            {"kind": "depends", "parameter": "dose", "on": "base", "values": ["KOAc"]},
            {"kind": "exclude", "when": {"base": ["CsOAc"], "c": [0.3]}},
            {"kind": "linear", "weights": {"t": 1, "c": 100}, "high": 95},
            {"kind": "cardinality", "of": ["m.a", "m.b", "m.w"], "at_most": 2},
        ],
        "readouts": [{"name": "y_out"}],
        "objectives": [{"readout": "y_out", "goal": "maximise"}],
    }
)
GOOD: Conditions = {
    "t": 60.0, "c": 0.3, "base": "KOAc", "m.a": 0.5, "m.b": 0.5, "m.w": 0.0, "dose": 1.0,
}  # fmt: skip


def without(*names: str, **changes: Any) -> Conditions:
    return {k: v for k, v in (GOOD | changes).items() if k not in names}


@pytest.mark.parametrize(
    "conditions",
    [
        GOOD,
        GOOD | {"plate": "3"},
        GOOD | {"c": 0.1 + 0.2},
        without("dose", base="CsOAc", c=0.1),
    ],
    ids=["plain", "context", "rounding", "inactive"],
)
def test_conditions_inside_are_accepted(conditions: Conditions):
    check(SPACE, conditions)
    assert contains(SPACE, conditions)


@pytest.mark.parametrize(
    ("conditions", "message"),
    [
        (GOOD | {"t": 90.0}, "'t' lies between 20 and 80 degC; got 90"),
        (GOOD | {"c": 0.2}, r"one of \[0.1, 0.3\] mol/L; got 0.2. The nearest is 0.[13]"),
        (GOOD | {"base": "KOac"}, "got 'KOac'. Did you mean 'KOAc'"),
        (GOOD | {"t": "warm"}, "takes numbers; got 'warm'"),
        (without("t"), "'t' has none"),
        (without("dose"), "'dose' has none"),
        (GOOD | {"temp": 3.0}, "got 'temp'"),
        (GOOD | {"m.a": 0.6}, "which sum to 1.1"),
        (without("m.w"), "needs a fraction for each"),
        (without(base="CsOAc", c=0.1), "Leave it out"),
        (without("dose", base="CsOAc"), "may not stand together"),
        (GOOD | {"t": 70.0}, "got 100. Change"),
        (GOOD | {"m.a": 0.4, "m.b": 0.3, "m.w": 0.3}, "differ from zero; got 3"),
    ],
    ids=[
        "bounds", "level", "name", "text", "missing", "missing-active", "unknown", "sum",
        "part", "inactive", "exclude", "linear", "cardinality",
    ],
)  # fmt: skip
def test_conditions_outside_are_refused(conditions: Conditions, message: str):
    with pytest.raises(SpaceError, match=message):
        check(SPACE, conditions)
    assert not contains(SPACE, conditions)


def test_every_broken_rule_is_named():
    with pytest.raises(SpaceError) as caught:
        check(SPACE, GOOD | {"t": 90.0, "c": 7.0})
    assert len(str(caught.value).splitlines()) == 2
