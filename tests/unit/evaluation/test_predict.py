"""Models scored on rows that they did not see."""

import numpy as np
import pytest

from labwm.errors import (
    InvalidInputError,
    NotEnoughDataError,
    NotFoundError,
    SpaceError,
    TableError,
    UnavailableError,
)
from labwm.evaluation.baselines import forest_features, normal
from labwm.evaluation.forecasts import forecasts_of, joined, scored
from labwm.evaluation.lookup import lookup_from
from labwm.evaluation.predict import PredictSettings, bench_predict, compare
from labwm.evaluation.predict_plots import write_plots
from labwm.evaluation.split_files import read_splits
from labwm.evaluation.splits import (
    group_splits,
    random_splits,
    scaffold_splits,
    time_splits,
)
from labwm.schema import Protocol, Status, Value
from labwm.space.questions import questions_from

METRICS = {
    "rmse", "mae", "r2", "spearman", "nlpd", "nlpd_standardised", "nlpd_expected",
    "msll", "crps", "crpss", "coverage90", "width90", "interval_score90",
    "vacuous_share", "sharpness", "dispersion", "miscalibration_area", "pit_distance",
    "ence", "error_sd_spearman", "error_sd_spearman_expected", "seconds", "peak_mb",
    "worst_nlpd_excess", "pooled_coverage90", "pooled_miscalibration_area",
    "pooled_miscalibration_area_honest", "pooled_worst_slab_coverage90",
    "pooled_adversarial_miscalibration", "pooled_coverage90_low_support",
    "pooled_coverage90_middle_support", "pooled_coverage90_high_support",
}  # fmt: skip


def test_the_model_beats_the_forest_and_the_forest_beats_the_mean(paint, paint_table):
    table = bench_predict(paint, paint_table, PredictSettings(seeds=3))
    rmse = {
        name: table.get(name, "rmse", "random").mean
        for name in ("default", "random_forest", "mean")
    }
    assert rmse["default"] < rmse["random_forest"] < rmse["mean"]
    assert {row.metric for row in table.rows} == METRICS
    assert table.get("mean", "r2", "random").mean == pytest.approx(0, abs=0.25)


def test_scores_of_the_truth_itself_are_the_best_possible():
    y = np.random.default_rng(0).normal(size=4000)
    said = forecasts_of(y, normal(np.zeros(4000), np.ones(4000)), y[:, None])
    found = scored(said, y)
    assert found["coverage90"] == pytest.approx(0.9, abs=0.02)
    assert found["miscalibration_area"] < 0.02
    assert found["nlpd"] == pytest.approx(0.5 * np.log(2 * np.pi * np.e), abs=0.05)
    assert found["crps"] == pytest.approx(1 / np.sqrt(np.pi), rel=0.03)
    assert found["nlpd"] == pytest.approx(found["nlpd_expected"], abs=0.05)
    assert abs(found["crpss"]) < 0.01
    assert found["dispersion"] == 0.0


def test_random_splits_keep_replicates_together(paint, paint_table):
    lookup = lookup_from(paint, [*paint_table, *paint_table[:30]])
    for split in random_splits(lookup.replicates, 5):
        keys = lookup.observed.questions.keys()
        train = {keys[i] for i in split.train}
        assert not train & {keys[i] for i in split.test}
        assert len(split.train) + len(split.test) == 90


def test_a_split_file_is_followed(paint, paint_table, tmp_path):
    lines = [f"{i},fold-1,{'test' if i < 12 else 'train'}" for i in range(60)]
    path = tmp_path / "split.csv"
    path.write_text("row,fold,role\n" + "\n".join([*lines, "3,fold-1,valid"]))
    settings = PredictSettings(models=("mean",), split=str(path))
    table = bench_predict(paint, paint_table, settings)
    y = np.array([row.readouts["gloss"].value for row in paint_table])
    expected = np.sqrt(np.mean((y[:12] - y[12:].mean()) ** 2))
    row = table.get("mean", "rmse", "fold-1")
    assert row.mean == pytest.approx(expected)
    # One split: the interval is over its twelve rows.
    assert row.low < row.mean < row.high
    assert row.n == 12


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("row,fold\n0,a\n", "lacks 'role'"),
        ("row,fold,role\n99,a,train\n", "0 to 59; got '99'"),
        ("row,fold,role\nx,a,train\n", "got 'x'"),
        ("row,fold,role\n1,a,train\n", "none with the role 'test'"),
    ],
    ids=["column", "beyond", "word", "role"],
)
def test_a_broken_split_file_is_refused(tmp_path, text, message):
    path = tmp_path / "split.csv"
    path.write_text(text)
    with pytest.raises(TableError, match=message):
        read_splits(path, 60)


