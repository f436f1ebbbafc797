"""Curves as an environment in which agents choose when to read and when to stop."""

from dataclasses import replace
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.utils.env_match import check_environments_match

from labwm.errors import IllegalTransitionError, InvalidInputError, ProtocolError
from labwm.schema import Conditions, Protocol
from labwm.space.questions import questions_from
from labwm.virtual_lab import KINETICS, register
from labwm.virtual_lab.enzyme_kinetics import (
    END,
    enzyme_mechanism,
    enzyme_protocol,
    enzyme_task,
)
from labwm.virtual_lab.kinetics_env import KineticsEnv
from labwm.virtual_lab.kinetics_task import KineticsTask
from labwm.world_model.dynamics import CurveModel, fit_curves
from labwm.world_model.dynamics.mechanism import (
    Constant,
    MassAction,
    Mechanism,
    Reaction,
)
from tests.unit.world_model.curves import drying, protocol

N = 30
WAITS = {1.0: N, 3.0: N + 1, END: N + 2}
STOP = N + 3


def task(**changes: Any) -> KineticsTask:
    return replace(enzyme_task(), **changes)


def play(env: KineticsEnv, actions: list[int], **reset: Any) -> list[tuple]:
    env.reset(**reset)
    return [env.step(np.int64(action)) for action in actions]


def readouts(steps: list[tuple]) -> list[float]:
    return [info["readouts"]["absorbance"] for *_, info in steps if info["readouts"]]


@pytest.fixture(scope="module")
def learnt() -> CurveModel:
    return fit_curves(drying(1), protocol())


@pytest.fixture
def drying_task(learnt: CurveModel) -> KineticsTask:
    rows: list[Conditions] = [{"heat": heat} for heat in (20.0, 45.0, 70.0)]
    return KineticsTask(
        protocol=protocol(),
        pool=questions_from(protocol(), rows),
        models=(learnt,),
        end=30.0,
        waits=(5.0, 30.0),
        time_limit=200.0,
        n_reads=6,
    )


def test_it_passes_gymnasiums_checker():
    env = gymnasium.make(KINETICS)
    check_env(env.unwrapped)


def test_an_environment_of_a_learnt_model_passes_gymnasiums_checker(drying_task):
    check_env(gymnasium.make(KINETICS, task=drying_task).unwrapped)


def test_registering_again_is_no_harm():
    register()
    assert KINETICS in gymnasium.registry


def test_two_environments_of_one_task_match():
    check_environments_match(
        KineticsEnv(task()), KineticsEnv(task()), num_steps=40, seed=3
    )


def test_every_reset_after_a_seed_is_determined_and_plays_another_world(drying_task):
    played = []
    for _ in range(2):
        env = KineticsEnv(drying_task)
        steps = [play(env, [0, 4], seed=7 if i == 0 else None) for i in range(3)]
        played.append([[info["readouts"] for *_, info in one] for one in steps])
    assert played[0] == played[1]
    assert played[0][0] != played[0][1] != played[0][2]


def test_reads_are_keyed_by_conditions_replicate_and_time_not_by_order():
    env = KineticsEnv(task())
    there = readouts(play(env, [2, WAITS[3.0], 9, WAITS[1.0]], seed=1))
    back = readouts(play(env, [9, WAITS[1.0], 2, WAITS[3.0]], seed=1))
    assert there == back[::-1]
    again = readouts(play(env, [2, WAITS[3.0], 2, WAITS[3.0]], seed=1))
    assert again[0] == there[0] != again[1]


def test_curves_of_one_draw_go_on_where_they_were(drying_task):
    env = KineticsEnv(drying_task)
    steps = play(env, [2, 3, 3, 3], seed=0)
    values = [info["readouts"]["mass"] for *_, info in steps[1:]]
    assert values == sorted(values, reverse=True)


def test_the_mean_world_has_no_noise(drying_task, learnt):
    env = KineticsEnv(drying_task)
    first = play(env, [1, 4, 1, 4], options={"world": "posterior_mean"})
    values = [info["readouts"]["mass"] for *_, info in first if info["readouts"]]
    said = learnt.forecasts(drying_task.pool.take([1]))[0].predict([30.0])
    assert values[0] == values[1] == pytest.approx(float(said.mean[0, 0]))


def test_the_terms_add_up_to_the_reward_and_the_gains_to_the_value():
    env = KineticsEnv(task())
    steps = play(env, [3, WAITS[1.0], WAITS[3.0], STOP, 28, WAITS[END]], seed=2)
    for _, reward, _, _, info in steps:
        assert reward == pytest.approx(sum(info["reward_terms"].values()))
    gains = sum(info["reward_terms"]["utility_gain"] for *_, info in steps)
    assert gains == pytest.approx(steps[-1][-1]["value"])
    assert [info["cost"] for *_, info in steps] == [5.0, 1.0, 1.0, 0.0, 5.0, 1.0]
    assert [info["duration"] for *_, info in steps] == [2.0, 1.0, 3.0, 0.0, 2.0, END]


def test_a_curve_is_read_at_its_end_and_ends_there():
    env = KineticsEnv(task())
    *_, (seen, *_, info) = play(env, [3, WAITS[3.0], WAITS[END]], seed=0)
    assert seen["running"].tolist() == [-1]
    assert seen["history_time"][:2].tolist() == [3.0 / END, 1.0]
    assert info["duration"] == END - 3.0


