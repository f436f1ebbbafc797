"""What every policy keeps, whichever it is."""

import numpy as np
import pytest

from labwm.design.candidates import changed_freely, hard_to_change
from labwm.design.propose import POLICIES, propose
from labwm.errors import InvalidInputError, NotFoundError, SpaceError

DONE = (0, 4, 8, 13, 17, 21)
SINGLE = sorted(set(POLICIES) - {"hypervolume_improvement"})


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


@pytest.mark.parametrize("policy", SINGLE)
def test_each_choice_says_why(state_of, policy):
    for choice in propose(state_of(DONE), n=3, policy=policy).choices:
        assert len(choice.reason.split()) >= 4
        assert choice.propensity is None or 0 < choice.propensity <= 1


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


def test_space_filling_starts_near_the_centre_and_spreads(state_of):
    state = state_of()
    chosen = rows_of(propose(state, n=3, policy="space_filling"))
    assert {row["ligand"] for row in state.pool.take(chosen).rows()} == {"a", "b", "c"}
    covered = [distance_to_pool(state, chosen)]
    for seed in range(20):
        random = rows_of(propose(state_of(seed=seed), n=3, policy="random"))
        covered.append(distance_to_pool(state, random))
    assert covered[0] < np.mean(covered[1:])


def distance_to_pool(state, rows) -> float:
    from scipy.spatial.distance import cdist

    from labwm.design.features import features

    x = features(state.protocol, state.pool)
    return float(cdist(x, x[rows]).min(axis=1).mean())
