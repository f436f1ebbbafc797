"""Noise that follows the mean, and tables that test a fit's nerves."""

from dataclasses import replace

import numpy as np
import pytest

from labwm.space.questions import Observations
from labwm.world_model import fit, load_model, save_model
from tests.unit.world_model.assays import (
    dose_assay,
    dose_questions,
    dose_response,
    two_numbers,
)


def growing_noise(n: int, *, seed: int = 0) -> Observations:
    """The deviation of a measurement grows tenfold over the range of the means."""
    rows = dose_assay(n, noise=0.0, seed=seed)
    noise = true_noise(rows.values[:, 0])
    drawn = noise * np.random.default_rng(seed + 7).normal(size=n)
    return replace(rows, values=rows.values + drawn[:, None])


def true_noise(mean: np.ndarray) -> np.ndarray:
    return 0.03 * np.exp(0.9 * (mean + 1.0))


def test_noise_that_grows_with_the_mean_is_found():
    model = fit(growing_noise(150), two_numbers())
    assert model.surrogates[0].noise_slope > 0.5
    asked = dose_questions(300, seed=5)
    truth = true_noise(dose_response(asked, noise=0.0, seed=0))
    said = model.predict(asked).aleatoric_sd[:, 0]
    assert np.median(np.abs(np.log(said / truth))) < np.log(1.4)
    assert np.corrcoef(np.log(said), np.log(truth))[0, 1] > 0.8
    assert any("noise follows the mean" in note for note in model.card.notes)


def test_intervals_hold_where_noise_is_small_and_where_it_is_large():
    model = fit(growing_noise(150), two_numbers())
    asked = dose_questions(1500, seed=6)
    mean = dose_response(asked, noise=0.0, seed=0)
    noise = true_noise(mean) * np.random.default_rng(1).normal(size=1500)
    low, high = model.predict(asked).interval(0.9)
    inside = (low[:, 0] <= mean + noise) & (mean + noise <= high[:, 0])
    for half in (mean < np.median(mean), mean >= np.median(mean)):
        assert 0.8 < inside[half].mean() < 0.98


def test_constant_noise_stays_constant():
    models = [fit(dose_assay(80, seed=s), two_numbers()) for s in range(4)]
    assert [m.surrogates[0].noise_slope for m in models].count(0.0) >= 3


def test_worlds_measure_with_the_noise_that_is_stated():
    model = fit(growing_noise(150), two_numbers())
    asked = dose_questions(4, seed=9)
    drawn = np.stack(
        [model.draw_world(3).outcome(asked, np.full(4, r)) for r in range(150)]
    )
    np.testing.assert_allclose(
        drawn.std(0), model.predict(asked).aleatoric_sd, rtol=0.25
    )


def test_new_rows_and_saving_keep_the_slope(tmp_path):
    model = fit(growing_noise(100), two_numbers())
    told = model.condition_on(growing_noise(10, seed=3))
    assert told.surrogates[0].noise_slope == model.surrogates[0].noise_slope
    save_model(told, tmp_path / "m")
    asked = dose_questions(4, seed=9)
    again = load_model(tmp_path / "m").predict(asked)
    np.testing.assert_array_equal(again.aleatoric, told.predict(asked).aleatoric)


@pytest.mark.parametrize("recipe", ["default", "explore"])
def test_five_rows_of_one_column_are_enough(recipe: str):
    protocol = two_numbers()
    one = protocol.model_copy(update={"parameters": protocol.parameters[:1]})
    rows = dose_assay(5)
    columns = {"dose": rows.questions.columns["dose"]}
    rows = replace(rows, questions=replace(rows.questions, columns=columns))
    low, high = fit(rows, one, recipe=recipe).predict(rows.questions).interval(0.9)
    assert np.isfinite(low).all()
    assert np.mean((low <= rows.values) & (rows.values <= high)) >= 0.8


def test_an_outlier_moves_the_rest_little():
    rows = dose_assay(60)
    spoilt = rows.values.copy()
    spoilt[17] += 30 * rows.values.std()
    asked = dose_questions(200, seed=3)
    truth = dose_response(asked, noise=0.0, seed=0)
    told = fit(replace(rows, values=spoilt), two_numbers()).predict(asked)
    error = np.abs(told.mean[:, 0] - truth)
    assert np.median(error) < 0.5 * rows.values.std()
    low, high = told.interval(0.9)
    assert np.mean((low[:, 0] <= truth) & (truth <= high[:, 0])) > 0.8
