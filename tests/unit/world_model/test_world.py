"""Worlds play the distribution that `predict` states, whatever the order of calls."""

import numpy as np
import pytest
import torch

from labwm.schema import CalibrationMap
from labwm.space.questions import Observations, Questions
from labwm.world_model import GaussianProcessModel, World, WorldModel, fit
from labwm.world_model.calibration import student_map
from labwm.world_model.kernel import minmax
from labwm.world_model.molecules import counts_of
from labwm.world_model.prior_draw import draw_prior
from labwm.world_model.world import keyed_normals
from tests.unit.world_model.assays import (
    MOLECULES,
    dose_assay,
    dose_questions,
    library,
    library_assay,
    reaction_assay,
    reaction_pool,
    two_numbers,
)

N_WORLDS = 200


def test_the_model_keeps_the_contract():
    model: WorldModel = fit(dose_assay(10), two_numbers())
    world: World = model.draw_world(0)
    assert world.readouts == ("signal",)


def test_an_outcome_depends_on_seed_question_and_replicate_alone(assay):
    observations, protocol, questions = assay
    world = fit(observations, protocol).draw_world(3)
    n = len(questions)
    replicate = np.arange(n) % 3
    whole = world.outcome(questions, replicate)
    order = np.random.default_rng(0).permutation(n)
    shuffled = world.outcome(questions.take(order), replicate[order])
    np.testing.assert_array_equal(shuffled, whole[order])
    one_by_one = np.concatenate(
        [world.outcome(questions.take([i]), replicate[[i]]) for i in order]
    )
    np.testing.assert_array_equal(one_by_one, whole[order])
    np.testing.assert_array_equal(world.outcome(questions, replicate), whole)


