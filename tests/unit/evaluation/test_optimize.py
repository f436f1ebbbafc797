"""Back-tests on tables: honest, paired, reproducible."""

import json

import numpy as np
import pytest

from labwm.errors import InvalidInputError, NotEnoughDataError, NotFoundError
from labwm.evaluation.backtest import Plan, backtest
from labwm.evaluation.lookup import lookup_from
from labwm.evaluation.optimize import OptimizeSettings, bench_optimize
from labwm.evaluation.random_expectation import expected_best

PLAN = Plan(batch=3, budget=12)
FREE = ("random", "space_filling")


def test_random_expectation_on_direct_arylation_is_the_published_one(
    direct_arylation_yields,
):
    best = expected_best(direct_arylation_yields, 40)
    assert best[[9, 19, 39]] == pytest.approx([66.8, 78.4, 86.4], abs=0.05)


def test_simulated_random_agrees_with_its_exact_expectation(paint, paint_table):
    settings = OptimizeSettings(PLAN, policies=("random",), seeds=300)
    table = bench_optimize(paint, paint_table, settings)
    for at in (3, 6, 12):
        simulated = table.get("random", "best", at)
        exact = table.get("random_exact", "best", at)
        error = (simulated.high - simulated.low) / 3.92
        assert abs(simulated.mean - exact.mean) < 4 * error
    assert table.get("random", "regret_area", 12).mean == pytest.approx(1, abs=0.15)


def test_the_json_table_has_the_contracts_keys(paint, paint_table):
    settings = OptimizeSettings(PLAN, policies=FREE, seeds=2)
    table = bench_optimize(paint, paint_table, settings, data="paint.csv")
    content = json.loads(table.to_json())
    assert {"command", "data", "data_sha256", "seeds", "versions", "rows"} <= set(
        content
    )
    assert set(content["rows"][0]) == {
        "name", "metric", "at", "mean", "low", "high", "n",
    }  # fmt: skip
    names = {row["name"] for row in content["rows"]}
    assert names == {*FREE, "random_exact", "random - space_filling"}
    assert content["versions"]["torch"]


def test_two_runs_agree_apart_from_time_and_memory(paint, paint_table):
    settings = OptimizeSettings(PLAN, policies=FREE, seeds=3)
    first, second = (bench_optimize(paint, paint_table, settings) for _ in range(2))
    machine = {"seconds_per_recommendation", "peak_mb"}
    assert [r for r in first.rows if r.metric not in machine] == [
        r for r in second.rows if r.metric not in machine
    ]


def test_progress_is_told_after_each_campaign(paint, paint_table):
    told = []
    settings = OptimizeSettings(PLAN, policies=FREE, seeds=2)
    bench_optimize(
        paint, paint_table, settings, progress=lambda what, i, n: told.append((i, n))
    )
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_two_objectives_are_scored_by_hypervolume(paint_two, paint_table):
    settings = OptimizeSettings(Plan(10, 60), policies=("random",), seeds=3)
    table = bench_optimize(paint_two, paint_table, settings)
    assert table.get("random", "hypervolume", 60).mean == pytest.approx(1.0)
    assert table.get("random", "topk_recall", 60).mean == 1.0
    assert table.get("random_exact", "hypervolume", 60).mean == pytest.approx(1.0)
    assert 0 < table.get("random_exact", "hypervolume", 10).mean < 1
    assert table.get("random", "best", 60) is None


def test_minimising_reports_the_readout_in_its_own_sign(paint_two, paint_table):
    cheap = paint_two.model_copy(update={"objectives": paint_two.objectives[1:]})
    settings = OptimizeSettings(Plan(20, 60), policies=("random",), seeds=2)
    table = bench_optimize(cheap, paint_table, settings)
    prices = [row.readouts["price"].value for row in paint_table]
    assert table.get("random", "best", 60).mean == pytest.approx(min(prices))
    assert table.get("random", "simple_regret", 60).mean == pytest.approx(0)


def test_a_failed_row_costs_an_experiment_and_gives_nothing(
    paint, paint_table, paint_row
):
    first = paint_table[0].conditions
    table = [
        paint_row(first["resin"], first["solids"], None, 1.0),
        *paint_table[1:],
    ]
    settings = OptimizeSettings(Plan(60, 60), policies=("random",), seeds=1)
    result = bench_optimize(paint, table, settings)
    values = [row.readouts["gloss"].value for row in table[1:]]
    assert result.get("random", "best", 60).mean == pytest.approx(max(values))


def test_a_replicate_is_drawn_by_seed_and_conditions_alone(
    paint, paint_table, paint_row
):
    doubled = [
        *paint_table,
        *(
            paint_row(r.conditions["resin"], r.conditions["solids"], 0.0, 1.0)
            for r in paint_table
        ),
    ]
    lookup = lookup_from(paint, doubled)
    assert len(lookup) == 60
    drawn = [[lookup.measure(i, seed=s) for i in range(60)] for s in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2]
    value = paint_table[7].readouts["gloss"].value
    assert lookup.truth[7, 0] == pytest.approx(value / 2)


def test_a_campaign_ends_when_the_table_is_spent(paint, paint_table):
    trace = backtest(
        lookup_from(paint, paint_table), Plan(7, 500), policy="random", seed=1
    )
    assert sorted(trace.rows) == list(range(60))


def test_an_unknown_policy_is_refused_before_any_campaign(paint, paint_table):
    settings = OptimizeSettings(PLAN, policies=("random", "ranom"))
    with pytest.raises(NotFoundError, match="Did you mean 'random'"):
        bench_optimize(paint, paint_table, settings)


def test_a_table_of_one_condition_is_refused(paint, paint_table):
    with pytest.raises(NotEnoughDataError, match="got 1 in 5 measurements"):
        bench_optimize(paint, [paint_table[0]] * 5, OptimizeSettings(PLAN, ("random",)))


@pytest.mark.parametrize(
    ("batch", "budget"), [(0, 5), (6, 5)], ids=["empty", "over the budget"]
)
def test_a_batch_fits_the_budget(batch, budget):
    with pytest.raises(InvalidInputError, match=f"batch={batch}, budget={budget}"):
        Plan(batch, budget)


def test_places_end_at_the_budget():
    assert Plan(4, 10).places == [4, 8, 10]


def test_settings_refuse_a_policy_named_twice():
    with pytest.raises(InvalidInputError, match="each named once"):
        OptimizeSettings(PLAN, policies=("random", "random"))


def test_jobs_change_nothing_but_the_time(paint, paint_table):
    plain = OptimizeSettings(PLAN, policies=("random",), seeds=4)
    spread = OptimizeSettings(PLAN, policies=("random",), seeds=4, jobs=2)
    one, two = (bench_optimize(paint, paint_table, s) for s in (plain, spread))
    for at in (3, 12):
        assert one.get("random", "best", at) == two.get("random", "best", at)
    assert np.isfinite(two.get("random", "peak_mb").mean)
