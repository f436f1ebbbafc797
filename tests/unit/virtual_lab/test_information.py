"""Information is rewarded as a potential, so that no order of experiments farms it."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labwm.errors import InvalidInputError
from labwm.virtual_lab.campaign_env import CampaignEnv
from labwm.virtual_lab.campaign_vector_env import CampaignVectorEnv
from labwm.virtual_lab.pool_belief import PoolBelief
from labwm.world_model import fit
from labwm.world_model.reward import TERMS, reward_spec
from tests.unit.virtual_lab.tasks import LEVELS, observations, protocol, task
from tests.unit.virtual_lab.test_campaign_vector_env import learnt_task

WEIGHTS = {"information_weight": 2.0, "discount": 0.9}


def returns(env: CampaignEnv, actions: list[int]) -> tuple[float, list[float]]:
    env.reset(seed=3)
    total, learnt = 0.0, []
    for i, action in enumerate(actions):
        _, reward, _, _, info = env.step(np.int64(action))
        assert sum(info["reward_terms"].values()) == pytest.approx(reward)
        total += env.task.discount**i * float(reward)
        learnt.append(info["reward_terms"]["information"])
    return total, learnt


@given(
    shares=st.lists(st.floats(0, 1), min_size=1, max_size=8),
    discount=st.floats(0.1, 1),
    weight=st.floats(0, 10),
)
def test_a_closed_loop_earns_no_information(shares, discount, weight):
    spec = reward_spec(
        protocol(),
        np.array([[0.0, 1.0], [1.0, 0.0]]),
        information_weight=weight,
        discount=discount,
    )
    loop = [*shares, shares[0]]
    earned = sum(
        discount**i * float(spec.shaping(a, b, has_ended=False))
        for i, (a, b) in enumerate(pairwise(loop))
    )
    expected = weight * (discount ** len(shares) - 1) * shares[0]
    assert earned == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    "actions", [[0, 6, 11, 3, 9], [2, 2, 2, 2, 2]], ids=["wide", "again and again"]
)
def test_a_whole_episode_is_worth_the_same_with_and_without_information(actions):
    plain, nothing = returns(CampaignEnv(learnt_task(discount=0.9)), actions)
    shaped, learnt = returns(CampaignEnv(learnt_task(**WEIGHTS)), actions)
    assert nothing == [0.0] * 5
    assert learnt[0] > 0.01
    assert shaped == pytest.approx(plain, abs=1e-6)


def test_what_teaches_more_earns_sooner():
    env = CampaignEnv(learnt_task(**WEIGHTS))
    far, near = returns(env, [11, 0])[1][0], returns(env, [2, 0])[1][0]
    assert far > near


def test_the_vector_environment_tells_the_same_information():
    own = learnt_task(**WEIGHTS)
    ours, theirs = CampaignVectorEnv(own, 1), CampaignEnv(own)
    ours.reset(seed=3)
    theirs.reset(seed=3)
    for action in (4, 11, 0, 7, 2):
        _, mine, _, _, told = ours.step(np.array([action]))
        _, other, _, _, info = theirs.step(np.int64(action))
        assert mine[0] == pytest.approx(float(other), abs=1e-6)
        assert set(TERMS) <= set(told["reward_terms"])
        information = told["reward_terms"]["information"][0]
        assert information == pytest.approx(info["reward_terms"]["information"])


def test_a_restored_episode_knows_what_it_knew():
    env = CampaignEnv(learnt_task(**WEIGHTS))
    env.reset(seed=3)
    env.step(np.int64(11))
    kept = env.snapshot()
    first = env.step(np.int64(5))[1]
    env.restore(kept)
    assert env.step(np.int64(5))[1] == first


def test_a_model_without_a_joint_posterior_refuses_the_weight():
    with pytest.raises(InvalidInputError, match="joint posterior"):
        CampaignEnv(task(information_weight=1.0))


@pytest.mark.parametrize(
    "changes", [{"information_weight": -1.0}, {"discount": 0.0}], ids=str
)
def test_weights_that_are_none_are_refused(changes):
    own = learnt_task(**changes)
    with pytest.raises(InvalidInputError, match="discount is in"):
        CampaignEnv(own)


def test_the_belief_of_agents_is_the_models_own():
    own = learnt_task()
    model = fit(observations(8), protocol(), seed=0)
    belief = PoolBelief(model.joint(own.pool), 0, n_agents=2, n_most=3)
    new = observations(12).take([9, 10])
    only = np.array([1])
    for row, value in zip((9, 10), new.values[:, 0], strict=True):
        belief.learn(only, np.array([row]), np.array([value]))
    said = model.condition_on(new).predict(own.pool)
    np.testing.assert_allclose(belief.mean[1], said.location[:, 0], rtol=2e-3)
    np.testing.assert_allclose(belief.sd[1], said.epistemic[:, 0], rtol=0.02)
    untouched = model.predict(own.pool).location[:, 0]
    np.testing.assert_allclose(belief.mean[0], untouched, rtol=1e-5)
    drawn = np.stack([belief.draw(np.random.default_rng(i))[1] for i in range(400)])
    np.testing.assert_allclose(
        drawn.mean(axis=0), belief.mean[1], atol=4 * float(belief.sd[1].max()) / 20
    )
    np.testing.assert_allclose(drawn.std(axis=0), belief.sd[1], rtol=0.25)
    belief.forget(only)
    np.testing.assert_allclose(belief.mean[1], untouched, rtol=1e-5)
    assert len(LEVELS) == belief.mean.shape[1]


def test_a_failure_teaches_nothing():
    own = learnt_task()
    belief = PoolBelief(own.model.joint(own.pool), 0, n_agents=1, n_most=2)
    belief.learn(np.array([0]), np.array([3]), np.array([np.nan]))
    assert belief.known()[0] == pytest.approx(0.0, abs=1e-6)
