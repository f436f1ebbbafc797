"""What a model of curves says, learnt from curves of a known truth."""

import numpy as np
import pytest

from labwm.errors import InvalidInputError, NotEnoughDataError, SpaceError
from labwm.scores import coverage, crps_gaussian
from labwm.space.curves import NO_READS, Curves, Reads
from labwm.space.questions import Questions, questions_from
from labwm.world_model.dynamics import CurveModel, fit_curves, surprising_series
from labwm.world_model.dynamics.families import (
    FAMILIES,
    GOMPERTZ,
    best_by_aic,
    fit_family,
)
from labwm.world_model.dynamics.functions import (
    Knots,
    learn_functions,
    place_knots,
    principal,
)
from labwm.world_model.dynamics.process import Process
from tests.unit.world_model.curves import HEATS, NOISE_SD, drying, protocol, truth

UNSEEN = tuple(float(x) for x in np.linspace(23, 78, 20))
TIMES = np.linspace(0.0, 39.0, 40)


def at(*heats: float) -> Questions:
    return questions_from(protocol(), [{"heat": heat} for heat in heats])


@pytest.fixture(scope="module")
def model() -> CurveModel:
    return fit_curves(drying(), protocol())


@pytest.fixture(scope="module")
def unseen() -> Curves:
    return drying(3, seed=1, heats=UNSEEN)


def test_intervals_hold_on_conditions_that_were_not_learnt_from(model, unseen):
    inside: dict[int, list[float]] = {0: [], 4: []}
    for n, found in inside.items():
        reads = unseen.reads("mass")
        for forecast, own in zip(model.forecasts(unseen.questions), reads, strict=True):
            said = forecast.condition_on(own.until(n)).predict(own.time[n:])
            low, high = said.interval(0.9)
            found.append(coverage(own.value[n:], low[:, 0], high[:, 0]))
    assert np.mean(inside[0]) == pytest.approx(0.9, abs=0.07)
    assert np.mean(inside[4]) == pytest.approx(0.9, abs=0.07)


def test_first_reads_sharpen_the_end_and_beat_the_last_value(model, unseen):
    before, after, last = [], [], []
    for forecast, own in zip(
        model.forecasts(unseen.questions), unseen.reads("mass"), strict=True
    ):
        end, value = own.time[-1:], own.value[-1:]
        for scores, said in (
            (before, forecast.predict(end)),
            (after, forecast.condition_on(own.until(4)).predict(end)),
        ):
            scores.append(crps_gaussian(value, said.mean[:, 0], said.sd[:, 0])[0])
        last.append(abs(own.value[3] - own.value[-1]))
    assert np.mean(after) < 0.9 * np.mean(before)
    assert np.mean(after) < 0.2 * np.mean(last)


def test_the_truth_is_found_between_the_conditions(model):
    said = model.forecasts(at(47.5))[0].predict(TIMES)
    assert np.max(np.abs(said.mean[:, 0] - truth(47.5, 2.0, TIMES))) < 0.15
    assert said.units == ("g",)
    assert not said.is_vacuous.any()


def test_beyond_the_last_time_a_prediction_says_that_it_knows_nothing(model):
    said = model.forecasts(at(50.0))[0].predict([20.0, 90.0])
    assert said.is_vacuous[:, 0].tolist() == [False, True]


def test_draws_follow_what_is_predicted_and_answer_alike_when_asked_again(model):
    forecast = model.forecasts(at(35.0))[0]
    said = forecast.predict([5.0, 30.0])
    low, high = said.interval(0.9)
    drawn = np.array([forecast.draw(seed).outcome([5.0, 30.0]) for seed in range(600)])
    inside = np.mean((low[:, 0] <= drawn) & (drawn <= high[:, 0]), axis=0)
    np.testing.assert_allclose(inside, 0.9, atol=0.04)
    one = forecast.draw(3)
    again = forecast.draw(3).outcome([30.0, 5.0])
    np.testing.assert_array_equal(one.outcome([5.0, 30.0]), again[::-1])
    assert one.outcome([5.0], 1) != one.outcome([5.0], 0)
    assert one.truth([5.0]) == one.truth([5.0])


