"""One strictly increasing cdf gives mean, quantile and density."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy.integrate import quad
from scipy.stats import norm

from labwm.errors import InvalidInputError
from labwm.schema import CalibrationMap, Prediction, prediction_of

STEPS = st.floats(0.05, 2.0)


@st.composite
def maps(draw: st.DrawFn) -> CalibrationMap:
    n = draw(st.integers(1, 5))
    z = draw(st.floats(-2, 2)) + np.cumsum([draw(STEPS) for _ in range(n)])
    r = draw(st.floats(-2, 2)) + np.cumsum([draw(STEPS) for _ in range(n)])
    return CalibrationMap(z=tuple(z), r=tuple(r), tail=draw(st.floats(0.3, 3.0)))


@st.composite
def predictions(draw: st.DrawFn) -> Prediction:
    q, m = draw(st.integers(1, 3)), draw(st.integers(1, 2))

    def grid(low: float, high: float) -> np.ndarray:
        return np.array(
            [[draw(st.floats(low, high)) for _ in range(m)] for _ in range(q)]
        )

    return Prediction(
        readouts=tuple(f"y{j}" for j in range(m)),
        units=("nm",) * m,
        location=grid(-100, 100),
        epistemic=grid(0, 5),
        aleatoric=grid(0.1, 5),
        calibration=tuple(draw(maps()) for _ in range(m)),
        is_vacuous=np.zeros((q, m), dtype=bool),
    )


def standard_normal() -> Prediction:
    return Prediction(
        readouts=("y0",),
        units=(None,),
        location=np.zeros((1, 1)),
        epistemic=np.zeros((1, 1)),
        aleatoric=np.ones((1, 1)),
        calibration=(CalibrationMap(),),
        is_vacuous=np.zeros((1, 1), dtype=bool),
    )


@given(maps(), st.floats(-8, 8))
def test_a_map_and_its_inverse_undo_each_other(g: CalibrationMap, z: float):
    assert g.inverse(g.forward(z)) == pytest.approx(z, abs=1e-9)


@given(maps())
@settings(deadline=None)
def test_the_moments_of_a_map_agree_with_quadrature(g: CalibrationMap):
    knots = sorted({*g.z, -12.0, 12.0})
    first = second = 0.0
    for low, high in pairwise(knots):
        first += quad(lambda z: float(g.forward(z)) * norm.pdf(z), low, high)[0]
        second += quad(lambda z: float(g.forward(z)) ** 2 * norm.pdf(z), low, high)[0]
    mean, sd = g.moments()
    assert mean == pytest.approx(first, abs=1e-6)
    assert sd == pytest.approx(np.sqrt(second - first**2), abs=1e-5)


@given(predictions(), st.floats(0.001, 0.999))
def test_the_cdf_of_a_quantile_is_its_probability(prediction: Prediction, p: float):
    np.testing.assert_allclose(prediction.cdf(prediction.quantile(p)), p, atol=1e-9)


@given(predictions())
@settings(deadline=None, max_examples=40)
def test_the_density_integrates_to_the_cdf(prediction: Prediction):
    one = prediction.take([0])
    g = one.calibration[0]
    location, scale = one.location[0, 0], one.scale[0, 0]
    ys = location + scale * np.concatenate(
        [[float(g.forward(-9.0))], g.r, [float(g.forward(1.0))]]
    )
    ys = np.unique(np.minimum(ys, ys[-1]))

    def density(y: float) -> float:
        row = one.location.copy()
        row[0, 0] = y
        return float(np.exp(one.log_density(row)[0, 0]))

    total = sum(quad(density, low, high, limit=200)[0] for low, high in pairwise(ys))
    end = one.location.copy()
    end[0, 0] = ys[-1]
    assert total == pytest.approx(one.cdf(end)[0, 0], abs=1e-6)


@given(predictions())
def test_the_cdf_increases_strictly(prediction: Prediction):
    levels = [prediction.quantile(p) for p in (0.01, 0.2, 0.5, 0.8, 0.99)]
    assert all(np.all(np.diff([low, high], axis=0) > 0)
               for low, high in pairwise(levels))  # fmt: skip


@given(predictions(), st.floats(1e-6, 1e6))
def test_a_change_of_unit_only_rescales(prediction: Prediction, factor: float):
    scaled = Prediction(
        readouts=prediction.readouts,
        units=("other",) * len(prediction.units),
        location=prediction.location * factor,
        epistemic=prediction.epistemic * factor,
        aleatoric=prediction.aleatoric * factor,
        calibration=prediction.calibration,
        is_vacuous=prediction.is_vacuous,
    )
    np.testing.assert_allclose(
        scaled.mean, prediction.mean * factor, rtol=1e-9, atol=1e-9 * factor
    )
    np.testing.assert_allclose(scaled.sd, prediction.sd * factor, rtol=1e-9)
    y = prediction.quantile(0.7)
    np.testing.assert_allclose(
        scaled.log_density(y * factor), prediction.log_density(y) - np.log(factor),
        rtol=1e-6, atol=1e-6,
    )  # fmt: skip


def test_without_calibration_the_prediction_is_normal():
    plain = Prediction(
        readouts=("y0",), units=(None,), location=np.array([[2.0]]),
        epistemic=np.array([[3.0]]), aleatoric=np.array([[4.0]]),
        calibration=(CalibrationMap(),), is_vacuous=np.array([[False]]),
    )  # fmt: skip
    assert plain.mean[0, 0] == 2.0
    assert plain.sd[0, 0] == pytest.approx(5.0)
    assert plain.epistemic_sd[0, 0] == pytest.approx(3.0)
    low, high = plain.interval(0.9)
    assert (low[0, 0], high[0, 0]) == pytest.approx(norm.interval(0.9, 2.0, 5.0))
    assert plain.log_density([[4.0]])[0, 0] == pytest.approx(norm.logpdf(4.0, 2.0, 5.0))


@given(predictions())
def test_records_read_back_the_same_distribution(prediction: Prediction):
    again = prediction_of(prediction.records())
    y = prediction.quantile(0.3)
    np.testing.assert_array_equal(again.cdf(y), prediction.cdf(y))
    np.testing.assert_array_equal(again.mean, prediction.mean)
    assert again.units == prediction.units


@pytest.mark.parametrize("p", [0.0, 1.0, -0.1, float("nan")])
def test_a_quantile_outside_zero_and_one_is_refused(p: float):
    with pytest.raises(InvalidInputError, match="strictly between 0 and 1"):
        standard_normal().quantile(p)


def test_parts_of_unlike_shapes_are_refused():
    with pytest.raises(InvalidInputError, match="share one shape"):
        Prediction(
            readouts=("y0",), units=(None,), location=np.zeros((2, 1)),
            epistemic=np.zeros((1, 1)), aleatoric=np.ones((2, 1)),
            calibration=(CalibrationMap(),), is_vacuous=np.zeros((2, 1), bool),
        )  # fmt: skip


@pytest.mark.parametrize(
    "content",
    [
        {"z": (0.0, 0.0), "r": (0.0, 1.0)},
        {"z": (0.0, 1.0), "r": (1.0, 0.0)},
        {"z": (0.0,), "r": (0.0, 1.0)},
        {"z": (), "r": ()},
        {"tail": 0.0},
    ],
)
def test_a_map_that_does_not_increase_is_refused(content):
    with pytest.raises(ValidationError):
        CalibrationMap(**content)


def test_predictions_of_other_readouts_are_not_read_together():
    with pytest.raises(InvalidInputError, match="same readouts"):
        prediction_of([])
