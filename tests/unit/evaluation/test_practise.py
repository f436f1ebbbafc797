"""Practice: picking and training in the virtual lab, and what is compared with it."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from labwm.errors import InvalidInputError, NotEnoughDataError
from labwm.evaluation.logs import poor_half_log
from labwm.evaluation.lookup import Lookup, lookup_from
from labwm.evaluation.pool_policies import CANDIDATES, Seen, choose
from labwm.evaluation.practice_arms import (
    Practice,
    pick,
    train,
    virtual_steps_to_top,
)
from labwm.evaluation.practise import (
    ARMS,
    Outcome,
    Practised,
    PractiseSettings,
    practise_table,
)
from labwm.evaluation.practise_plots import practise_plot
from labwm.evaluation.practise_rows import ALL, practise_table_of
from labwm.evaluation.rehearsal import (
    RealCampaign,
    Rehearsal,
    VirtualCampaigns,
    rehearse,
    steps_to,
)
from labwm.evaluation.scorer import PolicyGradient, Scorer, Steps, features_of
from labwm.schema import Goal, Measurement, Objective, Protocol

SMALL = Practice(worlds=8, episodes=8, iterations=2, horizon=5, n_pick=40, n_train=30)


@pytest.fixture(scope="module")
def lookup(paint: Protocol, paint_table: Sequence[Measurement]) -> Lookup:
    return lookup_from(paint, paint_table)


@pytest.fixture(scope="module")
def rehearsal(lookup: Lookup) -> Rehearsal:
    log = poor_half_log(lookup, 10, seed=0)
    return rehearse(lookup, log, recipe="explore", budget=8, seed=0)


def seen(**changes: object) -> Seen:
    parts = {
        "objective": Objective(readout="y", goal=Goal.MAXIMISE),
        "mean": np.array([[1.0, 2.0, 3.0]]),
        "sd": np.array([[1.0, 0.5, 0.1]]),
        "best": np.array([2.5]),
        "is_open": np.ones((1, 3), dtype=bool),
        "draw": lambda rng: rng.random((1, 3)),
        **changes,
    }
    return Seen(**parts)  # type: ignore[arg-type]


def test_a_log_is_of_the_worse_half_and_follows_its_seed(lookup: Lookup):
    log = poor_half_log(lookup, 12, seed=1)
    worth = lookup.utilities[:, 0]
    assert worth[log].max() <= np.median(worth)
    np.testing.assert_array_equal(log, poor_half_log(lookup, 12, seed=1))
    assert set(log.tolist()) != set(poor_half_log(lookup, 12, seed=2).tolist())


def test_a_log_longer_than_the_worse_half_is_refused(lookup: Lookup):
    with pytest.raises(NotEnoughDataError, match="worse half"):
        poor_half_log(lookup, 31, seed=0)


@pytest.mark.parametrize(
    ("name", "row"), [("greedy", 2), ("spread", 0), ("upper_bound_4", 0)]
)
def test_policies_choose_by_what_they_are_named_after(name: str, row: int):
    rng = np.random.default_rng(0)
    assert choose(CANDIDATES[name], seen(), rng)[0] == row


@pytest.mark.parametrize("name", CANDIDATES)
def test_no_policy_chooses_what_was_measured(name: str):
    closed = seen(is_open=np.array([[False, True, False]]))
    assert choose(CANDIDATES[name], closed, np.random.default_rng(0))[0] == 1


def test_a_network_sees_no_units_and_no_order():
    plain = features_of(seen())
    scaled = features_of(
        seen(
            mean=np.array([[10.0, 20.0, 30.0]]),
            sd=np.array([[10.0, 5.0, 1.0]]),
            best=np.array([25.0]),
        )
    )
    np.testing.assert_allclose(plain, scaled, atol=1e-5)
    turned = features_of(
        seen(mean=np.array([[3.0, 2.0, 1.0]]), sd=np.array([[0.1, 0.5, 1.0]]))
    )
    np.testing.assert_allclose(plain[:, ::-1], turned, atol=1e-6)


def test_training_learns_which_candidate_pays():
    gradient = PolicyGradient(Scorer(0), discount=1.0, rate=0.05, entropy=0.0)
    rng = np.random.default_rng(0)
    many = seen(
        mean=np.tile([1.0, 2.0, 3.0], (64, 1)),
        sd=np.tile([1.0, 0.5, 0.1], (64, 1)),
        best=np.full(64, 2.5),
        is_open=np.ones((64, 3), dtype=bool),
    )
    first = gradient.draw(many, rng)[1]
    assert len(set(first.tolist())) == 3
    for _ in range(40):
        features, rows = gradient.draw(many, rng)
        pays = (rows == 1).astype(float)
        gradient.learn(Steps([features], [many.is_open], [rows], [pays]))
    assert np.mean(gradient.draw(many, rng)[1] == 1) > 0.8


def test_the_place_of_the_first_hit_counts_from_one():
    hits = np.array([[False, True], [False, False], [True, True]])
    np.testing.assert_array_equal(steps_to(hits), [3, 1])
    np.testing.assert_array_equal(steps_to(np.zeros((4, 1), bool)), [5])


def test_virtual_campaigns_are_the_same_for_the_same_seed(rehearsal: Rehearsal):
    one, two = (VirtualCampaigns(rehearsal, 3, seed=4) for _ in range(2))
    np.testing.assert_array_equal(one.utilities(), two.utilities())
    rows = np.array([0, 1, 2])
    np.testing.assert_array_equal(one.measure(rows), two.measure(rows))
    assert not one.seen().is_open[[0, 1, 2], rows].any()
    assert not np.array_equal(
        one.utilities(), VirtualCampaigns(rehearsal, 3, seed=5).utilities()
    )


def test_improving_finds_the_best_sooner_than_chance_in_the_virtual_lab(
    rehearsal: Rehearsal,
):
    steps = {
        name: virtual_steps_to_top(
            rehearsal, CANDIDATES[name], worlds=48, seed=0
        ).mean()
        for name in ("improvement", "random")
    }
    assert steps["improvement"] < steps["random"] - 1.0
    name, needed = pick(rehearsal, CANDIDATES, SMALL, seed=0)
    assert needed[name] == min(needed.values())


def test_training_in_the_virtual_lab_follows_its_seed(rehearsal: Rehearsal):
    one, two = (train(rehearsal, SMALL, seed=3) for _ in range(2))
    assert one.needed == two.needed
    assert len(one.needed) == 2


def test_a_real_campaign_believes_what_the_model_of_its_rows_says(
    lookup: Lookup, rehearsal: Rehearsal
):
    log = poor_half_log(lookup, 10, seed=0)
    campaign = RealCampaign(lookup, log, rehearsal, budget=8, seed=0, refit=2)
    best = int(np.argmax(lookup.utilities[:, 0]))
    gain = campaign.measure(np.array([best]))
    assert gain[0] > 0
    assert campaign.measure(np.array([int(np.setdiff1d(np.arange(60), log)[0])])) <= 0
    known = campaign.seen()
    assert known.best[0] == lookup.utilities[best, 0]
    assert known.is_open.sum() == 60 - 10 - 2
    assert known.sd[0, best] < np.median(known.sd)


@pytest.fixture(scope="module")
def practised(
    paint: Protocol, paint_table: Sequence[Measurement], tmp_path_factory
) -> tuple[Practised, PractiseSettings]:
    settings = PractiseSettings(
        logs=(8,), seeds=1, budget=3, practice=SMALL, keep=tmp_path_factory.mktemp("k")
    )
    return practise_table(paint, paint_table, settings), settings


def test_every_arm_is_counted_and_what_was_kept_is_not_run_again(
    practised: tuple[Practised, PractiseSettings],
    paint: Protocol,
    paint_table: Sequence[Measurement],
    monkeypatch: pytest.MonkeyPatch,
):
    found, settings = practised
    (outcome,) = found.outcomes[8]
    assert set(ARMS) <= set(outcome.needed)
    assert all(1 <= n <= 4 for n in outcome.needed.values())
    assert outcome.needed["picked"] == outcome.needed[f"candidate:{outcome.picked}"]
    told: list[int] = []
    monkeypatch.setattr("labwm.evaluation.practise.outcome_of", told.append)
    assert practise_table(paint, paint_table, settings) == found
    assert told == []


def test_the_figures_compare_arms_log_by_log():
    counts = {
        "default": 10,
        "picked": 5,
        "practised": 4,
        "scratch": 12,
        "scratch_after": 6,
    }
    tried = {f"candidate:{name}": 10 for name in CANDIDATES}
    tried["candidate:random"] = 30

    def outcome(factor: int) -> Outcome:
        needed = {name: n * factor for name, n in (counts | tried).items()}
        return Outcome(needed, "greedy", 1.0)

    one = Practised("aa", 60, 100, {10: (outcome(1), outcome(2))})
    settings = PractiseSettings(logs=(10,), seeds=2)
    table = practise_table_of({"a": one, "b": replace(one, sha256="bb")}, settings)

    def mean(name: str, metric: str, data: str) -> float | None:
        (row,) = [
            r for r in table.rows if (r.name, r.metric, r.data) == (name, metric, data)
        ]
        return row.mean

    assert mean("practised", "experiments_to_top1pct", "a") == 6.0
    for data in ("a", "b", ALL):
        assert mean("practised", "acceleration", data) == pytest.approx(3.0)
        assert mean("picked", "acceleration", data) == pytest.approx(12 / 5)
        assert mean("picked_of_sensible", "acceleration", data) == pytest.approx(2.0)
        assert mean("default / practised", "acceleration", data) == pytest.approx(2.5)
        assert mean("practised", "negative_transfer_rate", data) == 0.0
    assert table.settings["recipe"] == "explore"
    assert practise_plot({"a": one}).startswith(b"\x89PNG")


@pytest.mark.parametrize(
    "changes", [{"seeds": 0}, {"logs": ()}, {"logs": (10, 10)}, {"budget": 0}], ids=str
)
def test_settings_that_play_nothing_are_refused(changes: dict):
    with pytest.raises(InvalidInputError, match="logs of different lengths"):
        PractiseSettings(**changes)
    with pytest.raises(InvalidInputError, match="one or more"):
        Practice(worlds=0)


def test_several_objectives_are_refused_before_any_work(
    paint_two: Protocol, paint_table: Sequence[Measurement]
):
    with pytest.raises(InvalidInputError, match="one objective"):
        practise_table(paint_two, paint_table, PractiseSettings())


def test_a_table_named_twice_is_refused(tmp_path: Path):
    from labwm.api.cli import run

    words = ["bench", "practise", "--data", "hplc", "--data", "hplc"]
    assert run([*words, "--json", str(tmp_path / "x.json")]) != 0
