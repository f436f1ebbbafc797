"""Models of curves scored on curves that they did not see."""

import json
from pathlib import Path

import numpy as np
import pytest

from labwm.errors import InvalidInputError, NotEnoughDataError, NotFoundError
from labwm.evaluation.curve_forecasts import (
    Asked,
    baseline_forecaster,
    last_value,
    mean_curve,
)
from labwm.evaluation.dynamics import (
    DynamicsSettings,
    compare_dynamics,
    score_at,
    split_curves,
)
from labwm.evaluation.dynamics_plots import write_dynamics_plots
from labwm.schema import Conditions
from labwm.space.curves import Curves, Reads, curves_from
from labwm.space.questions import questions_from
from tests.unit.world_model.curves import HEATS, drying, protocol

PLAIN = ("parametric", "last_value", "mean_curve")


def ramps(n: int = 10, n_reads: int = 9) -> Curves:
    """Return curves `i + t`, one per condition, read at 0, 1, …"""
    time = np.arange(float(n_reads))
    rows: list[Conditions] = [{"heat": 20.0 + i} for i in range(n)]
    reads = [Reads(time, i + time) for i in range(n)]
    names = [str(i) for i in range(n)]
    return curves_from(questions_from(protocol(), rows), names, "mass", reads)


def test_the_model_beats_the_baselines_and_its_figures_are_one_long_table(tmp_path):
    found = compare_dynamics(
        drying(2), protocol(), DynamicsSettings(seeds=1), data="paint.csv"
    )
    table = found.table
    saved = table.get("default", "crps_saved", "parametric/0.25")
    assert saved is not None
    assert saved.mean is not None
    assert saved.mean > 0.2
    coverage = table.get("default", "coverage90", 0.25)
    assert coverage is not None
    assert coverage.mean is not None
    assert 0.5 <= coverage.mean <= 1.0
    rows = json.loads(table.to_json())["rows"]
    assert {row["metric"] for row in rows} == {
        *("crps", "coverage90", "mae", "crps_saved", "seconds")
    }
    assert {row["at"] for row in rows if row["metric"] == "crps"} == {
        *(0.0, 0.25, 1.0, 2.0, 4.0, 8.0)
    }
    assert table.settings["split"] == "condition"
    (plot,) = write_dynamics_plots(found, tmp_path)
    assert plot.read_bytes().startswith(b"\x89PNG")


def test_baselines_alone_need_no_model_and_draw_nothing(tmp_path):
    settings = DynamicsSettings(PLAIN, seeds=2)
    found = compare_dynamics(drying(2), protocol(), settings)
    assert found.table.get("mean_curve", "crps", 0.0) is not None
    assert found.table.get("last_value", "crps", 0.0) is None
    assert write_dynamics_plots(found, tmp_path) == []


def test_the_same_seeds_give_the_same_figures():
    settings = DynamicsSettings(PLAIN, seeds=2)
    tables = [compare_dynamics(drying(1), protocol(), settings).table for _ in "ab"]
    rows = [[r for r in table.rows if r.metric != "seconds"] for table in tables]
    assert rows[0] == rows[1]


@pytest.mark.parametrize("split", ["condition", "curve"])
def test_a_fifth_is_asked_about_and_conditions_stay_together(split: str):
    curves = drying(2)
    learnt, asked = split_curves(curves, split, seed=3)
    assert len(learnt) + len(asked) == len(curves)
    assert not set(learnt.names) & set(asked.names)
    common = set(learnt.questions.keys()) & set(asked.questions.keys())
    assert bool(common) == (split == "curve")
    assert len(asked) == (6 if split == "condition" else 5)


def test_few_conditions_are_split_by_curve():
    curves = drying(4, heats=HEATS[:3])
    found = compare_dynamics(curves, protocol(), DynamicsSettings(PLAIN, seeds=1))
    assert found.table.settings["split"] == "curve"


def test_what_is_asked_lies_after_what_is_seen():
    (reads,) = ramps(1).reads("mass")
    quarter = Asked(0.25, 1).of(reads)
    assert (len(quarter[0]), quarter[1].tolist()) == (3, [3])
    assert Asked(0.25, 0).of(reads)[1].tolist() == [8]
    assert Asked(0.25, 8).of(reads)[1].tolist() == []
    nothing = Asked(0.0, None).of(reads)
    assert (len(nothing[0]), len(nothing[1])) == (0, 9)


def test_baselines_say_what_they_are_called():
    curves = ramps()
    seen = Reads(np.array([0.0, 1.0]), np.array([5.0, 7.0]))
    times = np.array([4.0, 8.0])
    assert last_value(curves)(seen, times).tolist() == [7.0, 7.0]
    assert mean_curve(curves)(seen, times).tolist() == [8.5, 12.5]
    # A ramp is a line: its end is foretold without error, at every level.
    forecaster = baseline_forecaster("parametric", curves)
    scores = score_at(forecaster, ramps(), Asked(0.25, 0))
    assert scores["crps"] == pytest.approx(0.0, abs=1e-6)
    spread = score_at(
        baseline_forecaster("last_value", curves), ramps(), Asked(0.25, 0)
    )
    assert spread["mae"] == pytest.approx(6.0)
    assert spread["crps"] == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize(
    ("changes", "error", "match"),
    [
        ({"seeds": 0}, InvalidInputError, "seeds=0"),
        ({"split": "conditions"}, InvalidInputError, "Did you mean 'condition'"),
        ({"models": ("defualt",)}, NotFoundError, "Did you mean 'default'"),
    ],
    ids=["seeds", "split", "model"],
)
def test_settings_that_cannot_be_are_refused(changes: dict, error, match: str):
    with pytest.raises(error, match=match):
        DynamicsSettings(**changes)


def test_one_condition_cannot_be_split_by_condition():
    settings = DynamicsSettings(PLAIN, split="condition", seeds=1)
    with pytest.raises(NotEnoughDataError, match="got 1"):
        compare_dynamics(drying(9, heats=HEATS[:1]), protocol(), settings)


def test_curves_too_short_to_have_an_end_are_refused():
    with pytest.raises(NotEnoughDataError, match="10 have fewer, the first '0'"):
        compare_dynamics(ramps(10, 2), protocol(), DynamicsSettings(PLAIN, seeds=1))


def test_the_command_reads_a_table_and_writes_its_figures(tmp_path: Path, monkeypatch):
    import yaml

    from labwm.api.cli import run

    lines = ["heat,tile,minute,mass"]
    curves = drying(2)
    for question, name, time, value in zip(
        curves.questions.rows(), curves.names, curves.times, curves.values, strict=True
    ):
        lines += [
            f"{question['heat']},{name},{t},{y[0]}"
            for t, y in zip(time, value, strict=True)
        ]
    (tmp_path / "paint.csv").write_text("\n".join(lines) + "\n")
    over = {"name": "time", "unit": "min", "column": "minute", "curve": ["tile"]}
    mass = {"name": "mass", "unit": "g", "kind": "curve", "over": over}
    content = protocol().model_dump(mode="json", exclude_defaults=True)
    text = yaml.safe_dump(content | {"version": 1, "readouts": [mass]})
    (tmp_path / "drying.yaml").write_text(text)
    monkeypatch.chdir(tmp_path)
    command = "bench dynamics --data paint.csv --protocol drying.yaml --seeds 1"
    models = [word for name in PLAIN for word in ("--model", name)]
    assert run([*command.split(), *models, "--json", "out.json"]) == 0
    out = json.loads((tmp_path / "out.json").read_text())
    assert out["command"] == "labwm bench dynamics"
    assert out["settings"]["n_curves"] == 26