def test_waiting_without_a_curve_passes_time_and_is_masked():
    env = KineticsEnv(task())
    seen, _ = env.reset(seed=0)
    assert seen["action_mask"][N:STOP].tolist() == [0, 0, 0]
    *_, info = env.step(np.int64(WAITS[3.0]))
    assert (info["readouts"], info["clock"]) == ({}, 3.0)
    seen, *_ = env.step(np.int64(0))
    assert seen["action_mask"].all()


def test_stopping_without_a_curve_ends_the_episode():
    env = KineticsEnv(task())
    steps = play(env, [0, STOP, STOP], seed=0)
    assert [step[2] for step in steps] == [False, False, True]
    assert steps[-1][-1]["end_reason"] == "stopped"
    with pytest.raises(IllegalTransitionError, match="one that has ended"):
        env.step(np.int64(0))


def test_spent_reads_and_spent_time_truncate_with_their_reason():
    reads = play(KineticsEnv(task(n_reads=2)), [0, WAITS[1.0], WAITS[1.0]])[-1]
    assert reads[2:4] == (False, True)
    assert reads[-1]["truncation_reason"] == "budget"
    time = play(KineticsEnv(task(time_limit=10.0)), [0, WAITS[END]])[-1]
    assert time[-1]["truncation_reason"] == "time"


def test_reaching_the_goal_terminates():
    env = KineticsEnv(task(goal=0.1))
    *_, last = play(env, [28, WAITS[END]], seed=0)
    assert last[2:4] == (True, False)
    assert last[-1]["end_reason"] == "goal"


def test_a_snapshot_goes_on_as_if_nothing_had_happened_since():
    env = KineticsEnv(task())
    play(env, [4, WAITS[1.0]], seed=5)
    kept = env.snapshot()
    there = env.step(np.int64(WAITS[3.0]))[-1]
    env.step(np.int64(7))
    env.reset()
    env.restore(kept)
    assert env.step(np.int64(WAITS[3.0]))[-1]["readouts"] == there["readouts"]


@pytest.mark.parametrize(
    ("changes", "error", "match"),
    [
        ({"mechanism": None}, InvalidInputError, "neither"),
        ({"waits": ()}, InvalidInputError, "a wait"),
        ({"time_limit": 0.0}, InvalidInputError, "time limit 0.0"),
        ({"protocol": protocol()}, ProtocolError, "'mass'"),
    ],
    ids=["nothing to play", "no waits", "no time", "another protocol"],
)
def test_tasks_that_cannot_be_played_are_refused(changes: dict, error, match: str):
    with pytest.raises(error, match=match):
        task(**changes)


def test_what_a_reset_or_a_step_does_not_know_is_refused():
    env = KineticsEnv(task())
    with pytest.raises(IllegalTransitionError, match="got none"):
        env.step(np.int64(0))
    with pytest.raises(InvalidInputError, match="'world'"):
        env.reset(options={"weather": 1})
    with pytest.raises(InvalidInputError, match="mechanistic"):
        env.reset(options={"world": "posterior_draw"})
    env.reset()
    with pytest.raises(InvalidInputError, match=f"below {STOP + 1}"):
        env.step(np.int64(STOP + 1))


def test_first_order_kinetics_are_those_of_the_textbook():
    mechanism = Mechanism(
        reactions=(Reaction({"a": 1}, {"b": 1}, MassAction(Constant(0.3))),),
        start={"a": "amount"},
        observed={"seen": {"b": 2.0}},
        noise_sd={},
    )
    times = np.array([0.0, 1.0, 5.0])
    seen = mechanism.course({"amount": 4.0}, 5.0)(times)
    np.testing.assert_allclose(seen[:, 0], 8.0 * -np.expm1(-0.3 * times), atol=1e-5)


def test_constants_grow_with_the_temperature_after_arrhenius():
    constant = Constant(2.0, energy=50.0)
    assert constant.at(25.0) == 2.0
    assert constant.at(35.0) == pytest.approx(2.0 * 1.9249, rel=1e-3)


def test_an_enzyme_conserves_matter_and_hot_is_fast_at_first():
    course = {
        celsius: enzyme_mechanism().course(
            {"substrate": 50.0, "temperature": celsius}, END
        )
        for celsius in (25.0, 50.0)
    }
    early, late = np.array([0.2]), np.array([END])
    assert course[50.0](early) > course[25.0](early)
    assert course[50.0](late) < course[25.0](late) <= 0.5


def test_mechanisms_that_name_what_is_not_there_are_refused():
    with pytest.raises(InvalidInputError, match="Did you mean 'a'"):
        Mechanism(
            reactions=(Reaction({"a": 1}, {"b": 1}, MassAction(Constant(1.0))),),
            start={"aa": 1.0},
            observed={},
            noise_sd={},
        )
    with pytest.raises(InvalidInputError, match="'substrate'"):
        enzyme_mechanism().course({"temperature": 25.0}, 1.0)


def test_the_shipped_protocol_is_one_of_curves():
    assert isinstance(enzyme_protocol(), Protocol)
