"""Few-shot scores on assays that a task prior has not seen."""

import json

import numpy as np
import pytest

from labwm.api.cli import run
from labwm.data.assays import Assay, above_median
from labwm.data.read_assays import AssayTables
from labwm.errors import InvalidInputError, NotEnoughDataError
from labwm.evaluation.task_scores import single_process, stratified_support
from labwm.evaluation.task_search import with_search
from labwm.evaluation.task_splits import split_tasks
from labwm.evaluation.tasks import TaskSettings, bench_tasks
from labwm.evaluation.tasks_plots import few_shot_curves
from labwm.world_model.tasks.items import encode_items
from labwm.world_model.tasks.learning import LearningSettings, learn_tasks
from labwm.world_model.tasks.network import Shape

SETTINGS = LearningSettings(
    Shape(16, 4, 2, 0.0), epochs=25, rows=24, assays=6, learning_rate=1e-2
)


def motif_assay(seed: int, n: int = 24, every: int = 2) -> Assay:
    rng = np.random.default_rng(seed)
    items = ["".join(rng.choice(list("ACGT"), 8)) for _ in range(n)]
    items = [
        s[:3] + "GAT" + s[6:] if i % every == 0 else s for i, s in enumerate(items)
    ]
    worth = np.array(["GAT" in s or "ATC" in s for s in items])
    values = 5.0 + 1.5 * worth + 0.2 * rng.normal(size=n)
    return Assay(
        f"F{seed}_R1", tuple(items), values, np.zeros(n, np.int8), above_median(values)
    )


@pytest.fixture(scope="module")
def prior():
    assays = [motif_assay(i) for i in range(12)]
    return learn_tasks(assays, kind="dna", settings=SETTINGS)


@pytest.fixture(scope="module")
def table(prior):
    asked = [motif_assay(100 + i, n=60) for i in range(4)]
    found = bench_tasks(prior, asked, TaskSettings((8, 16), seeds=2))
    rare = [motif_assay(300 + i, n=60, every=15) for i in range(4)]
    return with_search(found, prior, rare, budget=10)


def test_what_other_assays_teach_beats_learning_alone(table):
    assert table.get("task_prior - tanimoto_gp", "delta_auprc", 8).mean > 0.0
    assert table.get("task_prior - tanimoto_gp", "nlpd", 8).mean < -0.1
    assert table.get("task_prior", "nlpd_win_share", 8).mean >= 0.75
    assert table.get("task_prior", "negative_transfer_rate", 8).mean <= 0.5


def test_every_metric_is_there_at_every_support(table):
    for arm in ("task_prior", "tanimoto_gp"):
        for metric in ("delta_auprc", "r2", "nlpd", "coverage90"):
            for size in (8, 16):
                assert table.get(arm, metric, size).n == 4, (arm, metric, size)


def test_a_search_with_the_prior_finds_the_top_sooner(table):
    metric = "experiments_to_top5pct"
    found = table.get("task_prior", metric, 10)
    alone = table.get("tanimoto_gp", metric, 10)
    assert found.mean < alone.mean
    assert table.get("random_exact", metric, 10).mean == pytest.approx(61 / 4)


def test_the_curves_are_a_picture(table):
    assert few_shot_curves(table).startswith(b"\x89PNG")


def test_limits_are_scored_as_limits(prior):
    assay = motif_assay(200, n=60)
    limits = assay.limits.copy()
    limits[40:] = -1
    values = assay.values.copy()
    values[40:] = 9.0
    limited = Assay("L", assay.items, values, limits, assay.is_active)
    found = bench_tasks(prior, [limited], TaskSettings((16,), seeds=1))
    # As numbers these twenty values of 9 would be some ten deviations away.
    assert found.get("task_prior", "nlpd", 16).mean < 2.0
    assert found.get("task_prior", "r2", 16).mean is None


def test_small_and_one_sided_assays_are_not_asked_about(prior):
    one_sided = motif_assay(5, n=60)
    one_sided = Assay(
        "one", one_sided.items, one_sided.values, one_sided.limits, np.ones(60, bool)
    )
    with pytest.raises(NotEnoughDataError, match="none of 2 has"):
        bench_tasks(prior, [motif_assay(1), one_sided], TaskSettings((16,), seeds=1))
    found = bench_tasks(
        prior, [motif_assay(1), motif_assay(2, n=60)], TaskSettings((16,), seeds=1)
    )
    assert found.settings["n_assays_too_small"] == 1


