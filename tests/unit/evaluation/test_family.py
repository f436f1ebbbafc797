"""Scores over families of tables, and planners of other packages beside labwm's."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from labwm.api.cli import run
from labwm.data.families import Family, load_family
from labwm.errors import InvalidInputError, NotFoundError, UnavailableError
from labwm.evaluation.backtest import Plan, play
from labwm.evaluation.family import bench_family
from labwm.evaluation.lookup import lookup_from
from labwm.evaluation.optimize import OptimizeSettings, play_table
from labwm.evaluation.optimize_plots import campaigns_plot, family_plot
from labwm.evaluation.paired import difference_row, family_rows
from labwm.evaluation.planners import Planner
from labwm.evaluation.progress import first_batch_percentiles
from labwm.evaluation.side_planner import SidePlanner
from labwm.evaluation.yardstick import yardstick_of

PLAN = Plan(batch=3, budget=9)
LAST_ROWS = """
import json, sys
for line in sys.stdin:
    message = json.loads(line)
    if "pool" in message:
        left = list(range(len(message["pool"])))
        answer = {"ok": True}
    else:
        done = {m["row"] for m in message["measured"]}
        answer = {"rows": [i for i in left[::-1] if i not in done][: message["ask"]]}
    print(json.dumps(answer | {"peak_mb": 12.5}), flush=True)
"""
REFUSES = """
import sys
for line in sys.stdin:
    print('{"error": "ValueError: one level only", "peak_mb": 1}', flush=True)
