"""The virtual lab beside the real one: measures, panel, logs, figures."""

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from scipy.spatial.distance import pdist

from labwm.design.candidates import changed_freely
from labwm.design.features import features
from labwm.errors import InvalidInputError, NotEnoughDataError, NotFoundError
from labwm.evaluation.fidelity.agreement import (
    kendall,
    mmrv,
    n_apart,
    pearson,
    regret_at,
    spearman,
    value_bias,
)
from labwm.evaluation.fidelity.arena import (
    LogPlan,
    WorldPlan,
    build_arena,
    of_one_readout,
    panel_of,
)
from labwm.evaluation.fidelity.bench import FidelitySettings, bench_table, compare_labs
from labwm.evaluation.fidelity.biased_log import biased_rows
from labwm.evaluation.fidelity.figures import Returns, noise_floor
from labwm.evaluation.fidelity.frozen import Campaign, FrozenKernel
from labwm.evaluation.fidelity.panel import PANEL
from labwm.evaluation.fidelity.plots import agreement_plot
from labwm.evaluation.lookup import lookup_from
from labwm.evaluation.prediction_powered import prediction_powered, real_only
from labwm.schema.fidelity import CORRELATIONS

REAL = np.array([0.0, 1.0, 4.0])
VIRTUAL = np.array([1.0, 0.0, 2.0])
FEW = FidelitySettings(logs=2, seeds=6, budget=12, n_log=20)


@pytest.fixture(scope="module")
def paint_lookup(paint, paint_table):
    return of_one_readout(lookup_from(changed_freely(paint), paint_table))


@pytest.fixture(scope="module")
def compared(paint, paint_table):
    return compare_labs(paint, paint_table, FEW, data="paint")


def test_the_rank_violation_is_that_of_a_hand_made_example():
    # The virtual lab swaps the first two, 1 apart for real; the range is 4.
    assert mmrv(VIRTUAL, REAL) == pytest.approx((1 + 1 + 0) / 3 / 4)


def test_the_rank_violation_takes_the_virtual_lab_first():
    virtual, real = np.array([3.0, 2.0, 1.0]), np.array([0.0, 0.0, 5.0])
    # For real the first two tie: only their order to the third, 5 away, is wrong, and
    # the virtual order of a real tie is wrong by nothing.
    assert mmrv(virtual, real) == pytest.approx((5 + 5 + 5) / 3 / 5)
    # The other way round the tie of the first two counts by their distance, 1 of 2.
    assert mmrv(real, virtual) == pytest.approx((2 + 1 + 2) / 3 / 2)


def test_regret_is_what_the_virtual_labs_best_loses_for_real():
    virtual, real = np.array([9.0, 5.0, 1.0]), np.array([6.0, 10.0, 2.0])
    assert regret_at(1)(virtual, real) == pytest.approx(4 / 8)
    assert regret_at(2)(virtual, real) == 0
    assert regret_at(1)(real, real) == 0


def test_correlations_are_scipys_ties_included():
    rng = np.random.default_rng(0)
    a = rng.integers(0, 4, size=(20, 8)).astype(float)
    b = rng.integers(0, 4, size=(20, 8)).astype(float)
    for ours, theirs in (
        (pearson, stats.pearsonr),
        (spearman, stats.spearmanr),
        (kendall, stats.kendalltau),
    ):
        expected = [theirs(x, y).statistic for x, y in zip(a, b, strict=True)]
        assert ours(a, b) == pytest.approx(expected)


def test_a_lab_without_differences_has_no_correlation_and_no_range():
    flat = np.ones(3)
    assert np.isnan(pearson(flat, REAL))
    assert np.isnan(kendall(flat, REAL))
    assert np.isnan(mmrv(VIRTUAL, flat))


def test_value_bias_is_a_share_of_the_real_range():
    assert value_bias(REAL + 2.0, REAL) == pytest.approx(0.5)