def test_supports_keep_the_share_of_actives():
    active = np.arange(100) < 30
    support, rest = stratified_support(active, 20, np.random.default_rng(0))
    assert active[support].sum() == 6
    assert sorted([*support, *rest]) == list(range(100))


def test_a_rare_label_is_in_every_support():
    active = np.arange(100) < 1
    support, _ = stratified_support(active, 16, np.random.default_rng(0))
    assert active[support].sum() == 1


def test_the_single_process_returns_to_the_mean_far_from_data():
    items = encode_items(["AAAAAAAA", "AAAAAAAC", "AAAAAACC", "GTGTGTGT"], "dna")
    values = np.array([1.0, 1.1, 2.0, 9.0])
    mean, sd = single_process(items, values, np.arange(3), np.array([0, 3]))
    assert abs(mean[1] - values[:3].mean()) < 0.3
    assert sd[1] > sd[0]


def test_files_named_after_roles_are_split_by_them():
    files = {
        "x_train.csv": (motif_assay(1),),
        "x_valid.csv": (motif_assay(2),),
        "x_test.csv": (motif_assay(3),),
    }
    split = split_tasks(AssayTables(files), asked="test")
    assert [a.name for a in split.learnt] == ["F1_R1"]
    assert [a.name for a in split.asked] == ["F3_R1"]
    with pytest.raises(InvalidInputError, match="is in both"):
        split_tasks(AssayTables({**files, "y_valid.csv": (motif_assay(1),)}))
    with pytest.raises(InvalidInputError, match="a file for 'test'"):
        split_tasks(AssayTables({"train.csv": (motif_assay(1),)}), asked="test")


def test_families_are_kept_out_as_wholes():
    names = [f"T{i}_{j}" for i in range(10) for j in range(3)]
    base = motif_assay(1)
    assays = tuple(
        Assay(n, base.items, base.values, base.limits, base.is_active) for n in names
    )
    split = split_tasks(AssayTables({"wide.csv": assays}), family="_")
    learnt = {a.name.split("_")[0] for a in split.learnt}
    asked = {a.name.split("_")[0] for a in split.asked}
    assert len(asked) == 2
    assert not learnt & asked


def test_the_command_reads_learns_keeps_and_scores(tmp_path, capsys):
    rows = ["assay,sequence,value,relation"]
    for seed in range(15):
        assay = motif_assay(seed, n=32)
        rows += [
            f"{assay.name},{s},{v:.3f},{'<' if i == 3 else '='}"
            for i, (s, v) in enumerate(zip(assay.items, assay.values, strict=True))
        ]
    path = tmp_path / "motifs.csv"
    path.write_text("\n".join(rows) + "\n")
    words = [
        *("bench", "tasks", "--data", str(path), "--kind", "dna", "--support", "8"),
        *("--seeds", "1", "--epochs", "1", "--plots", str(tmp_path / "plots")),
        *("--json", str(tmp_path / "found.json")),
    ]
    kept = ["--keep", str(tmp_path / "prior")]
    assert run(words + kept) == 0
    assert "learnt now" in capsys.readouterr().err
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["command"] == "labwm bench tasks"
    assert found["settings"]["learnt_from_assays"] == 12
    assert {r["metric"] for r in found["rows"]} >= {"delta_auprc", "nlpd", "coverage90"}
    assert (tmp_path / "plots" / "tasks.png").exists()
    assert run(words) == 0
    assert "learnt before" in capsys.readouterr().err
    assert run(words + kept) == 4
    assert "holds one task prior" in capsys.readouterr().err
    assert run([*words, "--prior", str(tmp_path / "prior")]) == 0


def test_the_command_refuses_what_it_cannot_read(tmp_path, capsys):
    path = tmp_path / "t.csv"
    path.write_text("assay,smiles,value\nA,C,high\n")
    assert run(["bench", "tasks", "--data", str(path)]) == 2
    assert "t.csv:2" in capsys.readouterr().err
    assert run(["bench", "tasks", "--data", str(tmp_path / "none")]) == 8