def test_the_same_seed_is_the_same_world_and_another_is_not(assay):
    observations, protocol, questions = assay
    model = fit(observations, protocol)
    first, again, other = (model.draw_world(s).truth(questions) for s in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.any(first == other)


def test_replicates_scatter_around_the_truth_by_the_stated_noise():
    model = fit(dose_assay(40, noise=0.3), two_numbers())
    world = model.draw_world(0)
    asked = dose_questions(1, seed=5).take(np.zeros(2000, int))
    measured = world.outcome(asked, np.arange(2000))[:, 0]
    stated = model.predict(asked.take([0])).aleatoric_sd[0, 0]
    assert measured.std() == pytest.approx(stated, rel=0.1)
    truth = world.truth(asked.take([0]))[0, 0]
    assert measured.mean() == pytest.approx(truth, abs=5 * stated / np.sqrt(2000))


def test_worlds_have_the_stated_mean_and_deviation(assay):
    observations, protocol, questions = assay
    model = _without_calibration(fit(observations, protocol))
    stated = model.predict(questions)
    draws = np.stack(
        [model.draw_world(seed).truth(questions)[:, 0] for seed in range(N_WORLDS)]
    )
    error = stated.epistemic[:, 0] / np.sqrt(N_WORLDS)
    assert np.all(np.abs(draws.mean(0) - stated.location[:, 0]) < 4.5 * error)
    # The deviation of N normals varies by 1 / sqrt(2 N) of itself: 5 % here.
    ratio = draws.std(0) / stated.epistemic[:, 0]
    assert np.all(np.abs(ratio - 1.0) < 5 / np.sqrt(2 * N_WORLDS))


def test_worlds_vary_together_as_the_posterior_does():
    model = _without_calibration(fit(library_assay(12), library()))
    questions = library_assay(40, seed=5).questions.take(np.arange(8))
    (own,) = model.surrogates
    stated = own.covariance(own.encode(questions), own.encode(questions)).numpy()
    draws = np.stack(
        [model.draw_world(s).truth(questions)[:, 0] for s in range(N_WORLDS)]
    )
    found = np.cov(draws.T) / own.scale**2
    size = np.sqrt(np.outer(np.diag(stated), np.diag(stated)))
    assert np.max(np.abs(found - stated) / size) < 0.25


@pytest.mark.parametrize("shape", [0.01, 0.3], ids=["normal", "heavy tails"])
def test_outcomes_of_worlds_follow_the_calibrated_quantiles(shape: float):
    from dataclasses import replace

    model = fit(dose_assay(15, noise=0.3), two_numbers())
    model = replace(model, calibration=(student_map(scale=1.4, shape=shape),))
    questions = dose_questions(25, seed=6)
    stated = model.predict(questions)
    outcomes = np.stack(
        [
            model.draw_world(s).outcome(questions, np.zeros(25, int))[:, 0]
            for s in range(N_WORLDS)
        ]
    )
    for level in (0.05, 0.25, 0.5, 0.75, 0.95):
        # Questions of one world vary together, worlds do not: one share per world.
        share = np.mean(outcomes <= stated.quantile(level)[:, 0], axis=1)
        error = share.std() / np.sqrt(N_WORLDS)
        assert abs(share.mean() - level) < 4 * error, level


def test_in_a_world_what_was_measured_precisely_is_what_was_measured():
    observations = dose_assay(30, noise=0.0)
    model = fit(observations, two_numbers())
    truth = model.draw_world(9).truth(observations.questions)
    np.testing.assert_allclose(truth, observations.values, atol=0.1)


def test_a_conditioned_model_draws_worlds_that_agree_with_the_new_rows():
    model = fit(dose_assay(12), two_numbers())
    asked = dose_questions(1, seed=44)
    new = _rows_at(asked.take(np.zeros(30, int)), 3.0)
    grown = model.condition_on(new)
    assert model.predict(asked).mean[0, 0] < 2.5 < grown.predict(asked).mean[0, 0]
    assert grown.predict(asked).epistemic[0, 0] < model.predict(asked).epistemic[0, 0]
    truths = [grown.draw_world(s).truth(asked)[0, 0] for s in range(20)]
    assert np.mean(truths) == pytest.approx(grown.predict(asked).mean[0, 0], abs=0.15)


def test_conditioning_keeps_the_calibration_and_updates_the_card():
    from labwm.errors import InvalidInputError

    model = fit(dose_assay(12), two_numbers())
    new = _rows_at(dose_questions(3, seed=1), 1.0)
    grown = model.condition_on(new)
    assert grown.calibration == model.calibration
    assert grown.card.n_rows == 15
    assert grown.card.data_sha256 != model.card.data_sha256
    other = Observations(
        new.questions, ("other",), new.values, new.censoring, new.statuses
    )
    with pytest.raises(InvalidInputError, match="rows of its own readouts"):
        model.condition_on(other)


def test_conditioning_on_nothing_changes_no_prediction(assay):
    observations, protocol, questions = assay
    model = fit(observations, protocol)
    same = model.condition_on(observations.take(np.empty(0, int)))
    np.testing.assert_array_equal(
        same.predict(questions).mean, model.predict(questions).mean
    )


def test_conditioning_in_two_steps_is_conditioning_at_once():
    model = fit(reaction_assay(20), _reaction())
    new = reaction_assay(12, seed=3)
    at_once = model.condition_on(new).predict(reaction_pool())
    in_two = model.condition_on(new.take(np.arange(5))).condition_on(
        new.take(np.arange(5, 12))
    )
    np.testing.assert_allclose(
        in_two.predict(reaction_pool()).mean, at_once.mean, rtol=1e-8
    )


def test_hashes_agree_as_often_as_minmax_says():
    counts = counts_of(MOLECULES[:10], "atom_pair")
    expected = minmax(counts, counts).numpy()
    from labwm.world_model.prior_draw import _draw_hashes

    signs = torch.cat(
        [_draw_hashes(np.random.default_rng(s), 1024)(counts) for s in range(8)], dim=1
    )
    found = (signs @ signs.T / signs.shape[1]).numpy()
    assert np.max(np.abs(found - expected)) < 5 / np.sqrt(signs.shape[1])


def test_prior_draws_have_the_kernels_covariance(assay):
    observations, protocol, questions = assay
    (own,) = fit(observations, protocol).surrogates
    inputs = own.encode(questions)
    # Few features on purpose: the covariance holds for any number of them.
    n = 2000
    draws = torch.stack(
        [
            draw_prior(own.kernel, inputs, (s, 0), n_features=16)(inputs)
            for s in range(n)
        ]
    )
    found = (draws.T @ draws / n).numpy()
    stated = own.kernel.matrix(inputs, inputs).numpy()
    scale = float(own.kernel.variance)
    assert np.max(np.abs(found - stated)) / scale < 5 * np.sqrt(2 / n)
    assert np.trace(found) / np.trace(stated) == pytest.approx(1.0, abs=0.08)


def test_a_prior_draw_is_one_function_of_the_question():
    (own,) = fit(library_assay(12), library()).surrogates
    inputs = own.encode(library_assay(40, seed=5).questions)
    draw = draw_prior(own.kernel, inputs, (1, 0))
    some = torch.tensor([30, 3, 3])
    torch.testing.assert_close(draw(inputs.take(some)), draw(inputs)[some])


def test_keyed_noise_is_standard_normal():
    noise = keyed_normals([b"same"] * 20_000, "salt", np.arange(20_000))
    assert abs(noise.mean()) < 0.03
    assert noise.std() == pytest.approx(1.0, abs=0.02)
    assert len(set(noise)) == 20_000


def test_quantile_and_cdf_are_each_others_inverse(assay):
    observations, protocol, questions = assay
    prediction = fit(observations, protocol).predict(questions)
    for level in (0.001, 0.2, 0.5, 0.77, 0.999):
        found = prediction.cdf(prediction.quantile(level))
        np.testing.assert_allclose(found, level, rtol=1e-9)


def _without_calibration(model: GaussianProcessModel) -> GaussianProcessModel:
    from dataclasses import replace

    return replace(model, calibration=(CalibrationMap(),))


def _rows_at(questions: Questions, value: float) -> Observations:
    from tests.unit.world_model.assays import observed

    return observed(questions, np.full(len(questions), value), "signal")


def _reaction():
    from tests.unit.world_model.assays import reaction

    return reaction()
