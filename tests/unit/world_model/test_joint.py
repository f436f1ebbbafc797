"""Worlds on a pool follow the posterior, each seed its own, whatever stands beside."""

import numpy as np
import pytest

from labwm.errors import InvalidInputError, NotFoundError
from labwm.space.questions import questions_from
from labwm.world_model import fit
from labwm.world_model.contract import SupportsJoint
from tests.unit.virtual_lab.tasks import LEVELS, observations, protocol

POOL = questions_from(protocol(), [{"x": x} for x in LEVELS])


@pytest.fixture(scope="module")
def model():
    return fit(observations(8), protocol(), seed=0)


def test_the_default_model_has_a_joint_posterior(model):
    assert isinstance(model, SupportsJoint)


def test_worlds_cover_what_the_model_states(model):
    joint, (low, high) = model.joint(POOL), model.predict(POOL).interval(0.9)
    once = np.zeros(len(POOL), dtype=int)
    held = [
        (low <= y) & (y <= high)
        for y in (joint.world(seed).outcome(POOL, once) for seed in range(400))
    ]
    assert np.mean(held) == pytest.approx(0.9, abs=0.02)


def test_its_worlds_move_together_as_pathwise_worlds_do(model):
    joint = model.joint(POOL)
    ours = np.array([joint.world(seed).truth(POOL)[:, 0] for seed in range(400)])
    theirs = np.array([model.draw_world(seed).truth(POOL)[:, 0] for seed in range(400)])
    far = slice(8, None)  # beyond the data, where they differ at all
    np.testing.assert_allclose(
        np.corrcoef(ours[:, far].T), np.corrcoef(theirs[:, far].T), atol=0.15
    )
    np.testing.assert_allclose(ours.std(0)[far], theirs.std(0)[far], rtol=0.2)


def test_a_seed_gives_the_same_world_whatever_stands_beside_it(model):
    joint = model.joint(POOL)
    alone, beside = joint.latent([7]), joint.latent([3, 7, 9])
    np.testing.assert_allclose(alone[0], beside[1], rtol=1e-12)
    assert not np.allclose(beside[0], beside[1])


def test_noise_depends_on_world_question_and_replicate_alone(model):
    joint = model.joint(POOL)
    rows = np.array([4, 2, 4])
    noise = joint.noise([1, 1, 1], rows, np.array([0, 0, 1]))
    again = joint.noise([1, 1], rows[::-1][1:], np.array([0, 0]))
    np.testing.assert_array_equal(noise[[1, 0]], again)
    assert not np.any(noise[0] == noise[2])


def test_a_question_outside_of_the_pool_is_refused(model):
    world = model.joint(POOL.take([0, 1])).world(0)
    with pytest.raises(NotFoundError, match="answers the questions of its pool"):
        world.truth(POOL)


def test_a_pool_that_is_empty_or_too_large_is_refused(model):
    with pytest.raises(InvalidInputError, match="got 0"):
        model.joint(POOL.take([]))
    with pytest.raises(InvalidInputError, match="got 5000"):
        model.joint(POOL.take([0] * 5000))
