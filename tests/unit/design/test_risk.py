"""Where experiments failed, no policy with a model goes on as if they had not."""

from dataclasses import replace

import numpy as np
import pytest

from labwm.design.modelled import at_risk
from labwm.design.propose import propose
from labwm.schema import CalibrationMap, Prediction

COOL = (0, 4, 7, 9, 10, 13, 16, 18, 22, 25)
HOT = (2, 5, 8, 20, 23, 26)
"""At 100 degrees, where the best is; all of them fail."""


def n_hot(state, policy) -> int:
    chosen = [
        choice.row % 3 == 2
        for seed in range(3)
        for choice in propose(replace(state, seed=seed), n=2, policy=policy).choices
    ]
    return sum(chosen)


@pytest.mark.parametrize("policy", ["greedy", "thompson", "active_learning"])
def test_a_policy_weighs_by_the_chance_of_success(state_of, policy):
    safe, risky = state_of(done=COOL), state_of(done=COOL, failed=HOT)
    assert n_hot(safe, policy) > 0
    assert n_hot(risky, policy) < n_hot(safe, policy)


def test_a_failure_is_worth_the_least_that_was_measured(state_of):
    state = state_of(done=COOL)
    stated = Prediction(
        readouts=("yield",),
        units=("percent",),
        location=np.zeros((4, 1)),
        epistemic=np.ones((4, 1)),
        aleatoric=np.ones((4, 1)),
        calibration=(CalibrationMap(),),
        is_vacuous=np.zeros((4, 1), dtype=bool),
        success=np.array([1.0, 0.5, 0.0, 0.5]),
    )
    scores = np.array([30.0, 40.0, 90.0, 10.0])
    found = at_risk(state, stated, scores, np.array([50.0, 20.0]))
    assert found == pytest.approx([30.0, 30.0, 20.0, 10.0], abs=1e-6)
