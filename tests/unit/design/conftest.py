"""Small states that policies choose from."""

from collections.abc import Callable

import numpy as np
import pytest

from labwm.design.state import State
from labwm.schema import Change, Measurement, Origin, Protocol, Status, Value
from labwm.space.questions import observations_from, questions_from

REACTION = {
    "name": "reaction",
    "version": 1,
    "parameters": [
        {"name": "ligand", "kind": "categorical", "levels": ["a", "b", "c"]},
        {"name": "concentration", "kind": "discrete", "levels": [0.1, 0.2, 0.4]},
        {"name": "temperature", "kind": "discrete", "levels": [60, 80, 100]},
    ],
    "readouts": [{"name": "yield", "unit": "percent", "bounds": [0, 100]}],
    "objectives": [{"readout": "yield", "goal": "maximise"}],
}
LIGAND = {"a": 20.0, "b": 55.0, "c": 30.0}


def yield_of(conditions: dict) -> float:
    """Best with ligand b, 0.2 mol/L and 100 degrees."""
    return (
        LIGAND[conditions["ligand"]]
        - 300 * (conditions["concentration"] - 0.2) ** 2
        + 0.4 * (conditions["temperature"] - 60)
    )


def grid(protocol: Protocol) -> list[dict]:
    ligand, concentration, temperature = protocol.parameters
    return [
        {"ligand": a, "concentration": b, "temperature": c}
        for a in ligand.levels
        for b in concentration.levels
        for c in temperature.levels
    ]


def measured(conditions: dict, *, failed: bool = False) -> Measurement:
    value = (
        Value(status=Status.FAILED, reason="no conversion")
        if failed
        else Value(value=yield_of(conditions))
    )
    return Measurement(
        conditions=conditions, readouts={"yield": value}, origin=Origin.MEASURED
    )


@pytest.fixture
def protocol() -> Protocol:
    return Protocol.model_validate(REACTION)


@pytest.fixture
def state_of(protocol: Protocol) -> Callable[..., State]:
    """Make a state in which rows of the grid were measured, failed or are pending."""

    def make(
        done: tuple[int, ...] = (),
        failed: tuple[int, ...] = (),
        pending: tuple[int, ...] = (),
        *,
        protocol: Protocol = protocol,
        seed: int = 0,
        n_initial: int = 4,
    ) -> State:
        rows = grid(protocol)
        pool = questions_from(protocol, rows)
        measurements = [measured(rows[i]) for i in done]
        measurements += [measured(rows[i], failed=True) for i in failed]
        return State(
            protocol=protocol,
            pool=pool,
            pool_sha256=pool.digest(),
            observed=observations_from(protocol, measurements),
            pending=questions_from(protocol, [rows[i] for i in pending]),
            n_left=20,
            n_initial=n_initial,
            round=0,
            seed=seed,
        )

    return make


@pytest.fixture
def hot_plate(protocol: Protocol) -> Protocol:
    """The reaction on a plate that has one temperature."""
    *others, temperature = protocol.parameters
    hard = temperature.model_copy(update={"change": Change.PER_BATCH})
    return Protocol.model_validate(
        protocol.model_dump(mode="json")
        | {"parameters": [p.model_dump(mode="json") for p in (*others, hard)]}
    )


def temperatures(state: State, rows: list[int]) -> set[float]:
    return set(np.asarray(state.pool.columns["temperature"])[rows])
