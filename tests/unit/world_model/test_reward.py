"""What outcomes are worth and what experiments cost."""

import numpy as np
import pytest

from labwm.errors import InvalidInputError
from labwm.schema import Protocol
from labwm.world_model.reward import (
    RewardSpec,
    is_feasible,
    prices,
    reference_utility,
    reward_spec,
    utilities,
    violations,
)


def protocol(**changes: object) -> Protocol:
    return Protocol.model_validate(
        {
            "name": "three_goals",
            "version": 1,
            "parameters": [
                {"name": "t", "kind": "discrete", "levels": [10, 20]},
                {"name": "ligand", "kind": "categorical", "levels": ["A", "B"]},
            ],
            "readouts": [{"name": "yield"}, {"name": "waste"}, {"name": "gap"}],
            "objectives": [
                {"readout": "yield", "goal": "maximise", "reference": 5},
                {"readout": "waste", "goal": "minimise"},
                {"readout": "gap", "goal": "match", "target": 2.0, "reference": 1.5},
            ],
            "outcome_constraints": [
                {"readout": "waste", "at_most": 10},
                {"readout": "yield", "at_least": 1, "at_most": 100},
            ],
            "costs": {
                "per_experiment": {"amount": 20, "currency": "EUR"},
                "levels": {"ligand": {"A": {"price": 12.5}}, "t": {"20": {"price": 1}}},
            },
            **changes,
        }
    )


def test_utilities_follow_the_goals_for_rows_and_for_draws():
    rows = np.array([[50.0, 3.0, 2.5], [60.0, 4.0, 1.0]])
    expected = np.array([[50.0, -3.0, -0.5], [60.0, -4.0, -1.0]])
    np.testing.assert_array_equal(utilities(protocol(), rows), expected)
    draws = np.stack([rows, rows + 1])
    assert utilities(protocol(), draws).shape == (2, 2, 3)
    np.testing.assert_array_equal(utilities(protocol(), draws)[0], expected)


def test_references_are_on_the_utilitys_scale():
    first, second, third = protocol().objectives
    assert reference_utility(first) == 5
    assert reference_utility(second) is None
    assert reference_utility(third) == -1.5


def test_rows_of_another_number_of_readouts_are_refused():
    with pytest.raises(InvalidInputError, match=r"rows of 3.*got the shape \(4, 2\)"):
        utilities(protocol(), np.zeros((4, 2)))


def test_violations_say_how_far_each_constraint_is_broken():
    rows = np.array([[50.0, 3.0, 0.0], [0.25, 12.0, 0.0], [101.0, np.nan, 0.0]])
    np.testing.assert_allclose(
        violations(protocol(), rows), [[0, 0], [2.0, 0.75], [0, 1.0]]
    )
    assert is_feasible(protocol(), rows).tolist() == [True, False, False]
    free = protocol(outcome_constraints=[])
    assert is_feasible(free, rows).tolist() == [True, True, True]


def test_prices_add_the_levels_used():
    rows = [{"t": 10.0, "ligand": "A"}, {"t": 20.0, "ligand": "A"}, {"ligand": "B"}]
    assert prices(protocol().costs, rows).tolist() == [32.5, 33.5, 20.0]


def test_gains_of_an_episode_add_up_to_its_value_in_any_order():
    spec = reward_spec(protocol(), np.random.default_rng(0).uniform(0, 10, (20, 3)))
    outcomes = np.random.default_rng(1).uniform(1, 9, (12, 3))
    for order in (np.arange(12), np.arange(12)[::-1]):
        rows = outcomes[order]
        gains = [
            spec.reward(rows[:i], rows[: i + 1], cost_share=0.0).total
            for i in range(12)
        ]
        assert min(gains) >= 0
        assert sum(gains) == pytest.approx(spec.value(outcomes))
    assert spec.value(outcomes) > 0


def test_a_broken_constraint_and_a_missing_value_earn_nothing():
    spec = RewardSpec(protocol(), (0.0, -20.0, -5.0), (1.0, 1.0, 1.0))
    nothing = np.zeros((0, 3))
    for row in ([50.0, 11.0, 2.0], [50.0, np.nan, 2.0], [0.5, 1.0, 2.0]):
        assert spec.reward(nothing, [row], cost_share=0.0).utility_gain == 0.0
    good = spec.reward(nothing, [[50.0, 9.0, 2.0]], cost_share=0.5)
    assert good.utility_gain == pytest.approx(50 * 11 * 5)
    terms = {"utility_gain": good.utility_gain, "cost": -0.05, "information": 0.0}
    assert good.terms() == terms
    assert good.total == pytest.approx(sum(good.terms().values()))


@pytest.mark.parametrize("factor", [1e-3, 1e3])
def test_a_change_of_unit_changes_no_reward(factor: float):
    expected = np.random.default_rng(0).uniform(0, 10, (20, 1))
    outcomes = np.random.default_rng(1).uniform(0, 10, (5, 1))
    plain = Protocol.model_validate(
        {
            "name": "one_goal",
            "version": 1,
            "parameters": [{"name": "t", "kind": "discrete", "levels": [10, 20]}],
            "readouts": [{"name": "yield"}],
            "objectives": [{"readout": "yield", "goal": "maximise"}],
        }
    )
    before = reward_spec(plain, expected).value(outcomes)
    after = reward_spec(plain, factor * expected).value(factor * outcomes)
    assert after == pytest.approx(before)
