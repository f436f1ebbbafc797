"""Probabilities of success, learnt from what failed."""

from dataclasses import replace

import numpy as np
import pytest

from labwm import scores
from labwm.schema import Protocol, ReadoutKind, Status
from labwm.schema.prediction import prediction_of
from labwm.space.questions import Observations
from labwm.world_model import fit, load_model, save_model
from labwm.world_model.outcomes import success_of
from tests.unit.world_model.assays import (
    dose_assay,
    dose_questions,
    library,
    library_assay,
    two_numbers,
)


def failed_where(rows: Observations, is_bad: np.ndarray) -> Observations:
    values, statuses = rows.values.copy(), rows.statuses.copy()
    values[is_bad], statuses[is_bad] = np.nan, Status.FAILED
    return replace(rows, values=values, statuses=statuses)


def heat(questions) -> np.ndarray:
    return np.asarray(questions.columns["temperature"], float)


def hot_failures(n: int, *, seed: int = 0) -> Observations:
    rows = dose_assay(n, seed=seed)
    return failed_where(rows, heat(rows.questions) > 45)


def test_success_is_a_value_or_a_limit_and_failure_is_said():
    rows = dose_assay(6)
    values, statuses = rows.values.copy(), rows.statuses.copy()
    values[:2] = np.nan
    statuses[0], statuses[1] = Status.FAILED, Status.MISSING
    statuses[2] = Status.BELOW
    found = success_of(replace(rows, values=values, statuses=statuses))
    np.testing.assert_array_equal(found, [0, np.nan, 1, 1, 1, 1])


def test_a_region_that_fails_is_learnt():
    model = fit(hot_failures(40), two_numbers())
    asked = dose_questions(300, seed=9)
    truth, stated = heat(asked) <= 45, model.predict(asked).success
    base = np.full(300, truth.mean())
    assert scores.brier(truth, stated) < 0.2 * scores.brier(truth, base)
    assert stated[heat(asked) > 55].max() < 0.3
    assert stated[heat(asked) < 35].min() > 0.7
    assert any("failed; where they fail is learnt" in n for n in model.card.notes)


def test_stated_probabilities_come_true():
    rng = np.random.default_rng(5)
    rows = dose_assay(250, seed=3)
    chance = 1 / (1 + np.exp((heat(rows.questions) - 42) / 4))
    model = fit(failed_where(rows, rng.random(250) > chance), two_numbers())
    asked = dose_questions(2000, seed=8)
    happened = rng.random(2000) < 1 / (1 + np.exp((heat(asked) - 42) / 4))
    stated = model.predict(asked).success
    assert scores.calibration_error(happened, stated) < 0.06


def test_failures_that_the_conditions_do_not_tell_leave_the_base_rate():
    is_bad = np.random.default_rng(11).random(80) < 0.25
    model = fit(failed_where(dose_assay(80), is_bad), two_numbers())
    stated = model.predict(dose_questions(20, seed=1)).success
    rate = (80 - is_bad.sum() + 1) / 82
    np.testing.assert_allclose(stated, rate)


def test_without_failures_every_candidate_has_the_same_chance():
    stated = fit(dose_assay(18), two_numbers()).predict(dose_questions(5, seed=1))
    np.testing.assert_allclose(stated.success, 19 / 20)
    assert stated.take([0, 2]).success.shape == (2,)


def test_failures_of_molecules_are_learnt_by_structure():
    rows = library_assay(40)
    smiles = np.array([str(s) for s in rows.questions.columns["molecule"]])
    is_ring = np.array(["1" in s for s in smiles])
    model = fit(failed_where(rows, is_ring), library())
    stated = model.predict(rows.questions).success
    assert stated[is_ring].mean() < 0.4 < 0.6 < stated[~is_ring].mean()


