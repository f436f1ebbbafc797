"""Spaces too large to list: proposals in seconds, inside the rules."""

import time

import numpy as np
import pytest

from labwm.design.propose import propose
from labwm.design.state import State
from labwm.schema import Measurement, Origin, Protocol, Value
from labwm.space import candidates, contains, n_points
from labwm.space.membership import membership_of
from labwm.space.neighbours import crossings, neighbours
from labwm.space.questions import observations_from, questions_from

N_AXES = 12


def protocol_of(parameters: list, constraints: list | None = None) -> Protocol:
    return Protocol.model_validate(
        {
            "name": "large",
            "version": 1,
            "parameters": parameters,
            "constraints": constraints or [],
            "readouts": [{"name": "signal"}],
            "objectives": [{"readout": "signal", "goal": "maximise"}],
        }
    )


HUGE = protocol_of(
    [
        {"name": f"x{i}", "kind": "discrete", "levels": list(range(10))}
        for i in range(N_AXES)
    ]
)
MIXED = protocol_of(
    [
        {"name": "m", "kind": "mixture", "parts": ["a", "b", "c", "d"]},
        {"name": "t", "kind": "continuous", "bounds": [1, 100], "scale": "log"},
        {"name": "s", "kind": "categorical", "levels": ["u", "v"]},
        {"name": "k", "kind": "continuous", "bounds": [0, 1]},
        {
            "name": "acid",
            "kind": "molecule",
            "smiles": ["CC(=O)O", "OC=O", "OC(=O)c1ccccc1"],
        },
    ],
    [
        {"kind": "cardinality", "of": ["m.a", "m.b", "m.c", "m.d"], "at_most": 2},
        {"kind": "depends", "parameter": "k", "on": "s", "values": ["u"]},
        {"kind": "linear", "weights": {"t": 1}, "high": 50},
    ],
)


def huge_signal(row) -> float:
    # Best where every axis is at its own level; neighbouring axes help each other.
    x = np.array([row[f"x{i}"] for i in range(N_AXES)])
    wanted = (np.arange(N_AXES) * 3) % 10
    return float(-np.mean((x - wanted) ** 2) / 10)


def mixed_signal(row) -> float:
    return (
        -((row["m.a"] - 0.7) ** 2)
        - (np.log(row["t"]) - np.log(20)) ** 2
        + (0.5 - (row["k"] - 0.3) ** 2 if "k" in row else 0.0)
    )


def campaign(protocol, signal, *, n_rounds: int, batch: int, limit: int, seed=0):
    """Play rounds on a function and return the conditions in the order measured."""
    pool = candidates(protocol, limit=limit, seed=seed)
    rows: list[dict] = []
    for number in range(n_rounds):
        measured = [
            Measurement(
                conditions=row,
                readouts={"signal": Value(value=signal(row))},
                origin=Origin.MEASURED,
            )
            for row in rows
        ]
        state = State(
            protocol=protocol,
            pool=pool,
            pool_sha256="0" * 64,
            observed=observations_from(protocol, measured),
            pending=questions_from(protocol, []),
            n_left=100,
            n_initial=2 * batch,
            round=number,
            seed=seed + number,
            is_open=True,
        )
        chosen = propose(state, n=batch)
        asked = pool if chosen.pool is None else chosen.pool
        rows += [asked.row(choice.row) for choice in chosen.choices]
    return rows


def test_ten_to_the_twelve_combinations_are_searched_in_seconds():
    assert n_points(HUGE).exact == 10**12
    start = time.process_time()
    rows = campaign(HUGE, huge_signal, n_rounds=4, batch=10, limit=500)
    seconds = time.process_time() - start
    best = max(map(huge_signal, rows))
    pool = candidates(HUGE, limit=500, seed=0)
    # Better than the best of all 500 draws, from 40 experiments of which 20 were led.
    assert best > max(huge_signal(row) for row in pool.rows())
    assert all(contains(HUGE, row) for row in rows)
    assert len({tuple(row.items()) for row in rows}) == len(rows)
    assert seconds < 40


def test_a_mixed_conditional_space_is_searched_within_its_rules():
    rows = campaign(MIXED, mixed_signal, n_rounds=5, batch=5, limit=100)
    assert all(contains(MIXED, row) for row in rows)
    best = max(map(mixed_signal, rows))
    pool = candidates(MIXED, limit=100, seed=0)
    assert best > max(mixed_signal(row) for row in pool.rows()) - 0.05


def test_the_same_state_searches_the_same_points():
    first, second = (
        campaign(MIXED, mixed_signal, n_rounds=3, batch=3, limit=40) for _ in range(2)
    )
    assert first == second


def test_neighbours_keep_every_rule_and_change_one_parameter():
    membership = membership_of(MIXED)
    rng = np.random.default_rng(0)
    (row,) = candidates(MIXED, limit=1, seed=3).rows()
    found = list(neighbours(membership, row, rng))
    assert found
    for other in found:
        assert not membership.problems(other)
        changed = {
            name.split(".")[0]
            for name in set(row) | set(other)
            if row.get(name) != other.get(name)
        }
        assert changed - {"k"} == set() or len(changed - {"k"}) == 1


def test_crossings_take_every_value_from_a_parent():
    membership = membership_of(HUGE)
    parents = candidates(HUGE, limit=2, seed=0).rows()
    found = list(crossings(membership, parents, 20, np.random.default_rng(0)))
    assert len(found) == 20
    assert all(
        row[name] in {parent[name] for parent in parents}
        for row in found
        for name in row
    )


@pytest.mark.parametrize("policy", ["greedy", "expected_improvement"])
def test_a_closed_pool_is_never_left(state_of, policy):
    batch = propose(state_of(done=(0, 5, 13, 21, 26)), n=3, policy=policy)
    assert batch.pool is None
    assert all(choice.row < 27 for choice in batch.choices)
