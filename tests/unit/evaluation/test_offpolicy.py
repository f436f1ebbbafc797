"""Policies valued from another's log: logs, propensities, estimators, figures."""

import json
from dataclasses import replace

import numpy as np
import pytest

from labwm.errors import (
    InvalidInputError,
    NotEnoughDataError,
    NotFoundError,
    TableError,
)
from labwm.evaluation.offpolicy.behaviour_log import (
    BehaviourLog,
    log_from,
    read_logs,
    worst_half,
)
from labwm.evaluation.offpolicy.bench import OffPolicySettings, judge_policies, table_of
from labwm.evaluation.offpolicy.estimators import ESTIMATORS, Knowledge, Policy
from labwm.evaluation.offpolicy.plots import support_plot, values_plot
from labwm.evaluation.offpolicy.propensity import effective_number, propensities
from labwm.evaluation.offpolicy.public_logs import PUBLIC
from labwm.space.questions import Questions
from labwm.world_model import fit

FEW = OffPolicySettings(n_log=25, n_measured=6, block=10, seeds=2)


@pytest.fixture(scope="module")
def paint_lookup(paint, paint_table):
    return table_of(paint, paint_table)


@pytest.fixture(scope="module")
def logs(paint_lookup):
    """Two careful painters and one who measures anything, ten campaigns each."""
    worth = paint_lookup.utilities[:, 0]
    ranked = np.argsort(worth)
    rng = np.random.default_rng(0)
    return [
        log_from(
            name,
            [
                (campaign, order, int(rng.choice(rows[first:last])))
                for campaign in range(10)
                for order, (first, last) in enumerate(
                    (min(2 * i, 40), min(2 * i + 20, 60)) for i in range(30)
                )
            ],
        )
        for name, rows in (("careful", ranked), ("any", rng.permutation(60)))
    ]


@pytest.fixture(scope="module")
def found(paint_lookup, logs):
    return judge_policies(
        paint_lookup, [*logs, worst_half(paint_lookup)], FEW, data="paint"
    )


def test_a_log_file_names_conditions_or_rows(paint_lookup, tmp_path):
    rows = [paint_lookup.pool.row(i) for i in (4, 9)]
    by_conditions = tmp_path / "ann.csv"
    by_conditions.write_text(
        "campaign,order,resin,solids\n"
        + "".join(f"x,{i},{r['resin']},{r['solids']!r}\n" for i, r in enumerate(rows))
        + "x,2,a,0.123456\n"
    )
    (log,) = read_logs(by_conditions, paint_lookup)
    assert (log.name, log.row.tolist(), log.n_unknown) == ("ann", [4, 9], 1)
    by_row = tmp_path / "both.csv"
    by_row.write_text("behaviour,campaign,order,row\nbob,1,0,7\nann,1,0,3\nbob,1,1,8\n")
    read = {log.name: log.row.tolist() for log in read_logs(by_row, paint_lookup)}
    assert read == {"ann": [3], "bob": [7, 8]}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("campaign,row\n1,2\n", "order"),
        ("campaign,order,row\n1,0,60\n", "0 to 59"),
        ("campaign,order,row\n1,first,2\n", "whole numbers"),
    ],
    ids=["no order", "no such row", "no number"],
)
def test_a_log_that_cannot_be_read_is_refused(paint_lookup, tmp_path, text, words):
    path = tmp_path / "log.csv"
    path.write_text(text)
    with pytest.raises(TableError, match=words):
        read_logs(path, paint_lookup)
    with pytest.raises(NotFoundError, match="nobody"):
        read_logs(tmp_path / "nobody.csv", paint_lookup)


def test_what_is_learnt_from_is_whole_campaigns_in_their_order():
    log = log_from("one", [(c, o, 10 * c + o) for c in range(4) for o in range(5)])
    rows = log.some(8, seed=1)
    assert len(set(rows.tolist())) == 8
    first = rows[0] // 10
    assert rows[:5].tolist() == [10 * first + o for o in range(5)]
    assert len(log.some(99, seed=1)) == 20


def test_propensities_follow_the_shares_of_levels():
    pool = Questions(
        {"base": np.array(["a", "a", "b", "b"], dtype=object), "t": np.arange(4.0)}
    )
    chance = propensities(pool, np.array([0, 0, 0, 1, 1, 1]))
    assert chance.sum() == pytest.approx(1)
    assert chance[0] == pytest.approx(chance[1])
    assert chance[:2].min() > 10 * chance[2:].max()
    assert chance.min() > 0


def test_weights_of_one_count_as_one():
    assert effective_number(np.ones(7)) == pytest.approx(7)
    assert effective_number(np.array([1.0, 0.0, 0.0])) == pytest.approx(1)


def test_errors_on_the_log_are_those_of_models_without_the_row(paint_lookup):
    rows = np.arange(0, 40, 2)
    observations = paint_lookup.observed.take(
        np.array([paint_lookup.measure(int(r), seed=0) for r in rows])
    )
    model = fit(observations, paint_lookup.protocol, pool=paint_lookup.pool)
    known = Knowledge(paint_lookup, model, rows, False, np.ones(len(paint_lookup)))
    learnt, missed = known.left_out
    own = model.surrogates[0]
    place = int(np.flatnonzero(learnt == 8)[0])
    left = [i for i in range(len(learnt)) if i != place]
    gram = (own.factor @ own.factor.T).numpy()
    y = own.targets.numpy()
    mean = gram[place, left] @ np.linalg.solve(gram[np.ix_(left, left)], y[left])
    assert missed[place] == pytest.approx(own.scale * (y[place] - mean))


