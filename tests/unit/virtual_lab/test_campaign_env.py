"""A campaign as an environment in which agents practise."""

import pickle

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.utils.env_match import check_environments_match

from labwm.errors import IllegalTransitionError, InvalidInputError, ProtocolError
from labwm.space.questions import questions_from
from labwm.virtual_lab import CAMPAIGN, register
from labwm.virtual_lab.campaign_env import CampaignEnv
from tests.unit.virtual_lab.tasks import LEVELS, observations, protocol, task


def play(env: CampaignEnv, actions: list[int], **reset: object) -> list[tuple]:
    env.reset(**reset)
    return [env.step(np.int64(action)) for action in actions]


def readouts(steps: list[tuple]) -> list[dict[str, float]]:
    return [info["readouts"] for *_, info in steps]


@pytest.mark.parametrize("failure_rate", [0.0, 0.5], ids="failures={}".format)
def test_it_passes_gymnasiums_checker(failure_rate: float):
    env = gymnasium.make(CAMPAIGN, task=task(failure_rate=failure_rate))
    check_env(env.unwrapped)


def test_registering_again_is_no_harm():
    register()
    register()
    assert CAMPAIGN in gymnasium.registry


def test_two_environments_of_one_task_match():
    check_environments_match(
        CampaignEnv(task()), CampaignEnv(task()), num_steps=40, seed=3
    )


def test_every_reset_after_a_seed_is_determined_and_plays_another_world():
    first, second = CampaignEnv(task()), CampaignEnv(task())
    episodes = [
        [play(env, [0, 5], seed=7 if i == 0 else None) for i in range(3)]
        for env in (first, second)
    ]
    values = [[readouts(steps) for steps in played] for played in episodes]
    assert values[0] == values[1]
    assert values[0][0] != values[0][1] != values[0][2]


def test_the_order_of_actions_changes_no_value():
    env = CampaignEnv(task())
    there = readouts(play(env, [2, 9, 4], seed=1))
    back = readouts(play(env, [4, 9, 2], seed=1))
    assert there == back[::-1]


def test_the_same_candidate_again_is_another_replicate_of_the_same_truth():
    env = CampaignEnv(task(budget=400))
    values = [r["y"] for r in readouts(play(env, [3] * 400, seed=0))]
    assert len(set(values)) == 400
    assert np.std(values) == pytest.approx(1.0, abs=0.15)


def test_episodes_follow_what_the_model_states():
    env = CampaignEnv(task())
    env.reset(seed=0)
    values = []
    for _ in range(1500):
        env.reset()
        *_, info = env.step(np.int64(11))
        values.append(info["readouts"]["y"])
    belief = env.task.belief
    low, high = belief.interval(0.9)
    held = np.mean((low[11, 0] <= values) & (values <= high[11, 0]))
    assert abs(held - 0.9) < 4 * np.sqrt(0.9 * 0.1 / 1500)


def test_the_terms_add_up_to_the_reward_and_the_gains_to_the_value():
    steps = play(CampaignEnv(task()), [0, 11, 5, 3, 11], seed=0)
    for _, reward, *_, info in steps:
        assert reward == pytest.approx(sum(info["reward_terms"].values()))
        assert info["reward_terms"]["cost"] == pytest.approx(-0.1 / 5)
    gains = [info["reward_terms"]["utility_gain"] for *_, info in steps]
    assert sum(gains) == pytest.approx(steps[-1][-1]["value"])


def test_dear_candidates_cost_more():
    costs = {
        "per_experiment": {"amount": 1, "currency": "EUR", "duration": "30 min"},
        "levels": {"x": {"11": {"price": 12}}},
    }
    env = CampaignEnv(task(protocol=protocol(costs=costs)))
    cheap, dear = play(env, [0, 11], seed=0)
    assert (cheap[-1]["cost"], dear[-1]["cost"]) == (1.0, 13.0)
    assert dear[-1]["duration"] == 1800.0
    ratio = dear[-1]["reward_terms"]["cost"] / cheap[-1]["reward_terms"]["cost"]
    assert ratio == pytest.approx(13.0)


def test_the_budget_truncates_with_a_reason():
    steps = play(CampaignEnv(task()), [0, 1, 2, 3, 4], seed=0)
    assert [step[2] for step in steps] == [False] * 5
    assert [step[3] for step in steps] == [False] * 4 + [True]
    reasons = [info["truncation_reason"] for *_, info in steps]
    assert reasons == [None] * 4 + ["budget"]
    assert steps[-1][-1]["budget_left"] == 0


def test_reaching_the_goal_terminates():
    steps = play(CampaignEnv(task(goal=1e-6, budget=1)), [11], seed=0)
    _, _, terminated, truncated, info = steps[0]
    assert (terminated, truncated, info["truncation_reason"]) == (True, False, None)


