"""Earlier assays lead where they are borne out, and are left where they are not."""

from dataclasses import replace

import numpy as np
import pytest

from labwm.design.propose import propose
from labwm.design.relatedness import relatedness
from labwm.design.sources import refuse_unusable, source_from
from labwm.design.transfer import fit_with_sources, leaning_of
from labwm.errors import InvalidInputError, NotEnoughDataError
from labwm.world_model import fit
from tests.unit.design.conftest import grid, measured, yield_of

BEST = 14  # ligand b, 0.2 mol/L, 100 degrees
UNITS = (np.array([50.0, 50.0]), np.array([20.0, 20.0]))


def told(protocol, worth=yield_of, shift=0.0):
    table = [
        m.model_copy(
            update={
                "readouts": {
                    "yield": m.readouts["yield"].model_copy(
                        update={"value": worth(m.conditions) + shift}
                    )
                }
            }
        )
        for m in map(measured, grid(protocol))
    ]
    return tuple(table)


@pytest.fixture
def twin(protocol):
    return source_from("twin", protocol, told(protocol, shift=-7.0))


@pytest.fixture
def opposite(protocol):
    return source_from("opposite", protocol, told(protocol, lambda c: -yield_of(c)))


def test_what_is_measured_decides_whom_to_follow():
    rng = np.random.default_rng(0)
    z = rng.normal(size=(12, 2))
    found = relatedness(50 + 18 * z[:, 0], z, UNITS)
    assert found.weight[0] > 0.9
    assert found.share > 0.99
    assert found.slope[0] == pytest.approx(18, rel=0.3)
    assert abs(found.slope[1]) < 3


def test_a_source_that_ranks_the_wrong_way_round_loses_its_say():
    rng = np.random.default_rng(1)
    z = rng.normal(size=(12, 2))
    before = relatedness(np.empty(0), np.empty((0, 2)), UNITS)
    found = relatedness(50 - 18 * z.mean(axis=1) * 1.4, z, UNITS)
    assert before.share == pytest.approx(0.8)
    assert found.share < 0.5 * before.share
    assert np.all(np.abs(found.slope) < 1)


def test_values_and_sources_in_another_unit_give_the_same(protocol):
    rng = np.random.default_rng(2)
    z = rng.normal(size=(6, 2))
    y = 50 + 10 * rng.normal(size=6)
    here = relatedness(y, z, UNITS)
    there = relatedness(y / 100, z, (UNITS[0] / 100, UNITS[1] / 100))
    assert there.slope == pytest.approx(here.slope / 100)
    assert there.share == pytest.approx(here.share)


def test_the_first_experiment_is_what_a_source_found_best(state_of, twin):
    first = [
        propose(replace(state_of(seed=seed), sources=(twin,)), n=1).choices[0]
        for seed in range(6)
    ]
    assert BEST in {choice.row for choice in first}
    assert all("1 earlier assays" in choice.reason for choice in first)
    worth = [yield_of(grid(state_of().protocol)[choice.row]) for choice in first]
    assert min(worth) > 50


def test_a_start_alternates_between_sources_and_the_space(state_of, twin):
    batch = propose(replace(state_of(), sources=(twin,)), n=4)
    led = ["earlier assays" in choice.reason for choice in batch.choices]
    assert batch.policy == "sources"
    assert led == [True, False, True, False]
    assert len({choice.row for choice in batch.choices}) == 4


def test_a_start_keeps_hard_to_change_values(state_of, hot_plate, twin):
    state = replace(state_of(protocol=hot_plate), sources=(twin,))
    rows = [choice.row for choice in propose(state, n=4).choices]
    assert len({state.pool.row(row)["temperature"] for row in rows}) == 1


def test_a_model_with_a_related_source_predicts_better(state_of, twin):
    state = replace(state_of(done=(0, 10, 20)), sources=(twin,))
    truth = np.array([yield_of(row) for row in grid(state.protocol)])
    alone = fit(state.observed, state.protocol, recipe="explore", seed=0)

    def miss(model):
        return np.abs(model.predict(state.pool).mean[:, 0] - truth).mean()

    assert miss(fit_with_sources(state)) < 0.7 * miss(alone)


def test_a_misleading_source_does_not_move_the_model_far(state_of, opposite):
    state = replace(state_of(done=(0, 4, 10, 13, 20, 25)), sources=(opposite,))
    (judged,) = leaning_of(state).of_objective
    assert judged.share < 0.5
    assert abs(judged.slope[0]) < 0.2 * leaning_of(state).opinions.scale[0, 0]
    note = fit_with_sources(state).card.notes[-1]
    assert "opposite" in note
    assert "leans on earlier assays with probability" in note


def test_worlds_and_more_rows_keep_the_expectation(state_of, twin):
    state = replace(state_of(done=(0, 10, 20)), sources=(twin,))
    model = fit_with_sources(state)
    assert model.card.data_sha256 == state.observed.digest()
    drawn = np.mean(
        [model.draw_world(seed).truth(state.pool)[:, 0] for seed in range(200)], axis=0
    )
    stated = model.predict(state.pool)
    assert drawn == pytest.approx(stated.mean[:, 0], abs=0.5 * stated.sd.max())
    more = state_of(done=(13,)).observed
    grown = model.condition_on(more)
    assert grown.card.n_rows == 4
    there = grown.predict(more.questions).mean[0, 0]
    assert abs(there - more.values[0, 0]) < abs(
        model.predict(more.questions).mean[0, 0] - more.values[0, 0]
    )
    told_back = model.under_feedback({"yield": np.array([3.0, -3.0, 2.5])})
    assert np.all(told_back.predict(state.pool).sd > 0)


def test_sources_that_say_nothing_or_the_answers_are_refused(protocol, twin):
    with pytest.raises(NotEnoughDataError, match="at least 10 values"):
        source_from("few", protocol, told(protocol)[:9])
    with pytest.raises(InvalidInputError, match="each counts once"):
        refuse_unusable((twin, replace(twin, name="again")), None)
    with pytest.raises(InvalidInputError, match="the table that is searched"):
        refuse_unusable((twin,), twin.sha256)