def test_a_log_that_saw_outcomes_or_shares_no_ground_gives_no_doubly_robust_value(
    paint_lookup,
):
    is_a = paint_lookup.pool.columns["resin"] == "a"
    rows, others = np.flatnonzero(is_a), np.flatnonzero(~is_a)
    observations = paint_lookup.observed.take(rows)
    model = fit(observations, paint_lookup.protocol, pool=paint_lookup.pool)
    support = model.support(paint_lookup.pool)
    policy = Policy(others, np.arange(5), paint_lookup.truth[others[:5], 0])
    same = Policy(rows, np.arange(5), paint_lookup.truth[rows[:5], 0])
    honest = Knowledge(paint_lookup, model, rows, False, support)
    peeking = Knowledge(paint_lookup, model, rows, True, support)
    robust = ESTIMATORS["doubly_robust"]
    assert robust(peeking, same).is_vacuous
    assert np.isinf(robust(peeking, same).width)
    assert not robust(honest, same).is_vacuous
    assert robust(honest, same).covers(paint_lookup.truth[rows, 0].mean())
    assert not ESTIMATORS["direct"](honest, policy).is_vacuous


def test_intervals_hold_and_predictions_make_them_narrower(found):
    table = found.table
    for name in ("prediction_powered", "real_only"):
        assert table.get(name, "coverage90").mean >= 0.8
    assert table.get("prediction_powered", "width_ratio").mean < 0.8
    assert table.get("real_only", "width_ratio").mean == pytest.approx(1)
    assert table.get("direct", "rank_correlation").mean > 0


def test_who_saw_the_outcomes_is_learnt_from_and_not_judged(found):
    assert {one.source for one in found.judged} == {"careful", "any", "worst_half"}
    assert not any(one.target.startswith("worst_half") for one in found.judged)
    assert found.table.get("doubly_robust", "vacuous_share", "worst_half").mean == 1


def test_the_long_table_has_the_contracts_metrics(found):
    content = json.loads(found.table.to_json())
    assert {row["name"] for row in content["rows"]} == set(ESTIMATORS)
    metrics = {row["metric"] for row in content["rows"]}
    assert {"value_error", "rank_correlation", "coverage90", "width_ratio"} <= metrics
    places = {row["at"] for row in content["rows"] if row["metric"] == "coverage90"}
    assert {None, "careful", "low support", "high support"} <= places
    assert content["settings"]["recipe"] == "default"


def test_a_run_of_fewer_seeds_says_the_same_of_those(found, paint_lookup, logs):
    one = replace(FEW, seeds=1)
    again = judge_policies(paint_lookup, [*logs, worst_half(paint_lookup)], one)
    assert list(again.judged) == [j for j in found.judged if j.seed == 0]


def test_both_plots_are_drawn(found):
    assert values_plot(found.judged, unit=found.unit).startswith(b"\x89PNG")
    assert support_plot(found.judged).startswith(b"\x89PNG")


def test_experiments_without_a_value_are_left_out_and_counted(
    paint, paint_table, paint_row
):
    broken = [
        paint_row(**paint_table[0].conditions, gloss=None, price=1.0),
        *paint_table[1:],
    ]
    lookup = table_of(paint, broken)
    first = log_from("one", [(c, o, o) for c in range(5) for o in range(20)])
    second = log_from("two", [(c, o, 20 + o) for c in range(5) for o in range(20)])
    settings = OffPolicySettings(n_log=15, n_measured=5, block=20, seeds=1)
    found = judge_policies(lookup, [first, second], settings)
    assert found.notes == (
        "one: 5 of 100 experiments are no certain row of the table, or gave no value, "
        "and are left out.",
    )


def test_logs_that_give_no_pair_are_refused(paint_lookup, logs):
    with pytest.raises(NotEnoughDataError, match="worst_half"):
        judge_policies(paint_lookup, [worst_half(paint_lookup)], FEW)
    with pytest.raises(InvalidInputError, match="a name of its own"):
        judge_policies(paint_lookup, [logs[0], logs[0]], FEW)
    short = BehaviourLog("short", *np.zeros((3, 4), dtype=np.int64))
    with pytest.raises(NotEnoughDataError, match="at least 18"):
        judge_policies(paint_lookup, [short, worst_half(paint_lookup)], FEW)


@pytest.mark.parametrize("change", [{"n_log": 9}, {"n_measured": 3}, {"seeds": 0}])
def test_settings_without_a_meaning_are_refused(change):
    with pytest.raises(InvalidInputError, match="Raise what is too small"):
        OffPolicySettings(**change)


def test_the_public_logs_agree_with_the_table_they_were_written_on(mirror):
    from labwm.data.assay import read_assay
    from labwm.data.protocols import load_protocol

    protocol = load_protocol("direct_arylation")
    measurements = read_assay("direct_arylation", protocol).measurements
    lookup = table_of(protocol, measurements)
    game, runs = (read(lookup) for read in PUBLIC.values())
    # Every one of the chemists' yields was checked against the table while reading.
    assert (len(game), len(np.unique(game.campaign))) == (1548, 50)
    assert (len(runs), runs.n_unknown) == (4286, 714)
    assert 99 < lookup.truth[runs.row, 0].max() < 100  # rows of 100 tie


def test_a_public_log_on_another_table_is_refused(mirror, paint_lookup):
    for read in PUBLIC.values():
        with pytest.raises(TableError, match="direct_arylation"):
            read(paint_lookup)
