"""Scores against independent formulas, other libraries, and what they must not do."""

import numpy as np
import pytest
from scipy.stats import binomtest, kstest, norm, spearmanr
from sklearn import metrics
from sklearn.calibration import calibration_curve

from labwm import scores
from labwm.errors import InvalidInputError


def outcomes(n: int = 200, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    mean, sd = rng.normal(size=n), rng.uniform(0.5, 2.0, n)
    return mean + sd * rng.normal(size=n), mean, sd


def test_errors_and_ranks_are_those_of_other_libraries():
    y, mean, _ = outcomes()
    assert scores.rmse(y, mean) == pytest.approx(
        metrics.root_mean_squared_error(y, mean)
    )
    assert scores.mae(y, mean) == pytest.approx(metrics.mean_absolute_error(y, mean))
    assert scores.r2(y, mean) == pytest.approx(metrics.r2_score(y, mean))
    assert scores.spearman(y, mean) == pytest.approx(spearmanr(y, mean)[0])
    ties = np.round(mean)
    assert scores.spearman(y, ties) == pytest.approx(spearmanr(y, ties)[0])


def test_what_equal_outcomes_leave_undefined_is_nan():
    assert np.isnan(scores.r2([1.0, 1.0], [0.9, 1.1]))
    assert np.isnan(scores.spearman([1.0, 1.0], [0.9, 1.1]))


def test_crps_of_normals_is_the_integral_of_its_definition():
    y, mean, sd = outcomes(5)
    closed = scores.crps_gaussian(y, mean, sd)
    grid = np.linspace(-30, 30, 200_001)
    for i in range(5):
        cdf = norm.cdf(grid, mean[i], sd[i])
        integral = np.trapezoid((cdf - (grid >= y[i])) ** 2, grid)
        assert closed[i] == pytest.approx(integral, abs=1e-3)


def test_crps_from_quantiles_is_that_of_normals():
    y, mean, sd = outcomes()
    found = scores.crps(y, lambda level: norm.ppf(level, mean, sd))
    closed = scores.crps_gaussian(y, mean, sd)
    np.testing.assert_allclose(found.mean(), closed.mean(), rtol=2e-3)


def test_crps_of_a_point_is_its_absolute_error():
    y, mean, _ = outcomes()
    np.testing.assert_allclose(scores.crps(y, lambda _: mean), np.abs(y - mean))


@pytest.mark.parametrize("wrong", [(0.3, 1.0), (0.0, 1.5), (0.0, 0.6)])
def test_proper_scores_prefer_the_truth(wrong: tuple[float, float]):
    shift, factor = wrong
    y, mean, sd = outcomes(20_000)
    told = (mean + shift, factor * sd)

    def loss(mean: np.ndarray, sd: np.ndarray) -> tuple[float, float, float]:
        low, high = norm.ppf(0.05, mean, sd), norm.ppf(0.95, mean, sd)
        return (
            scores.nlpd(norm.logpdf(y, mean, sd)),
            float(scores.crps_gaussian(y, mean, sd).mean()),
            float(scores.interval_score(y, low, high, level=0.9).mean()),
        )

    truth, other = loss(mean, sd), loss(*told)
    assert all(t < o for t, o in zip(truth, other, strict=True))


def test_the_interval_score_fines_a_miss_by_its_distance():
    found = scores.interval_score([0.5, 2.0, -1.0], [0, 0, 0], [1, 1, 1], level=0.9)
    np.testing.assert_allclose(found, [1.0, 1.0 + 20.0, 1.0 + 20.0])


def test_coverage_counts_the_ends_of_intervals():
    assert scores.coverage([0.0, 1.0, 2.0, 3.0], [0] * 4, [1] * 4) == 0.5


def test_the_interval_of_a_share_is_that_of_scipy():
    for n_inside, n in ((0, 5), (7, 7), (57, 64)):
        known = binomtest(n_inside, n).proportion_ci(0.95, method="wilson")
        got = scores.share_interval(n_inside, n)
        assert got == pytest.approx((known.low, known.high), abs=1e-9)


def test_msll_compares_with_the_training_outcomes_not_the_test_outcomes():
    y, mean, sd = outcomes()
    train = np.array([0.0, 2.0, 4.0])
    found = scores.msll(norm.logpdf(y, mean, sd), y, train)
    reference = norm.logpdf(y, train.mean(), train.std())
    assert found == pytest.approx(np.mean(reference - norm.logpdf(y, mean, sd)))
    assert scores.msll(reference, y, train) == pytest.approx(0.0)


def test_msll_refuses_equal_training_outcomes():
    with pytest.raises(InvalidInputError, match="training outcomes that differ"):
        scores.msll([0.1], [1.0], [2.0, 2.0])


def test_miscalibration_area_is_that_of_a_fine_grid():
    u = np.random.default_rng(1).beta(2.0, 3.0, 57)
    grid = (np.arange(100_000) + 0.5) / 100_000
    inside = np.abs(2 * u - 1)[None, :] <= grid[:, None]
    expected = np.mean(np.abs(inside.mean(1) - grid))
    assert scores.miscalibration_area(u) == pytest.approx(expected, abs=1e-4)


def test_miscalibration_area_has_its_known_extremes():
    assert scores.miscalibration_area(np.full(50, 0.5)) == pytest.approx(0.5)
    assert scores.miscalibration_area(np.tile([0.0, 1.0], 25)) == pytest.approx(0.5)
    uniform = (np.arange(1000) + 0.5) / 1000
    assert scores.miscalibration_area(uniform) < 0.002


def test_pit_refuses_what_is_no_probability():
    with pytest.raises(InvalidInputError, match=r"lies in \[0, 1\]; got -0.1 to 0.5"):
        scores.pit([-0.1, 0.5])


def test_ence_is_small_where_deviations_are_true_and_grows_where_they_are_not():
    y, mean, sd = outcomes(20_000)
    assert scores.ence(y, mean, sd) < 0.03
    assert scores.ence(y, mean, 2 * sd) == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize(
    ("y", "mean", "problem"),
    [
        ([1.0, 2.0], [1.0], "one length"),
        ([], [], "one length"),
        ([[1.0]], [[1.0]], "one length"),
        ([1.0, np.nan], [1.0, 1.0], "finite numbers"),
    ],
    ids=["lengths", "empty", "matrix", "nan"],
)
def test_scores_refuse_what_they_cannot_pair(y: list, mean: list, problem: str):
    with pytest.raises(InvalidInputError, match=problem):
        scores.rmse(y, mean)


@pytest.mark.parametrize("level", [0.0, 1.0, 90.0])
def test_levels_lie_between_zero_and_one(level: float):
    with pytest.raises(InvalidInputError, match=r"Write 0\.9 for 90"):
        scores.interval_score([1.0], [0.0], [2.0], level=level)


def test_crpss_compares_with_the_empirical_distribution_of_training_outcomes():
    y, mean, sd = outcomes(60)
    train = np.random.default_rng(3).gamma(2.0, size=25)
    own = scores.crps_gaussian(y, mean, sd)
    spread = np.abs(train[:, None] - train[None, :]).mean() / 2
    reference = np.abs(y[:, None] - train[None, :]).mean(1) - spread
    expected = 1 - own.mean() / reference.mean()
    assert scores.crpss(own, y, train) == pytest.approx(expected)
    assert np.isnan(scores.crpss([0.0], [1.0], [1.0, 1.0]))


def test_sharpness_and_dispersion_are_moments_of_the_stated_deviations():
    assert scores.sharpness([3.0, 4.0]) == pytest.approx(np.sqrt(12.5))
    assert scores.dispersion([1.0, 3.0]) == pytest.approx(np.sqrt(2) / 2)
    assert np.isnan(scores.dispersion([1.0]))


def test_the_distance_from_uniform_is_that_of_kolmogorov():
    u = np.random.default_rng(2).beta(2, 1, 80)
    assert scores.pit_distance(u) == pytest.approx(kstest(u, "uniform").statistic)


def test_an_honest_model_stays_below_the_simulated_area():
    rng = np.random.default_rng(9)
    bound = scores.honest_miscalibration_area(50)
    areas = [scores.miscalibration_area(rng.random(50)) for _ in range(400)]
    assert np.mean(np.array(areas) < bound) == pytest.approx(0.9, abs=0.05)
    assert scores.honest_miscalibration_area(2000) < 0.25 * bound


def test_the_worst_slab_finds_where_intervals_fail_and_nothing_where_they_do_not():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2000, 3))
    honest = rng.random(2000) < 0.9
    assert scores.worst_slab_coverage(x, honest) > 0.82
    broken = honest & ~((x[:, 0] > 0.8) & (rng.random(2000) < 0.6))
    assert scores.worst_slab_coverage(x, broken) < 0.65


