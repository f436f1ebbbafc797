"""Many campaigns at once are the same campaigns as one by one."""

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from labwm.errors import IllegalTransitionError, InvalidInputError
from labwm.space.questions import questions_from
from labwm.virtual_lab import CAMPAIGN
from labwm.virtual_lab.campaign_env import CampaignEnv
from labwm.virtual_lab.campaign_task import CampaignTask
from labwm.virtual_lab.campaign_vector_env import CampaignVectorEnv
from labwm.world_model import fit
from tests.unit.virtual_lab.tasks import LEVELS, observations, protocol, task

N = 3
MODES = [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP]


def learnt_task(**changes: object) -> CampaignTask:
    """The default model, which has a joint posterior, unlike the small linear one."""
    own = changes.get("protocol", protocol())
    assert isinstance(own, type(protocol()))
    pool = questions_from(own, [{"x": x} for x in LEVELS])
    model = fit(observations(8), own, seed=0)
    settings = {"protocol": own, "pool": pool, "budget": 5, **changes}
    return CampaignTask(model=model, **settings)  # type: ignore[arg-type]


def assert_same(ours: object, theirs: object, name: str) -> None:
    if isinstance(theirs, dict):
        assert isinstance(ours, dict)
        assert set(ours) == set(theirs), name
        for key, value in theirs.items():
            assert_same(ours[key], value, f"{name}.{key}")
    elif np.asarray(theirs).dtype == object and isinstance(
        next((v for v in theirs if v is not None), None), dict
    ):
        for mine, other in zip(ours, theirs, strict=True):
            assert (mine is None) == (other is None), name
            if other is not None:
                assert_same(mine, other, name)
    elif np.asarray(theirs).dtype.kind == "f":
        np.testing.assert_allclose(ours, theirs, rtol=1e-7, atol=1e-9, err_msg=name)
    else:
        np.testing.assert_array_equal(ours, theirs, err_msg=name)


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.value)
@pytest.mark.parametrize(
    "changes",
    [{}, {"failure_rate": 0.4}, {"goal": 2.0}],
    ids=["plain", "failures", "goal"],
)
@pytest.mark.parametrize("make", [task, learnt_task], ids=["linear", "default"])
def test_it_plays_what_single_environments_play(make, changes, mode: AutoresetMode):
    own = make(**changes)
    ours = CampaignVectorEnv(own, N, autoreset_mode=mode)
    theirs = SyncVectorEnv([lambda: CampaignEnv(own)] * N, autoreset_mode=mode)
    assert_same(ours.reset(seed=5)[0], theirs.reset(seed=5)[0], "reset")
    rng = np.random.default_rng(1)
    for _ in range(14):
        actions = rng.integers(len(LEVELS), size=N)
        mine, other = ours.step(actions), theirs.step(actions)
        for name, a, b in zip(
            ("observation", "reward", "terminated", "truncated"),
            mine,
            other,
            strict=False,
        ):
            assert_same(a, b, name)
        told = {k: v for k, v in other[4].items() if k in mine[4]}
        assert set(other[4]) == set(told)
        for key in ("value", "budget_left", "truncation_reason", "cost", "final_obs"):
            if key in told:
                assert_same(mine[4][key], told[key], key)
                assert_same(mine[4][f"_{key}"], told[f"_{key}"], f"_{key}")


def test_gymnasium_makes_it():
    made = gymnasium.make_vec(CAMPAIGN, num_envs=2, task=task())
    made.reset(seed=0)
    observation, reward, *_ = made.step(np.array([1, 2]))
    assert observation in made.observation_space
    assert reward.shape == (2,)


def test_a_kind_of_world_lasts_until_the_next_reset():
    env = CampaignVectorEnv(task(table=observations(12)), 2)
    env.reset(seed=0, options={"world": "lookup"})
    for _ in range(8):  # past the end of the first episodes
        *_, info = env.step(np.array([3, 3]))
    assert set(info["world"]) == {"lookup"}
    *_, info = env.reset()
    assert set(info["world"]) == {"posterior_draw"}


def test_some_environments_begin_anew_on_request():
    env = CampaignVectorEnv(task(), 2, autoreset_mode=AutoresetMode.DISABLED)
    env.reset(seed=0)
    env.step(np.array([1, 2]))
    seen, _ = env.reset(options={"reset_mask": np.array([True, False])})
    assert seen["step"].ravel().tolist() == [0, 1]


def test_an_ended_episode_takes_no_step_where_nothing_begins_the_next():
    env = CampaignVectorEnv(task(budget=1), 2, autoreset_mode=AutoresetMode.DISABLED)
    with pytest.raises(IllegalTransitionError, match="Call reset first"):
        env.step(np.array([0, 0]))
    env.reset(seed=0)
    env.step(np.array([0, 0]))
    with pytest.raises(IllegalTransitionError, match="2 that have ended"):
        env.step(np.array([0, 0]))


@pytest.mark.parametrize(
    "actions",
    [np.array([0]), np.array([0, 12]), np.array([-1, 0]), np.array([0.0, 1.0])],
    ids=["too few", "too high", "negative", "no whole numbers"],
)
def test_an_action_that_is_no_row_is_refused(actions: np.ndarray):
    env = CampaignVectorEnv(task(), 2)
    env.reset(seed=0)
    with pytest.raises(InvalidInputError, match="rows of the pool, 0 to 11"):
        env.step(actions)


@pytest.mark.parametrize(
    ("reset", "words"),
    [
        ({"seed": [1]}, "one for each of 2"),
        ({"options": {"wrold": "lookup"}}, "wrold"),
        ({"options": {"world": "dream"}}, "A world is one of"),
        ({"options": {"reset_mask": np.array([1, 0])}}, "2 booleans"),
        (
            {"options": {"reset_mask": np.array([True, False]), "world": "lookup"}},
            "one kind of world",
        ),
    ],
)
def test_a_wrong_reset_is_refused(reset: dict, words: str):
    env = CampaignVectorEnv(task(table=observations()), 2)
    with pytest.raises(InvalidInputError, match=words):
        env.reset(**reset)


def test_no_environment_is_refused():
    with pytest.raises(InvalidInputError, match="one environment or more"):
        CampaignVectorEnv(task(), 0)