def test_policies_count_as_apart_past_two_standard_errors():
    means = np.array([0.0, 1.0, 3.0, 3.5])
    assert n_apart(means, np.full((4, 4), 0.4)) == 3
    assert n_apart(means, np.full((4, 4), 5.0)) == 1


def test_one_campaigns_posterior_is_the_exact_one():
    rng = np.random.default_rng(0)
    root = rng.normal(size=(9, 9))
    kernel = FrozenKernel(root @ root.T, 0.3)
    campaign = Campaign(kernel, 4)
    rows, values = [3, 0, 7], np.array([1.0, -2.0, 4.0])
    for row, value in zip(rows, values, strict=True):
        campaign.tell(row, value)
    location, scale = campaign.units
    assert (location, scale) == pytest.approx((values.mean(), values.std(ddof=1)))
    own = kernel.covariance[np.ix_(rows, rows)] + 0.3 * np.eye(3)
    cross = kernel.covariance[:, rows]
    mean = location + scale * cross @ np.linalg.solve(own, (values - location) / scale)
    left = kernel.covariance - cross @ np.linalg.solve(own, cross.T)
    said = campaign.mean_and_sd()
    assert said[0] == pytest.approx(mean)
    assert said[1] == pytest.approx(scale * np.sqrt(left.diagonal()))
    noise = rng.normal(size=(3000, 3))
    prior = rng.normal(size=(3000, 9)) @ kernel.factor.T
    drawn = np.array([campaign.drawn(*p) for p in zip(prior, noise, strict=True)])
    assert drawn.mean(axis=0) == pytest.approx(mean, abs=0.4)
    assert drawn.var(axis=0) == pytest.approx(scale**2 * left.diagonal(), rel=0.15)


@pytest.mark.parametrize("behaviour", ["leaning", "lower_half", "corner"])
def test_a_log_has_the_bias_that_it_declares(paint_lookup, behaviour):
    rows = biased_rows(paint_lookup, behaviour=behaviour, n=15, seed=0)
    worth = paint_lookup.utilities[:, 0]
    assert len(set(rows.tolist())) == 15
    if behaviour == "lower_half":
        assert worth[rows].max() <= np.median(worth)
    if behaviour == "leaning":
        means = [
            worth[biased_rows(paint_lookup, behaviour=behaviour, n=15, seed=s)].mean()
            for s in range(20)
        ]
        assert np.mean(means) < worth.mean()
    if behaviour == "corner":
        x = features(paint_lookup.protocol, paint_lookup.pool)
        assert pdist(x[rows]).mean() < 0.8 * pdist(x).mean()


def test_a_behaviour_that_cannot_choose_so_many_is_refused(paint_lookup):
    with pytest.raises(InvalidInputError, match="1 to 30"):
        biased_rows(paint_lookup, behaviour="lower_half", n=31, seed=0)
    with pytest.raises(InvalidInputError, match="lower_half"):
        FidelitySettings(behaviour="lower_hal")


def test_policies_start_alike_and_never_measure_twice(paint_lookup):
    arena = build_arena(
        paint_lookup, LogPlan("random", 20, 0), WorldPlan(), budget=15, n_initial=4
    )
    readings = paint_lookup.truth[:, 0].copy()
    played = {
        name: arena.player.play(name, readings, seed=3)
        for name in panel_of(paint_lookup.protocol)
    }
    assert "one_hot" not in played
    for rows in played.values():
        assert len(set(rows.tolist())) == 15
        assert rows[:4].tolist() == played["random"][:4].tolist()
    readings[played["default"][2]] = np.nan
    assert len(set(arena.player.play("default", readings, seed=3).tolist())) == 15


def test_a_policy_sees_only_what_it_measured(paint_lookup):
    arena = build_arena(
        paint_lookup, LogPlan("random", 20, 0), WorldPlan(), budget=10, n_initial=4
    )
    readings = paint_lookup.truth[:, 0].copy()
    rows = arena.player.play("default", readings, seed=1)
    unseen = np.setdiff1d(np.arange(len(readings)), rows)
    readings[unseen] = 1e6
    assert arena.player.play("default", readings, seed=1).tolist() == rows.tolist()


