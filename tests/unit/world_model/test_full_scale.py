"""Many rows: the exact posterior is the oracle."""

from pathlib import Path

import numpy as np
import pytest
import torch

from labwm.schema import Protocol
from labwm.space.questions import Observations, Questions
from labwm.world_model import (
    GaussianProcessModel,
    fit,
    load_model,
    save_model,
    unevenness,
)
from labwm.world_model import fit_readout as fit_readout_module
from labwm.world_model import fitting as fitting_module
from labwm.world_model import full_scale as full_scale_module
from labwm.world_model import many_rows as many_rows_module
from labwm.world_model.full_scale import FullScaleSurrogate, condition_many
from labwm.world_model.kernel import minmax
from labwm.world_model.leave_one_out import latent_left_out
from labwm.world_model.molecules import counts_of
from labwm.world_model.surrogate import Surrogate, condition
from labwm.world_model.token_index import token_index
from tests.unit.world_model.assays import (
    MOLECULES,
    dose_assay,
    dose_questions,
    observed,
    two_numbers,
)


@pytest.fixture
def as_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every assay counts as one of very many rows."""
    monkeypatch.setattr(fitting_module, "MAX_EXACT", 10)
    monkeypatch.setattr(fit_readout_module, "MAX_EXACT", 10)
    monkeypatch.setattr(many_rows_module, "N_LANDMARKS", 24)
    monkeypatch.setattr(full_scale_module, "N_NEIGHBOURS", 32)


def _same(
    observations: Observations, protocol: Protocol, n_landmarks: int
) -> tuple[FullScaleSurrogate, Surrogate]:
    (exact,) = fit(observations, protocol).surrogates
    assert isinstance(exact, Surrogate)
    exact = condition(
        exact.encoder,
        exact.kernel,
        (exact.inputs, exact.targets, exact.noise + full_scale_module.JITTER),
        units=(exact.location, exact.scale),
        noise_variance=exact.noise_variance,
    )
    many = condition_many(
        exact.encoder,
        exact.kernel,
        (exact.inputs, exact.targets, exact.noise - full_scale_module.JITTER),
        torch.arange(0, len(exact.targets), max(1, len(exact.targets) // n_landmarks)),
        units=(exact.location, exact.scale),
        noise_variance=exact.noise_variance,
    )
    return many, exact


def test_it_is_the_exact_posterior_where_the_neighbours_are_all_rows(assay):
    observations, protocol, asked = assay
    many, exact = _same(observations, protocol, 12)
    said = many.latent(many.encode(asked))
    mean, variance = exact.mean_and_variance(exact.encode(asked))
    # All rows teach the landmarks' weights as if their leftovers were independent.
    torch.testing.assert_close(said.mean, mean, rtol=0, atol=0.05)
    torch.testing.assert_close(said.variance.sqrt(), variance.sqrt(), rtol=0.1, atol=0)


def test_it_is_the_exact_posterior_where_every_row_is_a_landmark(assay):
    observations, protocol, asked = assay
    many, exact = _same(observations, protocol, 10_000)
    said = many.latent(many.encode(asked))
    mean, variance = exact.mean_and_variance(exact.encode(asked))
    torch.testing.assert_close(said.mean, mean, rtol=0, atol=2e-3)
    torch.testing.assert_close(said.variance.sqrt(), variance.sqrt(), rtol=0.01, atol=0)


def test_leaving_a_row_out_is_what_fitting_without_it_gives():
    many, exact = _same(dose_assay(60), two_numbers(), 60)
    parts = list(many.left_out(torch.arange(60)))
    mean = torch.cat([local.mean for local, _ in parts])
    variance = torch.cat([own for _, own in parts])
    expected_mean, expected = latent_left_out(exact)
    torch.testing.assert_close(mean, expected_mean, rtol=0, atol=5e-3)
    torch.testing.assert_close(variance.sqrt(), expected.sqrt(), rtol=0.02, atol=0)


def test_appended_rows_are_learnt_like_those_before():
    whole, _ = _same(dose_assay(60), two_numbers(), 20)
    landmarks = torch.arange(0, 45, 3)

    def conditioned(n: int) -> FullScaleSurrogate:
        rows = torch.arange(n)
        return condition_many(
            whole.encoder,
            whole.kernel,
            (whole.inputs.take(rows), whole.targets[rows], whole.noise[rows]),
            landmarks,
            units=(whole.location, whole.scale),
            noise_variance=whole.noise_variance,
        )

    first, every = conditioned(45), conditioned(60)
    rest = torch.arange(45, 60)
    grown = first.append(
        whole.inputs.take(rest), whole.targets[rest], whole.noise[rest]
    )
    asked = whole.encode(dose_questions(20, seed=4))
    torch.testing.assert_close(
        grown.latent(asked).mean, every.latent(asked).mean, rtol=0, atol=1e-6
    )


def test_a_model_of_many_rows_answers_the_whole_contract(
    as_many: None, assay: tuple[Observations, Protocol, Questions], tmp_path: Path
):
    observations, protocol, asked = assay
    model = fit(observations, protocol)
    assert isinstance(model.surrogates[0], FullScaleSurrogate)
    said = model.predict(asked)
    assert np.isfinite(said.location).all()
    assert (said.epistemic > 0).all()
    alone = model.predict(asked.take([3]))
    np.testing.assert_allclose(alone.location, said.location[[3]], rtol=1e-9)
    np.testing.assert_allclose(alone.scale, said.scale[[3]], rtol=1e-8)
    assert ((model.support(asked) >= 0) & (model.support(asked) <= 1)).all()
    sha256 = save_model(model, tmp_path / "model")
    again = load_model(tmp_path / "model", sha256=sha256)
    np.testing.assert_array_equal(again.predict(asked).location, said.location)
    more = model.condition_on(observations.take(np.arange(3)))
    assert more.card.n_rows == len(observations) + 3
    assert np.isfinite(more.predict(asked).location).all()


def test_worlds_of_many_rows_are_functions_and_spread_as_predicted(as_many: None):
    observations, asked = dose_assay(80, noise=0.3), dose_questions(6, seed=3)
    model = fit(observations, two_numbers())
    assert isinstance(model, GaussianProcessModel)
    world = model.draw_world(5)
    truth = world.truth(asked)
    np.testing.assert_allclose(world.truth(asked.take([4, 1])), truth[[4, 1]])
    draws = np.stack([model.draw_world(s).truth(asked)[:, 0] for s in range(150)])
    (own,) = model.surrogates
    latent = own.latent(own.encode(asked))
    sd = abs(own.scale) * latent.variance.sqrt().numpy()
    mean = own.location + own.scale * latent.mean.numpy()
    # Standard errors of 150 draws, and the map of the calibration bends the tails.
    assert np.all(np.abs(draws.mean(0) - mean) < 4 * sd / np.sqrt(150) + 0.05 * sd)
    assert np.all((draws.std(0) / sd > 0.5) & (draws.std(0) / sd < 1.7))


def test_spread_tells_a_quiet_region_from_a_loud_one(as_many: None):
    rng = np.random.default_rng(0)
    questions = dose_questions(600, seed=1)
    loud = np.log10(questions.columns["dose"].astype(float)) > 1.5
    values = np.where(loud, rng.normal(size=600), 0.02 * rng.normal(size=600))
    model = fit(observed(questions, values, "signal"), two_numbers())
    asked = dose_questions(200, seed=2)
    is_loud = np.log10(asked.columns["dose"].astype(float)) > 1.5
    scale = model.predict(asked).scale[:, 0]
    assert np.median(scale[is_loud]) > 8 * np.median(scale[~is_loud])


def _half_dead(n: int) -> Observations:
    """Below a dose of 100 nothing ever happens; above it values differ widely."""
    questions = dose_questions(n, seed=3)
    rng = np.random.default_rng(4)
    is_dead = np.asarray(questions.columns["dose"] < 100.0)
    noise = np.where(is_dead, 0.01, 1.0) * rng.normal(size=n)
    return observed(questions, np.where(is_dead, 0.0, 4.0) + noise, "signal")


def test_where_errors_are_uneven_widths_follow_the_neighbourhood(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(unevenness, "MIN_ROWS", 200)
    monkeypatch.setattr(many_rows_module, "N_LANDMARKS", 64)
    observations = _half_dead(300)
    model = fit(observations, two_numbers())
    (own,) = model.surrogates
    assert isinstance(own, FullScaleSurrogate)
    assert "landmarks-and-neighbours" in model.card.structure["signal"]
    asked = dose_questions(60, seed=8)
    stated = model.predict(asked).sd[:, 0]
    is_dead = np.asarray(asked.columns["dose"] < 80.0)
    assert np.median(stated[~is_dead]) > 5 * np.median(stated[is_dead])


def test_even_errors_keep_the_exact_posterior(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(unevenness, "MIN_ROWS", 200)
    (own,) = fit(dose_assay(250), two_numbers()).surrogates
    assert isinstance(own, Surrogate)


def test_limits_among_many_rows_pull_predictions_to_their_side(as_many: None):
    observations = dose_assay(60)
    high = observations.values[:, 0] > 0.5
    censoring = np.where(high, 1, 0)[:, None].astype(np.int8)
    values = np.minimum(observations.values, 0.5)
    limited = Observations(
        observations.questions, ("signal",), values, censoring, observations.statuses
    )
    model = fit(limited, two_numbers())
    beyond = model.predict(observations.questions.take(np.flatnonzero(high)))
    assert np.mean(beyond.location > 0.45) > 0.9


@pytest.mark.parametrize("kind", ["ecfp4", "atom_pair", "torsion"])
def test_the_token_index_gives_the_minmax_of_the_table(kind):
    rows, asked = counts_of(MOLECULES, kind), counts_of(["CCCO", "C1CCCCC1C=O"], kind)
    index = token_index(rows)
    expected = minmax(asked, rows).float()
    torch.testing.assert_close(index.similarity(0, len(MOLECULES), asked).T, expected)
    group = torch.tensor([3, 17, 0])
    scratch = torch.zeros(len(index.vocabulary), 3)
    torch.testing.assert_close(
        index.group(group, scratch), minmax(rows, rows).float()[group][:, group]
    )
    assert not scratch.any()
    places = torch.tensor([[5, 1], [0, 30]])
    torch.testing.assert_close(
        index.with_each(asked, places), expected.gather(1, places)
    )