def test_the_observation_keeps_the_history_and_masks_what_was_measured():
    observation, *_, info = play(CampaignEnv(task()), [2, 7, 2], seed=0)[-1]
    assert observation["history_action"].tolist() == [2, 7, 2, -1, -1]
    assert observation["history_mask"].tolist() == [[1, 1]] * 3 + [[0, 0]] * 2
    assert np.flatnonzero(observation["action_mask"] == 0).tolist() == [2, 7]
    assert observation["action_mask"].tolist() == info["action_mask"].tolist()
    assert observation["step"].tolist() == [3]
    assert observation["budget_left"].tolist() == [pytest.approx(0.4)]
    env_task = task()
    natural = observation["history_value"] * env_task.scale + env_task.centre
    assert natural[2].tolist() == pytest.approx(list(info["readouts"].values()))


def test_failures_come_at_the_stated_rate_and_earn_nothing():
    env = CampaignEnv(task(failure_rate=0.3, budget=500))
    steps = play(env, [3] * 500, seed=0)
    has_failed = [info["has_failed"] for *_, info in steps]
    assert abs(np.mean(has_failed) - 0.3) < 4 * np.sqrt(0.3 * 0.7 / 500)
    i = has_failed.index(True)
    observation, _, _, _, info = steps[i]
    assert info["statuses"] == {"y": "failed", "z": "failed"}
    assert observation["history_mask"][i].tolist() == [0, 0]
    assert info["reward_terms"]["utility_gain"] == 0.0


def test_a_snapshot_goes_on_as_if_nothing_had_happened_since():
    env = CampaignEnv(task())
    play(env, [1], seed=0)
    snapshot = pickle.loads(pickle.dumps(env.snapshot()))
    after = [env.step(np.int64(a))[-1]["readouts"] for a in (8, 1)]
    following = readouts(play(env, [0, 0]))
    other = CampaignEnv(task())
    other.reset(seed=99)
    for target in (env, other):
        target.restore(snapshot)
        assert [target.step(np.int64(a))[-1]["readouts"] for a in (8, 1)] == after
        assert readouts(play(target, [0, 0])) == following


def test_the_mean_world_has_no_noise_and_the_lookup_world_plays_rows():
    rows = observations(3)
    env = CampaignEnv(task(table=rows))
    mean = readouts(play(env, [4, 4], seed=0, options={"world": "posterior_mean"}))
    assert mean[0] == mean[1]
    assert mean[0]["y"] == pytest.approx(env.task.belief.mean[4, 0])
    steps = play(env, [1, 4], seed=0, options={"world": "lookup"})
    assert readouts(steps)[0] == {
        "y": pytest.approx(rows.values[1, 0]),
        "z": pytest.approx(rows.values[1, 1]),
    }
    assert steps[1][-1]["statuses"] == {"y": "missing", "z": "missing"}


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"world": "posterior_drawn"}, "Did you mean 'posterior_draw'"),
        ({"wordl": "lookup"}, r"option 'world'; got \['wordl'\]"),
        ({"world": "lookup"}, "table of measured rows; got none"),
    ],
    ids=["kind", "option", "table"],
)
def test_a_reset_refuses_what_it_does_not_know(options: dict, match: str):
    with pytest.raises(InvalidInputError, match=match):
        CampaignEnv(task()).reset(options=options)


def test_a_step_needs_an_episode_and_a_row_of_the_pool():
    env = CampaignEnv(task(budget=1))
    with pytest.raises(IllegalTransitionError, match="got none"):
        env.step(np.int64(0))
    env.reset(seed=0)
    for action in (-1, len(LEVELS)):
        with pytest.raises(InvalidInputError, match="0 to 11"):
            env.step(np.int64(action))
    env.step(np.int64(0))
    with pytest.raises(IllegalTransitionError, match="has ended"):
        env.step(np.int64(0))


def test_an_empty_pool_a_missing_budget_and_curves_are_refused():
    with pytest.raises(InvalidInputError, match="pool of 0"):
        task(pool=questions_from(protocol(), []))
    with pytest.raises(InvalidInputError, match="budget of 0"):
        task(budget=0)
    over = {"name": "z", "kind": "curve", "over": {"name": "t"}}
    curve = protocol(readouts=[{"name": "y"}, over])
    with pytest.raises(ProtocolError, match="got the curve 'z'"):
        task(protocol=curve)


def test_without_a_task_it_plays_the_shipped_dyes_in_worlds_of_a_real_model():
    # The module in the name registers it: nothing has to be imported before.
    env = gymnasium.make("labwm.virtual_lab:labwm/Campaign-v0").unwrapped
    assert isinstance(env, CampaignEnv)
    first = readouts(play(env, [3, 70, 3], seed=0))
    assert first == readouts(play(env, [3, 70, 3], seed=0))
    assert set(first[0]) == {"gap", "octanol_water_dg"}
    other = readouts(play(env, [70, 3, 3], seed=0))
    assert [other[1], other[0], other[2]] == first
    assert readouts(play(env, [3])) != first[:1]
    low, high = env.task.belief.interval(0.999)
    for row, told in zip((3, 70), first, strict=False):
        values = np.array(list(told.values()))
        assert np.all((low[row] <= values) & (values <= high[row]))