def test_a_drawn_world_keeps_to_what_its_models_state(model):
    question = at(35.0)
    low, high = model.forecasts(question)[0].predict([30.0]).interval(0.9)
    drawn = [
        model.draw_world(seed).curves(question, np.array([0]))[0].outcome([30.0])[0]
        for seed in range(100)
    ]
    inside = np.mean((low[0, 0] <= drawn) & (drawn <= high[0, 0]))
    assert inside == pytest.approx(0.9, abs=0.09)


def test_replicates_of_one_world_are_closer_than_worlds(model):
    question = at(80.0)
    numbers = np.arange(6)
    worlds = [model.draw_world(seed) for seed in range(8)]
    ends = np.array([
        [w.curves(question, numbers[[k]])[0].truth([2.0])[0] for k in numbers]
        for w in worlds
    ])  # fmt: skip
    assert len(np.unique(ends)) == ends.size
    again = worlds[2].curves(question, numbers[[4]])[0].truth([2.0])[0]
    assert again == ends[2, 4]


def test_a_curve_that_went_wrong_is_more_surprising_than_good_ones(model, unseen):
    chances = []
    for forecast, own in zip(
        model.forecasts(unseen.questions), unseen.reads("mass"), strict=True
    ):
        chances.append(forecast.surprise(own).chance)
        stuck = Reads(own.time, np.full_like(own.value, own.value[0]))
        assert forecast.surprise(stuck).chance <= 1 / 20
    assert np.mean(np.array(chances) < 0.1) < 0.25


def test_the_series_that_does_not_fit_the_others_is_named_without_being_told(model):
    curves = drying(heats=HEATS[::2])
    bad = [
        value * (0.5 if heat == 50.0 else 1.0)
        for heat, value in zip(
            curves.questions.columns["heat"], curves.values, strict=True
        )
    ]
    spoilt = Curves(
        curves.questions, curves.names, curves.readouts, curves.times, tuple(bad)
    )
    first, *others = surprising_series(model, spoilt, protocol(), ["heat"])
    assert first.shared == {"heat": 50.0}
    assert first.n_curves == 3
    assert first.score > 3.0
    assert first.score > 1.5 * max(one.score for one in others)


def test_series_by_an_unknown_condition_or_too_few_are_refused(model):
    with pytest.raises(SpaceError, match="Did you mean 'heat'"):
        surprising_series(model, drying(), protocol(), ["heats"])
    with pytest.raises(NotEnoughDataError, match="4 in all at least; got 2"):
        surprising_series(model, drying(3, heats=HEATS[:2]), protocol(), ["heat"])


def test_the_card_says_what_was_learnt(model):
    card = model.card
    assert (card.readout, card.unit, card.time_unit) == ("mass", "g", "min")
    assert (card.n_curves, card.n_conditions) == (39, 13)
    assert card.data_sha256 == drying().digest()
    assert card.base in {"mean curve", *(family.name for family in FAMILIES)}
    assert model.support(at(50.0))[0] > 0.5


def test_too_few_curves_and_curves_of_one_read_are_refused():
    few = drying(1, heats=(20.0, 50.0))
    with pytest.raises(NotEnoughDataError, match="at least 8; got 2"):
        fit_curves(few, protocol())
    curves = drying(1)
    short = (curves.times[0][:1], *curves.times[1:])
    values = (curves.values[0][:1], *curves.values[1:])
    cut = Curves(curves.questions, curves.names, curves.readouts, short, values)
    with pytest.raises(NotEnoughDataError, match="'20/0' has 1"):
        fit_curves(cut, protocol())


def test_curves_of_two_reads_teach_no_end_and_are_refused():
    curves = drying(1)
    cut = Curves(
        curves.questions,
        curves.names,
        curves.readouts,
        tuple(time[:2] for time in curves.times),
        tuple(value[:2] for value in curves.values),
    )
    with pytest.raises(NotEnoughDataError, match="the longest has 2"):
        fit_curves(cut, protocol())