def test_more_failures_move_the_chance_without_a_refit():
    model = fit(hot_failures(30), two_numbers())
    more = hot_failures(12, seed=4)
    told = model.condition_on(more)
    asked = dose_questions(200, seed=9)
    truth = heat(asked) <= 45
    before, after = (m.predict(asked).success for m in (model, told))
    assert scores.log_loss(truth, after) < scores.log_loss(truth, before) + 0.02
    assert told.success.n_no == model.success.n_no + int(
        (heat(more.questions) > 45).sum()
    )
    assert not np.array_equal(before, after)


def test_a_saved_model_states_the_same_chances(tmp_path):
    model = fit(hot_failures(30), two_numbers())
    save_model(model, tmp_path / "m")
    asked = dose_questions(9, seed=2)
    np.testing.assert_array_equal(
        load_model(tmp_path / "m").predict(asked).success, model.predict(asked).success
    )


def test_the_order_of_rows_changes_no_chance():
    rows = hot_failures(30)
    shuffled = rows.take(np.random.default_rng(2).permutation(30))
    asked = dose_questions(9, seed=2)
    a, b = (fit(r, two_numbers()).predict(asked).success for r in (rows, shuffled))
    np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("recipe", ["default", "explore"])
def test_both_recipes_state_chances(recipe: str):
    model = fit(hot_failures(20), two_numbers(), recipe=recipe)
    stated = model.predict(dose_questions(50, seed=2)).success
    assert np.ptp(stated) > 0.5


def passes_below(limit: float, n: int) -> Observations:
    rows = dose_assay(n)
    return replace(rows, values=(heat(rows.questions) <= limit)[:, None].astype(float))


def pass_fail() -> Protocol:
    protocol = two_numbers()
    readout = protocol.readouts[0].model_copy(update={"kind": ReadoutKind.PASS_FAIL})
    return protocol.model_copy(update={"readouts": (readout,)})


def test_a_pass_or_fail_readout_has_a_chance_and_a_cdf_on_zero_and_one():
    said = fit(passes_below(45, 50), pass_fail()).predict(dose_questions(40, seed=1))
    p = said.chance[:, 0]
    assert np.ptp(p) > 0.8
    np.testing.assert_allclose(said.mean[:, 0], p)
    np.testing.assert_allclose(said.sd[:, 0] ** 2, p * (1 - p))
    one, zero = np.ones((40, 1)), np.zeros((40, 1))
    np.testing.assert_allclose(said.cdf(one), 1.0)
    np.testing.assert_allclose(said.cdf(zero)[:, 0], 1 - p)
    np.testing.assert_allclose(said.cdf(-one), 0.0)
    np.testing.assert_allclose(
        np.exp(said.log_density(one)) + np.exp(said.log_density(zero)), 1.0
    )
    np.testing.assert_array_equal(said.quantile(0.5)[:, 0], p > 0.5)
    again = prediction_of(said.records())
    np.testing.assert_array_equal(again.chance, said.chance)


def test_worlds_of_a_pass_or_fail_readout_pass_as_often_as_stated():
    model = fit(passes_below(45, 30), pass_fail())
    asked, zero = dose_questions(4, seed=3), np.zeros(4, np.int64)
    worlds = [model.draw_world(seed) for seed in range(150)]
    drawn = np.stack([w.outcome(asked, zero)[:, 0] for w in worlds])
    assert set(np.unique(drawn)) <= {0.0, 1.0}
    p = model.predict(asked).chance[:, 0]
    np.testing.assert_allclose(drawn.mean(0), p, atol=0.12)
    chances = np.stack([w.truth(asked)[:, 0] for w in worlds])
    np.testing.assert_allclose(chances.mean(0), p, atol=0.12)


def test_a_readout_that_always_passes_is_predicted_to(tmp_path):
    rows = replace(dose_assay(10), values=np.ones((10, 1)))
    model = fit(rows, pass_fail())
    said = model.predict(dose_questions(3, seed=1))
    np.testing.assert_allclose(said.chance, 11 / 12)
    save_model(model, tmp_path / "m")
    again = load_model(tmp_path / "m").predict(dose_questions(3, seed=1))
    np.testing.assert_array_equal(again.chance, said.chance)
