"""Several readouts by one process, where one tells about another."""

import numpy as np
import pytest

from labwm import scores
from labwm.schema import Protocol
from labwm.space.questions import Observations, Questions
from labwm.world_model import fit, load_model, save_model
from tests.unit.world_model.assays import (
    dose_assay,
    dose_questions,
    dose_response,
    observed,
    two_numbers,
)

N, N_DEAR = 60, 12
"""Experiments that gave the cheap readout, and those that gave the dear one too."""


def two_readouts() -> Protocol:
    plain = two_numbers()
    dear = plain.readouts[0].model_copy(update={"name": "dear"})
    return plain.model_copy(update={"readouts": (*plain.readouts, dear)})


def truth(questions: Questions, slope: float) -> np.ndarray:
    heat = (np.asarray(questions.columns["temperature"], float) - 20) / 40
    return slope * dose_response(questions, noise=0.0, seed=0) + 0.3 * heat


def assay(slope: float, *, seed: int = 0) -> Observations:
    rows = dose_assay(N, seed=seed)
    rng = np.random.default_rng(seed + 50)
    values = np.concatenate([rows.values, np.full((N, 1), np.nan)], axis=1)
    noise = 0.02 * rng.normal(size=N_DEAR)
    values[:N_DEAR, 1] = truth(rows.questions, slope)[:N_DEAR] + noise
    return observed(rows.questions, values, "signal", "dear")


def alone(rows: Observations) -> Observations:
    part = rows.take(np.arange(N_DEAR))
    return observed(part.questions, part.values[:, 1], "dear")


@pytest.mark.parametrize("slope", [2.0, -2.0], ids=["rising", "falling"])
def test_a_dear_readout_learns_from_a_cheap_one(slope: float):
    rows, asked = assay(slope), dose_questions(200, seed=7)
    model = fit(rows, two_readouts())
    (dear,) = (r for r in two_readouts().readouts if r.name == "dear")
    single = fit(alone(rows), two_numbers().model_copy(update={"readouts": (dear,)}))
    shared, own = model.predict(asked), single.predict(asked)
    y = truth(asked, slope)
    assert scores.rmse(y, shared.mean[:, 1]) < 0.6 * scores.rmse(y, own.mean[:, 0])
    assert model.is_shared
    assert (shared.sd > 0).all()
    assert any("the other readouts tell about it" in n for n in model.card.notes)
    low, high = shared.interval(0.9)
    assert np.mean((low[:, 1] <= y) & (y <= high[:, 1])) > 0.7


def test_unrelated_readouts_are_left_alone():
    rows = dose_assay(40)
    rng = np.random.default_rng(3)
    values = np.concatenate([rows.values, rng.normal(size=(40, 1))], axis=1)
    values[:25, 1] = np.nan
    model = fit(observed(rows.questions, values, "signal", "dear"), two_readouts())
    assert not model.is_shared


def test_readouts_that_are_never_missing_are_left_alone():
    rows = dose_assay(20)
    values = np.concatenate([rows.values, 2 * rows.values], axis=1)
    model = fit(observed(rows.questions, values, "signal", "dear"), two_readouts())
    assert not model.is_shared


def test_worlds_of_shared_readouts_follow_what_is_predicted():
    model = fit(assay(-2.0), two_readouts())
    asked = dose_questions(3, seed=8)
    zero = np.zeros(3, np.int64)
    drawn = np.stack([model.draw_world(s).outcome(asked, zero) for s in range(300)])
    said = model.predict(asked)
    np.testing.assert_allclose(drawn.mean(0), said.mean, atol=0.25 * said.sd.max())
    np.testing.assert_allclose(drawn.std(0), said.sd, rtol=0.25)


def test_new_cheap_values_teach_about_the_dear_readout():
    rows = assay(2.0)
    first = rows.take(np.arange(40))
    model = fit(first, two_readouts())
    assert model.is_shared
    told = model.condition_on(rows.take(np.arange(40, N)))
    asked = rows.questions.take(np.arange(40, N))
    before, after = (m.predict(asked) for m in (model, told))
    assert after.epistemic[:, 1].mean() < before.epistemic[:, 1].mean()
    assert (
        len(told.keys[1]) == len(set(told.keys[1])) == len(told.surrogates[1].targets)
    )


def test_a_saved_shared_model_is_the_same(tmp_path):
    model = fit(assay(2.0), two_readouts())
    save_model(model, tmp_path / "m")
    asked = dose_questions(5, seed=2)
    again = load_model(tmp_path / "m")
    np.testing.assert_array_equal(again.predict(asked).mean, model.predict(asked).mean)
    np.testing.assert_array_equal(
        again.draw_world(3).truth(asked), model.draw_world(3).truth(asked)
    )
