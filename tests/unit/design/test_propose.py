"""What every policy keeps, whichever it is."""

import numpy as np
import pytest
from scipy.spatial.distance import pdist

from labwm.design.candidates import changed_freely, hard_to_change
from labwm.design.features import features
from labwm.design.propose import POLICIES, propose
from labwm.design.state import State
from labwm.errors import InvalidInputError, NotFoundError, SpaceError
from labwm.schema import Protocol
from labwm.space.questions import observations_from, questions_from

DONE = (0, 4, 8, 13, 17, 21)
SINGLE = sorted(set(POLICIES) - {"hypervolume_improvement", "improvement_per_cost"})
"""Policies that take the protocol of these tests as it is."""


def rows_of(batch) -> list[int]:
    return [choice.row for choice in batch.choices]


@pytest.mark.parametrize("policy", SINGLE)
def test_a_policy_never_repeats_what_was_measured_failed_or_is_pending(
    state_of, policy
):
    state = state_of(DONE, failed=(1, 2), pending=(3, 5))
    chosen = rows_of(propose(state, n=6, policy=policy))
    assert len(set(chosen)) == 6
    assert not set(chosen) & {*DONE, 1, 2, 3, 5}


@pytest.mark.parametrize("policy", SINGLE)
def test_the_same_state_gives_the_same_choices(state_of, policy):
    first = propose(state_of(DONE), n=3, policy=policy)
    second = propose(state_of(DONE), n=3, policy=policy)
    assert first.choices == second.choices


@pytest.mark.parametrize("policy", SINGLE)
def test_a_policy_returns_what_is_left_when_less_is_left(state_of, policy):
    left = {5, 26}
    state = state_of(tuple(i for i in range(27) if i not in left))
    assert set(rows_of(propose(state, n=8, policy=policy))) == left


@pytest.mark.parametrize("policy", SINGLE)
def test_a_spent_pool_is_refused(state_of, policy):
    with pytest.raises(SpaceError, match="pool of 27 with none left"):
        propose(state_of(tuple(range(27))), n=1, policy=policy)


# Six of 27 candidates are measured; three of the rest are wanted.
PROPENSITY = {
    "active_learning": None,
    "default": 1.0,
    "expected_improvement": 1.0,
    "greedy": 1.0,
    "random": 3 / (27 - len(DONE)),
    "space_filling": None,
    "thompson": None,
}


@pytest.mark.parametrize("policy", SINGLE)
def test_each_choice_says_why(state_of, policy):
    for choice in propose(state_of(DONE), n=3, policy=policy).choices:
        assert len(choice.reason.split()) >= 4
        assert choice.propensity == PROPENSITY[policy]


@pytest.mark.parametrize("policy", SINGLE)
def test_a_hard_to_change_parameter_has_one_value_in_a_batch(
    state_of, hot_plate, policy
):
    state = state_of(DONE, protocol=hot_plate)
    chosen = rows_of(propose(state, n=5, policy=policy))
    assert len(chosen) == 5
    assert len(set(np.asarray(state.pool.columns["temperature"])[chosen])) == 1


def test_a_group_too_small_for_the_batch_is_left_for_later(state_of, hot_plate):
    # At 60 degrees one candidate is left; at 80 and 100 all nine.
    cold = tuple(i for i in range(27) if i % 3 == 0)[:-1]
    state = state_of(cold, protocol=hot_plate)
    for seed in range(8):
        chosen = rows_of(
            propose(state_of(cold, protocol=hot_plate, seed=seed), n=4, policy="random")
        )
        column = np.asarray(state.pool.columns["temperature"])
        assert 60.0 not in set(column[chosen])


def test_a_protocol_without_the_rule_changes_everything_freely(hot_plate):
    assert hard_to_change(hot_plate) == ("temperature",)
    assert hard_to_change(changed_freely(hot_plate)) == ()


def test_an_unknown_policy_is_refused_with_the_nearest_name(state_of):
    with pytest.raises(NotFoundError, match="Did you mean 'space_filling'"):
        propose(state_of(), n=1, policy="space-filing")


def test_an_empty_batch_is_refused(state_of):
    with pytest.raises(InvalidInputError, match="got n=0"):
        propose(state_of(), n=0, policy="random")


def test_random_is_uniform(state_of):
    counts = np.zeros(27)
    for seed in range(2000):
        counts[rows_of(propose(state_of(seed=seed), n=3, policy="random"))] += 1
    expected = 2000 * 3 / 27
    # Five standard deviations of a binomial count.
    assert np.all(np.abs(counts - expected) < 5 * np.sqrt(expected))


def test_space_filling_spreads_over_a_space_with_names(state_of):
    def closest(policy: str, seed: int) -> float:
        state = state_of(seed=seed)
        rows = rows_of(propose(state, n=4, policy=policy))
        return float(pdist(features(state.protocol, state.pool)[rows]).min())

    designs = [closest("space_filling", seed) for seed in range(20)]
    random = [closest("random", seed) for seed in range(20)]
    assert np.mean(designs) > 1.3 * np.mean(random)
    assert len(set(designs)) > 1


def test_space_filling_begins_inside_a_space_of_numbers():
    protocol = Protocol.model_validate(
        REACTION_OF_ONE
        | {
            "parameters": [
                {"name": f"x{i}", "kind": "continuous", "bounds": [0, 1]}
                for i in range(4)
            ]
        }
    )
    rng = np.random.default_rng(0)
    rows = [{f"x{i}": float(v) for i, v in enumerate(x)} for x in rng.random((400, 4))]
    pool = questions_from(protocol, rows)
    state = State(
        protocol=protocol,
        pool=pool,
        pool_sha256="0" * 64,
        observed=observations_from(protocol, []),
        pending=questions_from(protocol, []),
        n_left=5,
        n_initial=5,
        round=0,
        seed=1,
    )
    chosen = pool.take(rows_of(propose(state, n=5, policy="space_filling")))
    values = np.stack([np.asarray(c, float) for c in chosen.columns.values()])
    assert np.mean((values < 0.1) | (values > 0.9)) < 0.1


def test_space_filling_covers_a_library_from_its_centre():
    alkanes = ["C" * i for i in range(4, 16)]
    odd_one_out = ["FC(F)(F)S(=O)(=O)N=[N+]=[N-]"]
    protocol = Protocol.model_validate(
        REACTION_OF_ONE | {"parameters": [{"name": "dye", "kind": "molecule"}]}
    )
    rows = [{"dye": smiles} for smiles in alkanes + odd_one_out]
    state = State(
        protocol=protocol,
        pool=questions_from(protocol, rows),
        pool_sha256="0" * 64,
        observed=observations_from(protocol, []),
        pending=questions_from(protocol, []),
        n_left=3,
        n_initial=3,
        round=0,
        seed=1,
    )
    batch = propose(state, n=1, policy="space_filling")
    assert rows_of(batch)[0] < len(alkanes)
    assert "closer to its nearest experiment" in batch.choices[0].reason


REACTION_OF_ONE = {
    "name": "library",
    "version": 1,
    "readouts": [{"name": "gap"}],
    "objectives": [{"readout": "gap", "goal": "maximise"}],
}
