"""A procedure as an environment, in worlds of the model and in the real lab."""

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from labwm.data.procedures import episodes_of, references_of
from labwm.errors import IllegalTransitionError, InvalidInputError, NotFoundError
from labwm.labs.procedure_lab import ProcedureLab
from labwm.schema.procedure import MENU
from labwm.virtual_lab import PROCEDURE, PROCEDURE_LAB, register
from labwm.virtual_lab.procedure_env import ProcedureEnv, ProcedureTask
from labwm.virtual_lab.procedure_practice import real_task, virtual_task
from labwm.virtual_lab.procedure_sources import LabSource
from tests.procedures import log, model, unseen

STOP = len(MENU)


def number(kind: str, **arguments: float) -> int:
    """Return the action of an operation."""
    for row, operation in enumerate(MENU):
        if operation.kind == kind and all(
            getattr(operation, name) == value for name, value in arguments.items()
        ):
            return row
    raise AssertionError(kind)


PATH = (number("embed", n=2), number("mmff"), number("gfn2"), number("relax", k=5))


def virtual(**changed: object) -> ProcedureTask:
    task = virtual_task(model(), unseen()[:5], budget_seconds=5.0)
    return ProcedureTask(**(vars(task) | changed))


def real() -> ProcedureTask:
    small = sorted(unseen(), key=len)[:2]
    return real_task(model(), episodes_of(log(), small), budget_seconds=5.0)


def play(env: ProcedureEnv, actions=PATH, **reset: object) -> list[tuple]:
    env.reset(**reset)
    return [env.step(np.int64(action)) for action in actions]


def outcomes(steps: list[tuple]) -> list[dict]:
    return [info["outcome"] for *_, info in steps]


@pytest.mark.parametrize(
    ("name", "task"),
    [(PROCEDURE, virtual), (PROCEDURE_LAB, real)],
    ids=["world", "lab"],
)
def test_it_passes_gymnasiums_checker(name: str, task):
    register()
    check_env(gymnasium.make(name, task=task()).unwrapped)


def test_every_reset_after_a_seed_is_determined_and_another_episode():
    first, second = ProcedureEnv(virtual()), ProcedureEnv(virtual())
    episodes = [
        [outcomes(play(env, seed=7 if i == 0 else None)) for i in range(3)]
        for env in (first, second)
    ]
    assert episodes[0] == episodes[1]
    assert episodes[0][0] != episodes[0][1] != episodes[0][2]


def test_one_molecule_is_another_in_another_world():
    env = ProcedureEnv(virtual())
    options = {"molecule": unseen()[0]}
    first = outcomes(play(env, seed=1, options=options))
    second = outcomes(play(env, options=options))
    assert first[-1]["readouts"]["gap"] != second[-1]["readouts"]["gap"]


@pytest.mark.parametrize("task", [virtual, real], ids=["world", "lab"])
def test_rewards_are_what_their_terms_add_up_to_and_the_error_is_a_potential(task):
    env = ProcedureEnv(task())
    _, start = env.reset(seed=3)
    steps = [env.step(np.int64(action)) for action in PATH]
    for _, reward, *_, info in steps:
        assert reward == pytest.approx(sum(info["reward_terms"].values()))
    gained = sum(info["reward_terms"]["error"] for *_, info in steps)
    fallen = (start["error"] - steps[-1][-1]["error"]) / env.task.error_scale
    assert gained == pytest.approx(fallen)
    assert steps[-1][-1]["error"] < start["error"]
    assert all(info["cost"] > 0 for *_, info in steps)


def test_the_error_in_the_lab_is_measured_against_the_reference():
    task = real()
    env = ProcedureEnv(task)
    *_, info = play(env, seed=0)[-1]
    gap = info["outcome"]["readouts"]["gap"]
    reference = references_of(log())[info["molecule"]]
    assert info["error"] == pytest.approx(abs(gap - reference))
    assert info["origin"] == "computed"
    without = LabSource(ProcedureLab(), {}, 1.0)
    with pytest.raises(NotFoundError, match="reference"):
        without.begin("CO", 1)


def test_an_action_that_may_not_follow_is_masked_does_nothing_and_costs():
    env = ProcedureEnv(virtual())
    seen, _ = env.reset(seed=0)
    relax = number("relax", k=5)
    assert seen["action_mask"][relax] == 0
    assert seen["action_mask"][STOP] == 1
    after, reward, terminated, truncated, info = env.step(np.int64(relax))
    assert reward == -env.task.illegal_penalty
    assert info["outcome"] is None
    assert "may follow" in info["invalid_reason"]
    assert not terminated
    assert not truncated
    assert np.array_equal(after["readouts"], seen["readouts"])


def test_the_mask_says_what_may_follow():
    env = ProcedureEnv(virtual())
    env.reset(seed=0)
    for action in PATH:
        assert env.action_masks()[action]
        env.step(np.int64(action))
    legal = env.action_masks()
    assert not legal[number("embed", n=2)]
    assert legal[number("solvation")]


def test_episodes_end_for_a_reason():
    committed = play(ProcedureEnv(virtual()), (*PATH, STOP), seed=0)[-1]
    assert committed[2:4] == (True, False)
    assert committed[4]["termination_reason"] == "committed"
    won = play(ProcedureEnv(virtual(goal=50.0)), PATH[:1], seed=0)[-1]
    assert won[4]["termination_reason"] == "goal"
    poor = play(ProcedureEnv(virtual(budget_seconds=1e-6)), PATH[:1], seed=0)[-1]
    assert poor[2:4] == (False, True)
    assert poor[4]["truncation_reason"] == "budget"
    short = play(ProcedureEnv(virtual(max_operations=2)), PATH[:2], seed=0)[-1]
    assert short[4]["truncation_reason"] == "operations"


def test_an_episode_that_ended_or_never_began_takes_no_step():
    env = ProcedureEnv(virtual())
    with pytest.raises(IllegalTransitionError, match="reset"):
        env.step(np.int64(0))
    play(env, (STOP,), seed=0)
    with pytest.raises(IllegalTransitionError, match="ended"):
        env.step(np.int64(0))


@pytest.mark.parametrize("task", [virtual, real], ids=["world", "lab"])
def test_a_snapshot_a_fork_and_a_what_if_go_on_the_same(task):
    env = ProcedureEnv(task())
    play(env, PATH[:2], seed=5)
    kept = env.snapshot()
    imagined = env.what_if(PATH[2:])
    fork = env.fork()
    gone = [env.step(np.int64(action)) for action in PATH[2:]]
    again = [fork.step(np.int64(action)) for action in PATH[2:]]
    env.restore(kept)
    back = [env.step(np.int64(action)) for action in PATH[2:]]

    def gaps(steps):
        return [one["readouts"]["gap"] for one in outcomes(steps)]

    assert gaps(gone) == gaps(again) == gaps(back)
    assert [one.outcome.readouts.gap for one in imagined] == gaps(gone)


def test_a_wrong_action_reset_or_task_is_refused():
    env = ProcedureEnv(virtual())
    env.reset(seed=0)
    with pytest.raises(InvalidInputError, match="action_mask"):
        env.step(np.int64(STOP + 1))
    with pytest.raises(InvalidInputError, match="option"):
        env.reset(options={"world": "mean"})
    with pytest.raises(InvalidInputError, match="molecule of the task"):
        env.reset(options={"molecule": "C"})
    with pytest.raises(InvalidInputError, match="above zero"):
        virtual(budget_seconds=0.0)