"""


@pytest.fixture
def family() -> Family:
    tables = [
        {"data": "one", "vote": "first", "half": "choose"},
        {"data": "two", "vote": "second"},
        {"data": "three", "vote": "second"},
    ]
    return Family.model_validate(
        {"name": "paints", "batch": 3, "budget": 9, "tables": tables}
    )


@pytest.fixture
def result(family, paint, paint_table):
    settings = OptimizeSettings(PLAN, policies=("space_filling", "random"), seeds=4)
    tables = {"one": paint_table, "two": paint_table[:40], "three": paint_table[20:]}
    return bench_family(family, settings, lambda one: (paint, tables[one.data]))


def test_the_shipped_family_names_sets_with_protocols(mirror):
    from labwm.data.catalogue import catalogue

    family = load_family("optimisation")
    entries = [catalogue()[one.data] for one in family.tables]
    assert all(entry.protocol for entry in entries)
    assert len({one.vote for one in family.tables}) == 10
    assert {one.half for one in family.tables} == {"choose", "report"}


def test_a_vote_of_two_tables_counts_once(result, family):
    areas = {
        (row.data, row.name): row.mean
        for row in result.table.rows
        if row.metric == "regret_area"
    }
    score = result.table.get("space_filling", "family_regret_area", "all").mean
    one, two, three = (areas[one.data, "space_filling"] for one in family.tables)
    assert score == pytest.approx((one + (two + three) / 2) / 2)


def test_each_half_of_a_family_is_scored_apart(result):
    places = {r.at for r in result.table.rows if r.metric == "family_regret_area"}
    assert places == {"all", "choose", "report"}


def test_rows_of_a_family_name_their_table(result):
    content = json.loads(result.table.to_json())
    named = {row.get("data") for row in content["rows"]}
    assert named == {"one", "two", "three", None}


def test_the_ratio_of_a_policy_to_itself_is_sure():
    areas = [np.array([0.5, 0.9, 1.1]), np.array([0.2, 0.4, 0.3])]
    rows = family_rows({"a": {"v": areas}, "b": {"v": areas}}, half="all")
    ratio = next(row for row in rows if row.metric == "family_regret_ratio")
    assert (ratio.mean, ratio.low, ratio.high) == (1.0, 1.0, 1.0)


def test_a_paired_interval_leaves_out_what_seeds_share():
    shared = np.random.default_rng(0).normal(size=30) * 100
    row = difference_row(("a", "b"), "regret_area", 50, (shared + 1, shared))
    assert (row.name, row.low, row.high) == (
        "a - b",
        pytest.approx(1),
        pytest.approx(1),
    )


def test_random_first_batches_lie_at_the_middle_on_average(paint, paint_table):
    yardstick = yardstick_of(lookup_from(paint, paint_table), n_max=9)
    rng = np.random.default_rng(0)
    values = yardstick.utilities[:, 0]
    best = [values[rng.permutation(60)[:3]].max() for _ in range(2000)]
    percentiles = first_batch_percentiles(np.array(best), 3, yardstick)
    assert percentiles.mean() == pytest.approx(0.5, abs=0.02)


def test_plots_are_drawn_for_tables_and_families(result):
    one = campaigns_plot(result.played["one"], data="one")
    assert (
        one[:8] == family_plot(result.played, name="paints")[:8] == b"\x89PNG\r\n\x1a\n"
    )


def test_kept_campaigns_are_not_run_again(paint, paint_table, tmp_path):
    settings = OptimizeSettings(PLAN, policies=("random",), seeds=3, keep=tmp_path)
    told: list[str] = []
    first = play_table(
        paint, paint_table, settings, progress=lambda w, i, n: told.append(w)
    )
    again = play_table(
        paint, paint_table, settings, progress=lambda w, i, n: told.append(w)
    )
    assert len(told) == 3
    assert [t.rows.tolist() for t in first.traces["random"]] == [
        t.rows.tolist() for t in again.traces["random"]
    ]
    other = OptimizeSettings(Plan(3, 6), policies=("random",), seeds=1, keep=tmp_path)
    play_table(paint, paint_table, other, progress=lambda w, i, n: told.append(w))
    assert len(told) == 4


def side(tmp_path, text: str) -> SidePlanner:
    script = tmp_path / "planner.py"
    script.write_text(text)
    return SidePlanner("last", Path(sys.executable), script, "last 1.0")


def test_a_planner_of_another_package_plays_the_same_campaign(
    paint, paint_table, tmp_path
):
    lookup = lookup_from(paint, paint_table)
    planner = side(tmp_path, LAST_ROWS)
    seam = Planner(planner.choose, planner.prepare, lambda: planner.peak_mb)
    trace = play(lookup, PLAN, seam, seed=0)
    planner.close()
    assert trace.rows.tolist() == list(range(59, 50, -1))
    assert trace.peak_mb == 12.5
    assert np.isnan(trace.is_covered).all()


def test_what_a_planner_refuses_is_said(paint, paint_table, tmp_path):
    planner = side(tmp_path, REFUSES)
    seam = Planner(planner.choose, planner.prepare, lambda: planner.peak_mb)
    with pytest.raises(InvalidInputError, match="one level only"):
        play(lookup_from(paint, paint_table), PLAN, seam, seed=0)
    planner.close()


def test_a_planner_that_ends_is_said(paint, paint_table, tmp_path):
    planner = side(tmp_path, "raise SystemExit(3)")
    seam = Planner(planner.choose, planner.prepare, lambda: planner.peak_mb)
    with pytest.raises(UnavailableError, match="ended instead"):
        play(lookup_from(paint, paint_table), PLAN, seam, seed=0)
    planner.close()


def test_a_planner_without_its_environment_is_refused_before_any_campaign(
    paint, paint_table
):
    settings = OptimizeSettings(PLAN, policies=("baybe",), seeds=1)
    with pytest.raises(UnavailableError, match=r"pip install baybe\[chem\]"):
        play_table(paint, paint_table, settings)


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        ("name: f\nbatch: 1\nbudget: 2\ntables: []", "at least 1 item"),
        (
            "name: f\nbatch: 1\nbudget: 2\n"
            "tables: [{data: a, vote: a}, {data: a, vote: b}]",
            "each table once",
        ),
        ("{", "names its tables with their votes"),
    ],
    ids=["empty", "twice", "no yaml"],
)
def test_a_broken_family_file_is_refused(tmp_path, content, rule):
    path = tmp_path / "f.yaml"
    path.write_text(content)
    with pytest.raises(InvalidInputError, match=rule):
        load_family(path)


def test_an_unknown_family_is_refused():
    with pytest.raises(NotFoundError, match="Did you mean 'optimisation'"):
        load_family("optimization")


@pytest.mark.parametrize(
    "words",
    [
        ["--data", "hplc", "--family", "optimisation"],
        [],
        ["--family", "optimisation", "--protocol", "hplc"],
    ],
    ids=["both", "neither", "family with protocol"],
)
def test_the_command_takes_tables_or_a_family(words, capsys):
    assert run(["bench", "optimize", *words]) == 2
    assert "error[invalid-input]" in capsys.readouterr().err
