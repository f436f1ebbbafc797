"""Models scored on rows that they did not see."""

import numpy as np
import pytest

from labwm.errors import (
    InvalidInputError,
    NotEnoughDataError,
    NotFoundError,
    TableError,
    UnavailableError,
)
from labwm.evaluation.baselines import forest_features, normal
from labwm.evaluation.lookup import lookup_from
from labwm.evaluation.predict import PredictSettings, bench_predict, scored
from labwm.evaluation.splits import random_splits, read_splits
from labwm.schema import Protocol
from labwm.space.questions import questions_from

METRICS = {
    "rmse", "mae", "r2", "spearman", "nlpd", "msll", "crps", "coverage90",
    "interval_score90", "miscalibration_area", "ence", "seconds", "peak_mb",
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
    found = scored(y, y, normal(np.zeros(4000), np.ones(4000)))
    assert found["coverage90"] == pytest.approx(0.9, abs=0.02)
    assert found["miscalibration_area"] < 0.02
    assert found["nlpd"] == pytest.approx(0.5 * np.log(2 * np.pi * np.e), abs=0.05)
    assert found["crps"] == pytest.approx(1 / np.sqrt(np.pi), rel=0.03)


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
    assert row.low is None
    assert row.n == 1


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