def test_virtual_worlds_stay_within_declared_bounds_unless_told_otherwise(
    paint, paint_table
):
    bounded = paint.model_copy(
        update={
            "readouts": tuple(
                r.model_copy(update={"bounds": (20.0, 60.0)}) for r in paint.readouts
            )
        }
    )
    lookup = of_one_readout(lookup_from(changed_freely(bounded), paint_table))
    log = LogPlan("corner", 12, 0)
    kept = [
        build_arena(
            lookup, log, WorldPlan(is_bounded=is_bounded), budget=6, n_initial=2
        ).virtual(range(10))[1]
        for is_bounded in (True, False)
    ]
    assert kept[0].min() >= 20.0
    assert kept[0].max() <= 60.0
    assert kept[1].max() > 60.0 or kept[1].min() < 20.0


def test_the_long_table_has_the_contracts_metrics(compared):
    content = json.loads(bench_table([compared], FEW).to_json())
    metrics = {row["metric"] for row in content["rows"]}
    assert {
        "pearson", "spearman", "kendall", "mmrv", "regret_at_1", "value_bias",
        "noise_floor",
    } <= metrics  # fmt: skip
    assert {row["name"] for row in content["rows"]} == {"default"}
    assert content["settings"]["recipe"] == "default"


def test_the_report_is_a_record_that_a_gate_reads(compared):
    report = compared.report
    assert type(report).model_validate_json(report.canonical_json()) == report
    assert report.figure("mmrv").aim >= 0.05
    assert report.meets_aims == all(
        report.figure(name).is_met for name in ("pearson", "mmrv", "regret_at_1")
    )


def test_every_interval_holds_its_own_figure(compared):
    for figure in compared.report.figures:
        assert figure.low <= figure.value <= figure.high
        if figure.metric in CORRELATIONS:
            assert figure.high <= 1
        elif figure.metric != "value_bias":
            assert figure.low >= 0


def test_policies_that_return_the_same_have_no_ranking_and_meet_no_aim(
    paint, paint_table
):
    everything = replace(FEW, budget=60, returned="best", seeds=4, logs=1)
    found = compare_labs(paint, paint_table, everything, data="paint")
    assert found.report.figure("pearson").value is None
    assert found.report.n_apart == 1
    assert not found.report.meets_aims
    assert bench_table([found], everything).get("default", "pearson").mean is None


def test_one_seed_gives_figures_without_intervals(paint, paint_table):
    found = compare_labs(paint, paint_table, replace(FEW, seeds=1, logs=1))
    figure = found.report.figure("mmrv")
    assert figure.value is not None
    assert (figure.low, figure.floor) == (None, None)
    assert found.report.policies[0].real_error is None


def test_a_log_too_short_to_learn_from_is_refused(paint, paint_table):
    with pytest.raises(NotEnoughDataError, match="at least"):
        compare_labs(paint, paint_table, replace(FEW, n_log=3))


def test_the_plot_names_every_policy(compared):
    assert agreement_plot(compared).startswith(b"\x89PNG")


def test_several_tables_have_medians(compared):
    found = bench_table([compared, compared, compared], FEW)
    row = found.get("default", "pearson", "median of tables")
    assert row.mean == pytest.approx(compared.report.figure("pearson").value)


def test_kept_campaigns_are_not_played_again_and_change_nothing(
    paint, paint_table, tmp_path, compared
):
    kept = replace(FEW, keep=tmp_path)
    first = compare_labs(paint, paint_table, kept, data="paint")
    files = sorted(tmp_path.iterdir())
    assert len(files) == 2 * 2 * len(first.returns.policies)
    stamps = [file.stat().st_mtime_ns for file in files]
    told = []
    again = compare_labs(
        paint, paint_table, kept, data="paint", progress=lambda *a: told.append(a)
    )
    assert told == []
    assert [file.stat().st_mtime_ns for file in files] == stamps
    assert again.report == first.report == compared.report


