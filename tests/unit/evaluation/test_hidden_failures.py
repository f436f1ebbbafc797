"""Back-tests where a part of the table fails, and with earlier assays beside it."""

from dataclasses import replace

import numpy as np
import pytest

from labwm.design.propose import propose
from labwm.errors import InvalidInputError
from labwm.evaluation.backtest import Plan, state_of
from labwm.evaluation.hidden_failures import choose_blind, with_hidden_failures
from labwm.evaluation.lookup import lookup_from
from labwm.evaluation.optimize import OptimizeSettings, bench_optimize
from labwm.evaluation.yardstick import yardstick_of
from labwm.world_model.outcomes import success_of


@pytest.fixture
def lookup(paint, paint_table):
    return lookup_from(paint, paint_table)


def test_the_nearest_part_of_a_table_fails_and_the_rest_stays(lookup):
    partly = with_hidden_failures(lookup, 0.3)
    failed = success_of(partly.observed) == 0
    assert failed.sum() == 18
    assert np.isnan(partly.truth).all(axis=1).sum() == 18
    assert partly.sha256 != lookup.sha256
    resins = partly.observed.questions.columns["resin"]
    # A region, not a sprinkle: one resin fails far more often than its share.
    assert max(np.mean(resins[failed] == resin) for resin in "abcd") > 0.5
    kept = ~failed
    assert np.array_equal(
        partly.observed.values[kept], lookup.observed.values[kept], equal_nan=True
    )
    assert yardstick_of(partly, n_max=20).is_failed.sum() == 18


@pytest.mark.parametrize("share", [0.0, -0.1, 0.95, float("nan")])
def test_a_share_that_leaves_nothing_is_refused(lookup, share):
    with pytest.raises(InvalidInputError, match="can fail"):
        with_hidden_failures(lookup, share)


def test_who_is_blind_chooses_as_if_nothing_had_failed(lookup):
    partly = with_hidden_failures(lookup, 0.3)
    rows = np.flatnonzero(np.isnan(partly.truth[:, 0]))[:6].tolist()
    fine = np.flatnonzero(~np.isnan(partly.truth[:, 0]))[:6].tolist()
    measured = [partly.measure(row, seed=0) for row in (*rows, *fine)]
    state = state_of(partly, Plan(4, 20), measured, number=3, seed=0)
    batch = choose_blind(state, 4)
    chosen = {choice.row for choice in batch.choices}
    assert len(chosen) == 4
    assert not chosen & {*rows, *fine}
    alone = state_of(partly, Plan(4, 20), measured[6:], number=3, seed=0)
    pool = [i for i in range(len(partly)) if i not in rows]
    same = propose(replace(alone, pool=partly.pool.take(pool), n_initial=0), n=4)
    assert {pool[choice.row] for choice in same.choices} == chosen


def test_a_back_test_states_what_failed(paint, paint_table):
    settings = OptimizeSettings(
        Plan(4, 12), ("default", "failure_blind"), seeds=2, infeasible=0.3
    )
    found = bench_optimize(paint, paint_table, settings)
    shares = {r.name: r.mean for r in found.rows if r.metric == "failed_share"}
    assert set(shares) == {"default", "failure_blind", "random_exact"}
    assert shares["random_exact"] == pytest.approx(0.3)
    assert found.settings["infeasible"] == 0.3


def test_a_back_test_leans_on_sources(paint, paint_table):
    other = tuple(paint_table[:30])
    settings = OptimizeSettings(Plan(2, 4), ("default",), seeds=1)
    alone = bench_optimize(paint, paint_table[30:], settings)
    found = bench_optimize(
        paint, paint_table[30:], replace(settings, sources=(("other", other),))
    )
    assert found.settings["sources"] == "other"
    best = [
        next(
            r.mean
            for r in one.rows
            if (r.name, r.metric, r.at) == ("default", "best", 2)
        )
        for one in (alone, found)
    ]
    assert best[1] > best[0]
    with pytest.raises(InvalidInputError, match="the table that is searched"):
        bench_optimize(
            paint, paint_table, replace(settings, sources=(("me", tuple(paint_table)),))
        )
