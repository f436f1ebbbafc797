"""Fitting: what it refuses, what it survives, and what may not change its answer."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labwm.errors import MoleculeError, NotEnoughDataError, NotFoundError, SpaceError
from labwm.schema import Status
from labwm.space.questions import Observations, Questions, questions_from
from labwm.world_model import fit
from tests.unit.world_model.assays import (
    dose_assay,
    dose_questions,
    dose_response,
    library,
    library_assay,
    observed,
    reaction,
    reaction_assay,
    reaction_pool,
    two_numbers,
)


def test_fit_refuses_too_few_values():
    with pytest.raises(NotEnoughDataError, match="at least 5 measured values; got 4"):
        fit(dose_assay(4), two_numbers())


def test_fit_counts_only_rows_that_have_a_number():
    rows = dose_assay(8)
    values = rows.values.copy()
    values[:4] = np.nan
    with pytest.raises(NotEnoughDataError, match="got 4 of 'signal'"):
        fit(replace(rows, values=values), two_numbers())


def test_fit_refuses_an_unknown_recipe_and_suggests_one():
    with pytest.raises(NotFoundError, match="Did you mean 'explore'"):
        fit(dose_assay(8), two_numbers(), recipe="explor")


def test_fit_refuses_a_row_without_a_declared_number():
    rows = dose_assay(8)
    dose = np.asarray(rows.questions.columns["dose"], float).copy()
    dose[3] = np.nan
    questions = Questions({**rows.questions.columns, "dose": dose})
    with pytest.raises(SpaceError, match="'dose' needs a number in every row"):
        fit(replace(rows, questions=questions), two_numbers())


def test_fit_refuses_a_number_that_its_scale_cannot_hold():
    rows = dose_assay(8)
    dose = np.asarray(rows.questions.columns["dose"], float).copy()
    dose[3] = -1.0
    questions = Questions({**rows.questions.columns, "dose": dose})
    with pytest.raises(SpaceError, match="log of 'dose' needs numbers above 0"):
        fit(replace(rows, questions=questions), two_numbers())


def test_fit_refuses_questions_without_a_declared_column():
    rows = dose_assay(8)
    questions = Questions({"dose": rows.questions.columns["dose"]})
    with pytest.raises(SpaceError, match="none for 'temperature'"):
        fit(replace(rows, questions=questions), two_numbers())


def test_predict_refuses_what_is_not_a_molecule():
    model = fit(library_assay(12), library())
    with pytest.raises(MoleculeError):
        model.predict(questions_from(library(), [{"molecule": "not a molecule"}]))


@pytest.mark.parametrize("recipe", ["default", "explore"])
def test_every_kind_of_protocol_is_fitted_and_predicted(assay, recipe: str):
    observations, protocol, questions = assay
    model = fit(observations, protocol, recipe=recipe)
    prediction = model.predict(questions)
    assert np.isfinite(prediction.location).all()
    assert (prediction.epistemic > 0).all()
    assert (prediction.aleatoric > 0).all()
    assert model.card.recipe == recipe
    assert model.card.data_sha256 == observations.digest()
    support = model.support(questions)
    assert ((support >= 0) & (support <= 1)).all()


def test_a_fit_explains_most_of_a_smooth_response():
    questions = dose_questions(200, seed=7)
    prediction = fit(dose_assay(60), two_numbers()).predict(questions)
    truth = dose_response(questions, noise=0.0, seed=0)
    assert np.sqrt(np.mean((prediction.mean[:, 0] - truth) ** 2)) < 0.15 * truth.std()


def test_the_noise_that_was_put_in_is_found():
    model = fit(dose_assay(80, noise=0.2), two_numbers())
    assert model.card.hyperparameters["signal.noise_sd"] == pytest.approx(0.2, rel=0.3)


def test_a_declared_noise_is_kept():
    protocol = two_numbers()
    readout = protocol.readouts[0].model_copy(update={"noise_sd": 0.3})
    declared = protocol.model_copy(update={"readouts": (readout,)})
    model = fit(dose_assay(30), declared)
    assert model.card.hyperparameters["signal.noise_sd"] == pytest.approx(0.3)
    assert model.card.is_split_identified


def test_replicates_tell_noise_from_ignorance():
    once = dose_assay(15, noise=0.0)
    rng = np.random.default_rng(0)
    thrice = observed(
        once.questions.take(np.repeat(np.arange(15), 3)),
        np.repeat(once.values[:, 0], 3) + 0.3 * rng.normal(size=45),
        "signal",
    )
    model = fit(thrice, two_numbers())
    assert model.card.is_split_identified
    assert model.predict(once.questions).is_split_identified
    assert model.card.hyperparameters["signal.noise_sd"] == pytest.approx(0.3, rel=0.3)
    assert not fit(once, two_numbers()).card.is_split_identified


def test_far_from_the_data_a_prediction_is_vacuous_and_near_it_is_not():
    model = fit(dose_assay(30), two_numbers())
    far = Questions({"dose": np.array([1e30]), "temperature": np.array([4e3])})
    near = dose_assay(30).questions.take([0])
    assert model.predict(far).is_vacuous.all()
    assert not model.predict(near).is_vacuous.any()
    assert model.support(far)[0] < 0.01 < 0.5 < model.support(near)[0]


def test_an_unseen_level_is_predicted_with_more_doubt_than_a_seen_one():
    protocol = reaction().model_copy(
        update={
            "parameters": tuple(
                p if p.name != "gas" else p.model_copy(update={"levels": None})
                for p in reaction().parameters
            )
        }
    )
    model = fit(reaction_assay(40), protocol)
    rows = reaction_pool().take(np.arange(40))
    other = Questions({**rows.columns, "gas": np.array(["helium"] * 40, object)})
    assert model.predict(other).sd.mean() > model.predict(rows).sd.mean()


@pytest.mark.parametrize("column", ["constant column", "equal values", "duplicates"])
def test_degenerate_tables_are_fitted(column: str):
    rows = dose_assay(12)
    if column == "constant column":
        columns = {**rows.questions.columns, "temperature": np.full(12, 25.0)}
        rows = replace(rows, questions=Questions(columns))
    elif column == "equal values":
        rows = replace(rows, values=np.full((12, 1), 7.0))
    else:
        rows = rows.take(np.tile(np.arange(3), 4))
    prediction = fit(rows, two_numbers()).predict(dose_questions(20, seed=3))
    low, high = prediction.interval(0.9)
    assert np.isfinite(low).all()
    assert (high > low).all()


def test_equal_values_are_predicted_as_such_and_the_card_says_so():
    model = fit(replace(dose_assay(12), values=np.full((12, 1), 7.0)), two_numbers())
    assert model.predict(dose_questions(5, seed=3)).mean == pytest.approx(7.0)
    assert any("every value is equal" in note for note in model.card.notes)


def test_readouts_with_holes_learn_from_their_own_rows():
    rows = dose_assay(20)
    other = np.random.default_rng(8).normal(size=(20, 1))
    values = np.concatenate([rows.values, other], axis=1)
    values[:8, 1] = np.nan
    protocol = two_numbers()
    second = protocol.readouts[0].model_copy(update={"name": "second"})
    both = protocol.model_copy(update={"readouts": (*protocol.readouts, second)})
    model = fit(observed(rows.questions, values, "signal", "second"), both)
    alone = fit(
        observed(rows.questions.take(np.arange(8, 20)), other[8:], "second"),
        protocol.model_copy(update={"readouts": (second,)}),
    )
    asked = dose_questions(6, seed=4)
    np.testing.assert_allclose(
        model.predict(asked).mean[:, 1], alone.predict(asked).mean[:, 0], rtol=1e-6
    )


def test_failed_rows_are_counted_and_named():
    rows = dose_assay(12)
    values, statuses = rows.values.copy(), rows.statuses.copy()
    values[:3], statuses[:3] = np.nan, Status.FAILED
    model = fit(replace(rows, values=values, statuses=statuses), two_numbers())
    assert (model.card.n_rows, model.card.n_failed) == (12, 3)
    assert any("3 experiments failed" in note for note in model.card.notes)


def test_the_card_names_the_structure_and_what_the_others_scored(assay):
    observations, protocol, _ = assay
    card = fit(observations, protocol).card
    (words,) = card.structure.values()
    assert "left-out log loss" in words
    names = {metric.name for metric in card.metrics}
    assert {"nlpd", "crps", "coverage90", "rmse", "miscalibration_area"} <= names


def test_the_same_data_and_seed_give_the_same_model(assay):
    observations, protocol, questions = assay
    first = fit(observations, protocol, seed=3)
    again = fit(observations, protocol, seed=3)
    assert first.card == again.card
    np.testing.assert_array_equal(
        first.predict(questions).quantile(0.3), again.predict(questions).quantile(0.3)
    )


def test_permuting_rows_changes_nothing(assay):
    observations, protocol, questions = assay
    order = np.random.default_rng(1).permutation(len(observations))
    first = fit(observations, protocol)
    other = fit(observations.take(order), protocol)
    np.testing.assert_array_equal(
        first.predict(questions).quantile(0.9), other.predict(questions).quantile(0.9)
    )
    np.testing.assert_array_equal(
        first.draw_world(5).truth(questions), other.draw_world(5).truth(questions)
    )


@settings(max_examples=5, deadline=None)
@given(st.floats(-12, 12), st.floats(-3, 3))
def test_a_change_of_the_readouts_unit_only_rescales(power: float, shift: float):
    factor = 10.0**power
    rows, asked = dose_assay(20), dose_questions(8, seed=2)
    moved = replace(rows, values=factor * (rows.values + shift))
    before = fit(rows, two_numbers()).predict(asked)
    after = fit(moved, two_numbers()).predict(asked)
    np.testing.assert_allclose(
        after.mean / factor - shift, before.mean, rtol=1e-3, atol=1e-3
    )
    np.testing.assert_allclose(after.sd / factor, before.sd, rtol=1e-3)


@pytest.mark.parametrize("factor", [1e-9, 1e3], ids=["nM-to-M", "uM-to-nM"])
def test_a_change_of_a_parameters_unit_changes_nothing(factor: float):
    rows, asked = dose_assay(20), dose_questions(8, seed=2)
    moved = replace(rows, questions=_scaled(rows.questions, factor))
    before = fit(rows, two_numbers()).predict(asked)
    after = fit(moved, two_numbers(factor=factor)).predict(_scaled(asked, factor))
    np.testing.assert_allclose(after.mean, before.mean, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(after.sd, before.sd, rtol=1e-3)


def _scaled(questions: Questions, factor: float) -> Questions:
    dose = factor * np.asarray(questions.columns["dose"], float)
    return Questions({**questions.columns, "dose": dose})


def test_a_fit_that_starts_from_another_keeps_its_structure_and_says_so():
    rows, asked = dose_assay(40), dose_questions(50, seed=2)
    before = fit(rows.take(np.arange(36)), two_numbers())
    warm = fit(rows, two_numbers(), start=before)
    cold = fit(rows, two_numbers())
    assert any("earlier model" in note for note in warm.card.notes)
    np.testing.assert_allclose(
        warm.predict(asked).mean, cold.predict(asked).mean, atol=0.1
    )


def test_molecules_of_the_pool_count_as_levels():
    open_ended = reaction().model_copy(
        update={
            "parameters": tuple(
                p.model_copy(update={"smiles": None}) if p.kind == "molecule" else p
                for p in reaction().parameters
            )
        }
    )
    rows = reaction_assay(10)
    asked = reaction_pool()
    with_pool = fit(rows, open_ended, pool=asked).predict(asked)
    declared = fit(rows, reaction()).predict(asked)
    np.testing.assert_allclose(with_pool.mean, declared.mean, rtol=1e-9)


def test_the_order_of_questions_does_not_matter(assay):
    observations, protocol, questions = assay
    model = fit(observations, protocol)
    order = np.random.default_rng(0).permutation(len(questions))
    np.testing.assert_allclose(
        model.predict(questions.take(order)).mean,
        model.predict(questions).mean[order],
        rtol=1e-9,
    )


def test_a_conditional_parameter_may_be_absent():
    protocol = two_numbers()
    catalyst = {"name": "catalyst", "kind": "categorical", "levels": ["yes", "no"]}
    depends = {
        "kind": "depends", "parameter": "temperature", "on": "catalyst",
        "values": ["yes"],
    }  # fmt: skip
    raw = protocol.model_dump(mode="json")
    raw["parameters"].append(catalyst)
    raw["constraints"] = [depends]
    protocol = type(protocol).model_validate(raw)
    rng = np.random.default_rng(0)
    active = rng.random(30) < 0.5
    questions = Questions(
        {
            "dose": 10 ** rng.uniform(0, 3, 30),
            "temperature": np.where(active, rng.uniform(20, 60, 30), np.nan),
            "catalyst": np.where(active, "yes", "no").astype(object),
        }
    )
    y = np.where(active, 5.0, 0.0) + 0.1 * rng.normal(size=30)
    model = fit(observed(questions, y, "signal"), protocol)
    mean = model.predict(questions).mean[:, 0]
    assert mean[active].min() > 4 > 1 > mean[~active].max()


def test_a_curve_is_predicted_at_the_time_asked():
    rows = dose_assay(30)
    time = np.linspace(0.0, 10.0, 30)
    questions = Questions(rows.questions.columns, time)
    curve = Observations(
        questions, rows.readouts, 2.0 * time[:, None], rows.censoring, rows.statuses
    )
    model = fit(curve, two_numbers())
    asked = Questions(rows.questions.columns, np.full(30, 5.0))
    assert model.predict(asked).mean == pytest.approx(10.0, abs=1.0)
    with pytest.raises(SpaceError, match="time of each question"):
        model.predict(rows.questions)


def test_the_recipe_that_explores_begins_with_two_values():
    model = fit(dose_assay(2), two_numbers(), recipe="explore")
    assert np.all(np.isfinite(model.predict(dose_questions(5, seed=1)).sd))
    with pytest.raises(NotEnoughDataError, match="at least 2 measured values; got 1"):
        fit(dose_assay(1), two_numbers(), recipe="explore")