def test_an_absent_split_file_is_refused(tmp_path):
    with pytest.raises(UnavailableError, match="does not exist"):
        read_splits(tmp_path / "none.csv", 60)


def test_unknown_names_are_refused_with_the_nearest(paint, paint_table):
    with pytest.raises(NotFoundError, match="Did you mean 'default'"):
        bench_predict(paint, paint_table, PredictSettings(models=("defalt",)))
    with pytest.raises(NotFoundError, match="Did you mean 'gloss'"):
        bench_predict(paint, paint_table, PredictSettings(readout="glos"))


def test_too_few_rows_for_a_split_are_refused(paint, paint_table):
    with pytest.raises(NotEnoughDataError, match="a fifth of 6 is 1"):
        bench_predict(paint, paint_table[:6], PredictSettings())


def test_no_split_is_refused():
    with pytest.raises(InvalidInputError, match="seeds=0"):
        PredictSettings(seeds=0)


def test_a_forest_sees_every_kind_of_parameter():
    protocol = Protocol.model_validate(
        {
            "name": "mixed",
            "version": 1,
            "parameters": [
                {"name": "ligand", "kind": "molecule", "smiles": ["CCO", "c1ccccc1"]},
                {"name": "base", "kind": "categorical", "levels": ["a", "b"]},
                {"name": "blend", "kind": "mixture", "parts": ["x", "y"]},
                {"name": "heat", "kind": "continuous", "bounds": [0, 1]},
            ],
            "readouts": [{"name": "yield"}],
            "objectives": [{"readout": "yield", "goal": "maximise"}],
        }
    )
    row = {"ligand": "CCO", "base": "a", "blend.x": 0.3, "blend.y": 0.7, "heat": 0.5}
    other = row | {"ligand": "c1ccccc1", "base": "b"}
    x = forest_features(protocol, questions_from(protocol, [row, other]))
    assert np.all(np.isfinite(x))
    assert x[0, -3:].tolist() == [0.3, 0.7, 0.5]
    assert not np.array_equal(x[0], x[1])


def test_the_plain_process_beats_the_mean_and_knows_its_noise(paint, paint_table):
    settings = PredictSettings(models=("tanimoto_gp", "mean"), seeds=2)
    found = bench_predict(paint, paint_table, settings)
    rmse = {n: found.get(n, "rmse", "random").mean for n in ("tanimoto_gp", "mean")}
    assert rmse["tanimoto_gp"] < 0.4 * rmse["mean"]
    assert found.get("tanimoto_gp", "coverage90", "random").mean > 0.7


def test_the_plain_process_compares_molecules(library_table):
    protocol, table = library_table
    settings = PredictSettings(models=("tanimoto_gp", "mean"), seeds=2)
    found = bench_predict(protocol, table, settings)
    rmse = {n: found.get(n, "rmse", "random").mean for n in ("tanimoto_gp", "mean")}
    assert rmse["tanimoto_gp"] < rmse["mean"]


def test_scaffolds_stay_whole_and_the_most_frequent_is_learnt_from(library_table):
    from labwm.chem.scaffold import scaffolds

    lookup = lookup_from(*library_table)
    core = np.array(scaffolds(lookup.observed.questions.columns["molecule"]))
    splits = scaffold_splits(lookup, 3)
    assert [s.name for s in splits] == ["scaffold", *["scaffold-random"] * 3]
    for split in splits:
        assert not set(core[split.train]) & set(core[split.test])
        assert len(split.train) + len(split.test) == len(lookup.observed)
    sizes = {c: int(np.sum(core == c)) for c in set(core)}
    assert max(sizes, key=sizes.__getitem__) in core[splits[0].train]


def test_a_time_split_learns_from_the_past_only(paint, paint_table):
    lookup = lookup_from(paint, paint_table)
    for split in time_splits(lookup, 3):
        assert split.train.max() < split.test.min()
    assert len(time_splits(lookup, 1)) == 1
    solids = np.asarray(lookup.observed.questions.columns["solids"], float)
    for split in time_splits(lookup, 2, by="solids"):
        assert solids[split.train].max() <= solids[split.test].min()


