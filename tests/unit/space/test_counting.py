"""Spaces are counted exactly and walked lazily, never built."""

import time
from collections.abc import Sequence
from itertools import islice, product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labwm.errors import SpaceError
from labwm.schema import Protocol
from labwm.space import contains, iterate, n_points


def protocol(parameters: Sequence[Any], constraints: Sequence[Any] = ()) -> Protocol:
    return Protocol.model_validate(
        {
            "name": "p",
            "version": 1,
            "parameters": list(parameters),
            "constraints": list(constraints),
            "readouts": [{"name": "y_out"}],
            "objectives": [{"readout": "y_out", "goal": "maximise"}],
        }
    )


def number(name: str, *levels: float) -> dict[str, Any]:
    return {"name": name, "kind": "discrete", "levels": list(levels)}


def text(name: str, *levels: str) -> dict[str, Any]:
    return {"name": name, "kind": "categorical", "levels": list(levels)}


WIDE = [number(f"x{i}", *range(6)) for i in range(15)]


def test_a_space_of_six_to_the_fifteenth_is_counted_without_allocation():
    space = protocol(WIDE)
    start = time.perf_counter()
    assert n_points(space).exact == 6**15
    assert time.perf_counter() - start < 0.1
    assert len(list(islice(iterate(space), 1000))) == 1000


def test_a_wide_space_under_a_sum_and_a_cardinality_is_counted_exactly():
    names = [f"x{i}" for i in range(15)]
    space = protocol(
        WIDE,
        [
            {"kind": "linear", "weights": dict.fromkeys(names, 1.0), "high": 2.0},
            {"kind": "cardinality", "of": names, "at_most": 2},
        ],
    )
    # None set; one set to 1 or 2; two set to 1.
    assert n_points(space).exact == 1 + 15 * 2 + 15 * 14 // 2
    assert len(list(iterate(space))) == n_points(space).exact


def test_a_continuous_space_has_no_count():
    space = protocol([{"name": "t", "kind": "continuous", "bounds": [0, 1]}])
    assert n_points(space).exact is None
    assert not n_points(space).is_finite
    with pytest.raises(SpaceError, match="'t' is continuous"):
        iterate(space)


def test_a_context_does_not_count():
    space = protocol([number("a", 1, 2), {"name": "plate", "kind": "context"}])
    assert n_points(space).exact == 2


def test_missing_levels_are_told():
    space = protocol([{"name": "base", "kind": "categorical"}])
    with pytest.raises(SpaceError, match="'base' lists none"):
        n_points(space)


def test_a_dependent_parameter_exists_only_where_it_may():
    space = protocol(
        [number("dose", 1, 2, 3), text("additive", "none", "LiCl")],
        [
            {
                "kind": "depends",
                "parameter": "dose",
                "on": "additive",
                "values": ["LiCl"],
            }
        ],
    )
    points = list(iterate(space))
    assert n_points(space).exact == len(points) == 4
    assert {"additive": "none"} in points


def test_dependencies_in_a_circle_are_refused():
    space = protocol(
        [text("a", "u", "v"), text("b", "u", "v")],
        [
            {"kind": "depends", "parameter": "a", "on": "b", "values": ["u"]},
            {"kind": "depends", "parameter": "b", "on": "a", "values": ["u"]},
        ],
    )
    with pytest.raises(SpaceError, match="circle"):
        n_points(space)


def test_two_dependencies_of_one_parameter_are_refused():
    rule = {"kind": "depends", "parameter": "a", "on": "b", "values": ["u"]}
    space = protocol([text("a", "u"), text("b", "u", "v")], [rule, rule])
    with pytest.raises(SpaceError, match="two `depends` rules"):
        n_points(space)


def test_a_constraint_over_a_context_is_refused():
    space = protocol(
        [number("a", 1, 2), {"name": "plate", "kind": "context"}],
        [{"kind": "exclude", "when": {"a": [1], "plate": ["1"]}}],
    )
    with pytest.raises(SpaceError, match="context 'plate'"):
        n_points(space)


def test_too_many_partial_sums_are_told_with_the_unconstrained_count():
    parameters = [
        number(f"x{i}", *[(7.0 + i) ** 0.5 * k for k in range(40)]) for i in range(6)
    ]
    weights = {f"x{i}": 1.0 for i in range(6)}
    space = protocol(
        parameters, [{"kind": "linear", "weights": weights, "high": 100.0}]
    )
    with pytest.raises(SpaceError, match=str(40**6)):
        n_points(space)


LEVELS = st.lists(st.integers(0, 4), min_size=1, max_size=3, unique=True)


@st.composite
def small_spaces(draw: st.DrawFn) -> Protocol:
    n = draw(st.integers(2, 4))
    names = [f"x{i}" for i in range(n)]
    levels = {name: draw(LEVELS) for name in names}
    some = st.lists(st.sampled_from(names), min_size=1, unique=True)
    constraints: list[dict[str, Any]] = []
    if draw(st.booleans()):
        weights = {k: float(draw(st.integers(-2, 2))) for k in draw(some)}
        low, high = sorted(draw(st.tuples(st.integers(-9, 9), st.integers(-9, 9))))
        constraints.append(
            {"kind": "linear", "weights": weights, "low": low, "high": high}
        )
    if draw(st.booleans()):
        when = {k: draw(st.lists(st.integers(0, 4), min_size=1)) for k in draw(some)}
        constraints.append({"kind": "exclude", "when": when})
    if draw(st.booleans()):
        most = draw(st.integers(1, n))
        least = draw(st.integers(0, most))
        constraints.append(
            {
                "kind": "cardinality",
                "of": draw(some),
                "at_least": least,
                "at_most": most,
            }
        )
    if draw(st.booleans()):
        a, b = draw(
            st.lists(st.sampled_from(names), min_size=2, max_size=2, unique=True)
        )
        constraints.append(
            {
                "kind": "depends",
                "parameter": a,
                "on": b,
                "values": draw(st.lists(st.integers(0, 4), min_size=1)),
            }
        )
    return protocol([number(k, *v) for k, v in levels.items()], constraints)


@given(small_spaces())
@settings(max_examples=150, deadline=None)
def test_count_walk_and_membership_agree_with_brute_force(space: Protocol):
    """The product, with every value also absent, filtered by membership."""
    names = [p.name for p in space.parameters]
    choices = [[*p.levels, None] for p in space.parameters]
    feasible = {
        tuple(values)
        for values in product(*choices)
        if contains(
            space, {k: v for k, v in zip(names, values, strict=True) if v is not None}
        )
    }
    walked = [tuple(point.get(name) for name in names) for point in iterate(space)]
    assert len(walked) == len(set(walked))
    assert set(walked) == feasible
    assert n_points(space).exact == len(feasible)