@pytest.mark.parametrize("time", [-1.0, np.nan, np.inf])
def test_times_that_no_clock_shows_are_not_asked_about(model, time: float):
    with pytest.raises(InvalidInputError, match="times of 0 or more"):
        model.forecasts(at(50.0))[0].predict([1.0, time])


@pytest.mark.parametrize("level", [0.0, 3.0])
def test_curves_that_never_change_are_functions_too(level: float):
    reads = [Reads(np.arange(4.0), np.full(4, level)) for _ in range(9)]
    functions = learn_functions(reads, place_knots(reads))
    np.testing.assert_allclose(functions.values, level, atol=1e-5)
    assert np.isfinite(functions.noise).all()


def test_an_unknown_readout_is_named():
    with pytest.raises(InvalidInputError, match="Did you mean 'mass'"):
        fit_curves(drying(), protocol(), readout="mas")


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_a_family_is_found_again_from_its_own_curve(family):
    shape = np.array([np.median(grid) + 0.01 for grid in family.grids])
    time = np.linspace(0.0, 8.0, 30)
    value = 2.0 - 3.0 * family.g(time / 10.0, shape[None])[0]
    fit = fit_family(family, Reads(time, value), 10.0)
    np.testing.assert_allclose(fit.at(time), value, atol=0.01)


def test_akaike_takes_the_curve_with_fewest_numbers_that_fits():
    rng = np.random.default_rng(0)
    time = np.linspace(0.0, 10.0, 25)
    noise = 0.01 * rng.normal(size=25)
    assert best_by_aic(Reads(time, 1 + 2 * time + noise), 10.0).family.name == "line"
    growth = GOMPERTZ.g(time / 10.0, np.array([[np.log(12.0), 0.4]]))[0]
    assert best_by_aic(Reads(time, growth + noise), 10.0).family.name == "gompertz"
    level = best_by_aic(Reads(time[:2], np.array([1.0, 3.0])), 10.0)
    assert level.at(np.array([7.0])) == pytest.approx(2.0)


def test_functions_are_learnt_from_grids_that_do_not_meet():
    rng = np.random.default_rng(0)
    reads = []
    for _ in range(40):
        time = np.sort(rng.uniform(0.0, 1.0, 9))
        height = rng.normal()
        reads.append(Reads(time, 3.0 + height * np.sin(3.0 * time)))
    functions = learn_functions(reads, place_knots(reads))
    shapes = principal(functions, share=0.99, most=8)
    first = shapes.shapes[:, 0]
    expected = np.sin(3.0 * functions.knots.at)
    assert abs(np.corrcoef(first, expected)[0, 1]) > 0.98
    np.testing.assert_allclose(functions.mean[3:-3], 3.0, atol=0.3)


@pytest.mark.parametrize("n", [3, 40], ids=["few reads", "many reads"])
def test_a_process_after_reads_is_the_gaussian_given_them(n: int):
    knots = Knots(np.linspace(0.0, 1.0, 6))
    covariance = knots.kernel(0.5)
    process = Process(knots, np.ones(6), covariance, NOISE_SD**2)
    rng = np.random.default_rng(1)
    time = np.sort(rng.uniform(0.0, 1.0, n))
    reads = Reads(time, 1.0 + rng.normal(size=n))
    found = process.after(reads)
    weights = knots.weights(time)
    precision = np.linalg.inv(covariance) + weights.T @ weights / NOISE_SD**2
    expected = np.linalg.inv(precision)
    np.testing.assert_allclose(found.covariance, expected, atol=1e-8)
    away = expected @ (weights.T @ (reads.value - 1.0)) / NOISE_SD**2
    np.testing.assert_allclose(found.mean, 1.0 + away, atol=1e-6)
    assert process.after(NO_READS) is process
    seen = weights @ covariance @ weights.T + NOISE_SD**2 * np.eye(n)
    far = (reads.value - 1.0) @ np.linalg.solve(seen, reads.value - 1.0)
    assert process.distance(reads) == pytest.approx(far, rel=1e-6)