def test_adversarial_groups_look_worse_than_all_rows_and_worst_where_few():
    u = np.random.default_rng(0).random(400)
    area = scores.miscalibration_area(u)
    found = [scores.adversarial_miscalibration(u, share=s) for s in (0.05, 0.5)]
    assert found[0] > found[1] > area


def test_scores_of_probabilities_are_those_of_other_libraries():
    rng = np.random.default_rng(4)
    p = rng.random(300)
    hit = rng.random(300) < p**2
    assert scores.brier(hit, p) == pytest.approx(metrics.brier_score_loss(hit, p))
    assert scores.log_loss(hit, p) == pytest.approx(metrics.log_loss(hit, p))
    share, stated = calibration_curve(hit, p, n_bins=10, strategy="quantile")
    assert scores.calibration_error(hit, p) == pytest.approx(
        np.mean(np.abs(share - stated)), abs=1e-9
    )


def test_what_is_no_probability_is_refused():
    with pytest.raises(InvalidInputError, match="outcomes are 0 or 1"):
        scores.brier([1.0, 0.0], [0.5, 1.5])
    with pytest.raises(InvalidInputError, match="outcomes are 0 or 1"):
        scores.log_loss([0.5], [0.5])


def test_scores_are_those_of_uncertainty_toolbox_and_scoringrules():
    # Printed by uncertainty-toolbox 0.1.1 and scoringrules 0.10.0 for `outcomes()`.
    y, mean, sd = outcomes()
    cdf = norm.cdf(y, mean, sd)
    low, high = norm.ppf(0.05, mean, sd), norm.ppf(0.95, mean, sd)
    found = (
        scores.miscalibration_area(cdf),
        scores.sharpness(sd),
        scores.crps_gaussian(y, mean, sd).mean(),
        scores.nlpd(norm.logpdf(y, mean, sd)),
        scores.interval_score(y, low, high, level=0.9).mean(),
    )
    expected = (
        0.01400932375912829,  # on a grid of 2,000 levels
        1.3549297391854893,
        0.6942873800196364,
        1.596475624219134,
        5.075828568726141,
    )
    assert found[0] == pytest.approx(expected[0], abs=2e-5)
    assert found[1:] == pytest.approx(expected[1:], rel=1e-9)