def test_group_splits_ask_about_each_level_once(paint, paint_table):
    lookup = lookup_from(paint, paint_table)
    resin = lookup.observed.questions.columns["resin"]
    asked = []
    for split in group_splits(lookup, 10, by="resin"):
        assert not set(resin[split.train]) & set(resin[split.test])
        asked += sorted(set(resin[split.test]))
    assert sorted(asked) == ["a", "b", "c", "d"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (PredictSettings(("mean",), "scaffold"), "needs a molecule parameter"),
        (PredictSettings(("mean",), "time", by="day"), "orders rows by a condition"),
        (PredictSettings(("mean",), "group"), "Name one with --by: resin, solids"),
    ],
    ids=["scaffold", "time", "group"],
)
def test_splits_that_the_table_cannot_give_are_refused(
    paint, paint_table, settings, message
):
    with pytest.raises(SpaceError, match=message):
        bench_predict(paint, paint_table, settings)


def test_a_parameter_to_go_by_needs_a_split_that_goes_by_one():
    with pytest.raises(InvalidInputError, match="Leave `by` out"):
        PredictSettings(by="resin")


def test_failures_are_scored_beside_their_base_rate(paint, paint_row):
    rng = np.random.default_rng(3)
    table = [
        paint_row(r, s, None if s > 0.7 else 50 + 20 * s + rng.normal(), 1.0)
        for r, s in zip(rng.choice(list("abcd"), 90), rng.random(90), strict=True)
    ]
    found = bench_predict(paint, table, PredictSettings(models=("default",), seeds=2))
    brier = found.get("default", "success_brier", "random").mean
    assert brier < 0.4 * found.get("default", "success_base_rate_brier", "random").mean
    assert found.get("default", "success_calibration_error", "random").mean < 0.2


def test_plots_are_drawn_of_every_kind_of_split(paint, paint_table, tmp_path):
    settings = PredictSettings(models=("default", "mean"), seeds=2)
    found = compare(paint, paint_table, settings)
    paths = write_plots(found, tmp_path / "plots")
    assert [path.name for path in paths] == [
        "calibration_random.png",
        "predicted_vs_measured_random.png",
        "error_against_support_random.png",
    ]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in paths)
    rows = joined(found.said["default", "random"])
    assert len(rows) == 24
    assert np.isfinite(rows.support).all()
    assert rows.features.shape[0] == 24


def test_stated_noise_is_compared_with_the_replicates_left_out(paint, paint_row):
    rng = np.random.default_rng(4)
    table = [
        paint_row(r, s, 40 + 10 * s + 2.0 * rng.normal(), 1.0, replicate=k)
        for r in "abcd"
        for s in np.linspace(0, 1, 12)
        for k in range(3)
    ]
    settings = PredictSettings(models=("default", "mean"), split="replicates", seeds=2)
    found = bench_predict(paint, table, settings)
    assert 1 / 1.3 < found.get("default", "noise_sd_ratio", "replicates").mean < 1.3
    assert found.get("mean", "noise_sd_ratio", "replicates") is None


def test_a_replicate_split_needs_replicates(paint, paint_table):
    with pytest.raises(NotEnoughDataError, match="measured more than once; got 0"):
        bench_predict(paint, paint_table, PredictSettings(("mean",), "replicates"))


def test_limits_are_scored_by_their_probability(paint, paint_table):
    limit = Value(value=40.0, status=Status.BELOW)
    table = [
        row.model_copy(update={"readouts": row.readouts | {"gloss": limit}})
        if row.readouts["gloss"].value < 40
        else row
        for row in paint_table
    ]
    found = bench_predict(paint, table, PredictSettings(("default", "mean"), seeds=2))
    loss = {n: found.get(n, "nlpd_with_limits", "random").mean for n in
            ("default", "mean")}  # fmt: skip
    assert loss["default"] < loss["mean"] - 0.5
    assert 0 < found.get("default", "limit_share", "random").mean < 0.5


def test_a_score_that_only_some_splits_have_is_of_those(paint, paint_table):
    # Of three seeds one or two ask about the one condition that was measured twice.
    twice = paint_table[0].model_copy(update={"replicate": 1})
    table = [*paint_table, twice.model_copy(
        update={"readouts": {"gloss": Value(value=1.0), "price": Value(value=2.0)}}
    )]  # fmt: skip
    found = bench_predict(paint, table, PredictSettings(("default",), seeds=6))
    row = found.get("default", "noise_sd_ratio", "random")
    assert row.n == 2
    assert found.get("default", "rmse", "random").n == 6