def test_a_model_of_half_the_table_ranks_as_the_table_does(paint, paint_table):
    settings = FidelitySettings(
        behaviour="random", n_log=30, logs=1, seeds=20, budget=12, n_initial=3
    )
    found = compare_labs(paint, paint_table, settings)
    assert found.report.figure("pearson").value > 0.8


def test_the_noise_floor_of_a_silent_lab_is_none():
    real = np.tile(np.arange(4.0), (1, 10, 1))
    floor = noise_floor(Returns(tuple("abcd"), real, real))
    assert floor["mmrv"] == 0
    assert floor["pearson"] == pytest.approx(1)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"policies": ("defalt",)}, NotFoundError, "default"),
        ({"policies": ("default", "random")}, InvalidInputError, "two policies"),
        ({"seeds": 0}, InvalidInputError, "seeds=0"),
        ({"budget": 5}, InvalidInputError, "budget=5"),
        ({"returned": "bst"}, NotFoundError, "best"),
    ],
    ids=["typo", "no ranking", "no seed", "no budget", "no return"],
)
def test_settings_without_a_meaning_are_refused(change, error, words):
    with pytest.raises(error, match=words):
        FidelitySettings(**change)


def test_two_objectives_are_refused_before_any_work(paint_two, paint_table):
    with pytest.raises(InvalidInputError, match="2 objectives"):
        compare_labs(paint_two, paint_table, FEW)


def test_a_policy_without_a_meaning_here_is_refused(paint, paint_table):
    settings = FidelitySettings(policies=("default", "one_hot"))
    with pytest.raises(InvalidInputError, match="needs molecules"):
        compare_labs(paint, paint_table, settings)


def test_the_panel_is_graded_by_its_share_of_random_experiments():
    shares = [p.epsilon for n, p in PANEL.items() if n.startswith(("default", "ran"))]
    assert shares == [0.0, 0.25, 0.5, 0.75, 1.0]


def test_a_prediction_powered_mean_is_that_of_a_hand_made_example():
    measured, said = np.array([1.0, 2.0, 3.0, 4.0]), np.array([2.0, 3.0, 4.0, 5.0])
    everything = np.concatenate([said, [8.0, 8.0]])
    found = prediction_powered(measured, said, everything)
    # Predictions are one too high, always: the weight is 1 and nothing is left over.
    assert found.value == pytest.approx(everything.mean() - 1.0)
    assert found.width == pytest.approx(0.0, abs=1e-9)
    plain = real_only(measured, 6)
    variance = measured.var(ddof=1) * (1 - 4 / 6) / 4
    assert plain.width == pytest.approx(2 * stats.t.isf(0.05, 3) * variance**0.5)


def test_useless_predictions_leave_the_mean_alone():
    measured = np.array([1.0, 2.0, 3.0, 5.0])
    found = prediction_powered(measured, -measured, np.zeros(9))
    assert found.value == pytest.approx(measured.mean())


def test_prediction_powered_intervals_cover_and_are_narrower():
    rng = np.random.default_rng(0)
    outcomes = rng.normal(size=400)
    said = outcomes + rng.normal(size=400)
    covered, ratios = [], []
    for _ in range(400):
        rows = rng.permutation(400)[:20]
        found = prediction_powered(outcomes[rows], said[rows], said)
        covered.append(found.covers(outcomes.mean()))
        ratios.append(found.width / real_only(outcomes[rows], 400).width)
    assert 0.86 < np.mean(covered) < 0.94
    assert np.mean(ratios) < 0.8


def test_a_mean_of_three_has_no_interval():
    with pytest.raises(NotEnoughDataError, match="at least 4"):
        real_only(np.ones(3), 5)
