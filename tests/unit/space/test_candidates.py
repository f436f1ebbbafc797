"""Candidates: all of a small space, fair draws from a large one."""

from typing import Any

import numpy as np
import pytest

from labwm.errors import SpaceError
from labwm.schema import Protocol
from labwm.space import (
    Questions,
    candidates,
    contains,
    n_points,
    pool_of,
    questions_from,
    with_levels,
)


def protocol(parameters: list[Any], constraints: list[Any] | None = None) -> Protocol:
    return Protocol.model_validate(
        {
            "name": "p",
            "version": 1,
            "parameters": parameters,
            "constraints": constraints or [],
            "readouts": [{"name": "y_out"}],
            "objectives": [{"readout": "y_out", "goal": "maximise"}],
        }
    )


def grid(n: int, levels: int) -> list[Any]:
    return [
        {"name": f"x{i}", "kind": "discrete", "levels": list(range(levels))}
        for i in range(n)
    ]


MIXED = protocol(
    [
        {"name": "m", "kind": "mixture", "parts": ["a", "b", "c", "d"]},
        {"name": "t", "kind": "continuous", "bounds": [1, 100], "scale": "log"},
        {"name": "s", "kind": "categorical", "levels": ["u", "v"]},
        {"name": "k", "kind": "continuous", "bounds": [0, 1]},
        {"name": "plate", "kind": "context"},
    ],
    [
        {"kind": "cardinality", "of": ["m.a", "m.b", "m.c", "m.d"], "at_most": 2},
        {"kind": "depends", "parameter": "k", "on": "s", "values": ["u"]},
        {"kind": "linear", "weights": {"t": 1}, "high": 50},
    ],
)


def test_a_small_space_is_enumerated_whole():
    asked = candidates(protocol(grid(3, 4)), limit=64, seed=0)
    assert len(set(asked.keys())) == len(asked) == 64


def test_a_large_finite_space_gives_distinct_feasible_points():
    names = [f"x{i}" for i in range(15)]
    space = protocol(grid(15, 6), [{"kind": "cardinality", "of": names, "at_most": 4}])
    asked = candidates(space, limit=500, seed=1)
    assert len(set(asked.keys())) == len(asked) == 500
    assert all(contains(space, row) for row in asked.rows())


def test_every_feasible_point_is_equally_likely():
    space = protocol(
        grid(3, 5), [{"kind": "linear", "weights": {"x0": 1, "x1": 1}, "high": 4}]
    )
    n = n_points(space).exact
    assert n == 75
    draws = [candidates(space, limit=15, seed=s) for s in range(200)]
    counts = np.unique([k for d in draws for k in d.keys()], return_counts=True)[1]  # noqa: SIM118
    # 200 draws of 15 from 75: 40 each, binomial sd 5.7.
    assert len(counts) == n
    assert counts.min() > 40 - 5 * 5.7
    assert counts.max() < 40 + 5 * 5.7


def test_a_mixed_space_is_drawn_from_within_its_constraints():
    asked = candidates(MIXED, limit=300, seed=3)
    assert len(asked) == 300
    rows = asked.rows()
    assert all(contains(MIXED, row) for row in rows)
    assert all(("k" in row) == (row["s"] == "u") for row in rows)
    # A log scale puts as many below 7 as between 7 and 50.
    share = np.mean(asked.columns["t"] < np.sqrt(50.0))
    assert 0.4 < share < 0.6


@pytest.mark.parametrize("space", [MIXED, protocol(grid(9, 9))], ids=["mixed", "grid"])
def test_the_seed_decides_the_draws(space: Protocol):
    same = [candidates(space, limit=50, seed=s).digest() for s in (1, 1, 2)]
    assert same[0] == same[1] != same[2]


def test_a_space_too_tangled_to_be_counted_is_drawn_from():
    levels = [[(7.0 + i) ** 0.5 * k for k in range(40)] for i in range(6)]
    space = protocol(
        [
            {"name": f"x{i}", "kind": "discrete", "levels": values}
            for i, values in enumerate(levels)
        ],
        [{"kind": "linear", "weights": {f"x{i}": 1 for i in range(6)}, "high": 300}],
    )
    asked = candidates(space, limit=50, seed=0)
    assert len(set(asked.keys())) == 50
    assert all(contains(space, row) for row in asked.rows())


def test_a_space_without_a_feasible_point_is_refused():
    space = protocol(grid(2, 3), [{"kind": "linear", "weights": {"x0": 1}, "low": 9}])
    with pytest.raises(SpaceError, match="leave none of 9"):
        candidates(space, seed=0)


def test_a_space_too_narrow_to_draw_from_is_refused():
    space = protocol(
        [
            {"name": "a", "kind": "continuous", "bounds": [0, 1]},
            {"name": "b", "kind": "continuous", "bounds": [0, 1]},
        ],
        [{"kind": "linear", "weights": {"a": 1, "b": 1}, "low": 1, "high": 1}],
    )
    with pytest.raises(SpaceError, match="0 of"):
        candidates(space, limit=10, seed=0)


def test_a_pool_holds_each_question_once_in_an_order_that_tells_nothing():
    space = protocol(grid(2, 3))
    rows = [{"x0": float(i % 3), "x1": float(i % 2)} for i in range(12)]
    pool = pool_of(questions_from(space, rows))
    shuffled = pool_of(questions_from(space, rows[::-1]))
    assert len(pool) == 6
    assert pool.keys() == shuffled.keys()


def test_levels_are_taken_from_a_table_sorted():
    space = protocol(
        [
            {"name": "base", "kind": "categorical"},
            {"name": "smiles", "kind": "molecule"},
            {"name": "acid", "kind": "categorical", "levels": ["HCl", "TFA"]},
        ]
    )
    rows = [
        {"base": "b", "smiles": "CO", "acid": "TFA"},
        {"base": "a", "smiles": "C", "acid": "TFA"},
    ]
    filled = with_levels(space, questions_from(space, rows))
    assert filled.parameters[0].levels == ("a", "b")
    assert filled.parameters[1].smiles == ("C", "CO")
    assert filled.parameters[2].levels == ("HCl", "TFA")
    assert n_points(filled).exact == 8


def test_levels_are_not_invented():
    space = protocol([{"name": "base", "kind": "categorical"}])
    empty = Questions({"base": np.array(["", ""], dtype=object)})
    with pytest.raises(SpaceError, match="'base' are to come from the table"):
        with_levels(space, empty)
