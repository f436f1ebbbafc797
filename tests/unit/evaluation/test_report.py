"""A campaign's report: pictures, words and numbers that agree with the records."""

import re
from dataclasses import replace

import numpy as np
import pytest

from labwm.errors import InvalidInputError
from labwm.evaluation.campaign_progress import progress_of
from labwm.evaluation.campaign_record import (
    CampaignRecord,
    ReportedExperiment,
    outcomes_of,
    stated_before,
)
from labwm.evaluation.honesty_plots import LEVELS, coverage, honest_band
from labwm.evaluation.random_band import best_band, hypervolume_band
from labwm.evaluation.report import ReportFiles, make_report
from labwm.schema import (
    CalibrationMap,
    Measurement,
    Origin,
    PredictedReadout,
    Protocol,
    Status,
    Value,
)

PNG = b"\x89PNG"


def expected(value: float, unit: str | None = None) -> PredictedReadout:
    return PredictedReadout(
        location=value,
        epistemic=1.0,
        aleatoric=0.5,
        calibration=CalibrationMap(),
        mean=value,
        sd=1.118,
        low90=value - 1.84,
        high90=value + 1.84,
        unit=unit,
    )


@pytest.fixture(scope="module")
def made(record) -> ReportFiles:
    return make_report(record)


@pytest.fixture(scope="module")
def record(paint_two, paint_table) -> CampaignRecord:
    """Twelve experiments in three rounds; one failed, one is pending."""
    experiments = []
    for i, measured in enumerate(paint_table[:13]):
        values = {n: v.value for n, v in measured.readouts.items()}
        prediction = {n: expected(v + 0.1 * i) for n, v in values.items()}
        if i == 5:
            lost = Value(status=Status.FAILED, reason="film cracked")
            measured = measured.model_copy(
                update={"readouts": measured.readouts | {"gloss": lost}}
            )
        experiments.append(
            ReportedExperiment(
                round=i // 4,
                conditions=measured.conditions,
                reason="expected <b>improvement</b>",
                policy="space_filling" if i < 4 else "hypervolume_improvement",
                prediction=None if i < 4 else prediction,
                measurements=() if i == 12 else (measured,),
            )
        )
    return CampaignRecord(
        name="paint-1",
        protocol=paint_two,
        experiments=tuple(experiments),
        budget=20,
        asked={"seed": "7"},
        provenance={"labwm": "0.1.0"},
        table=paint_table,
        table_name="paint.csv",
    )


def test_a_report_is_one_page_with_its_pictures_inside(made, tmp_path):
    path = made.write(tmp_path / "report")
    images = {p.stem for p in path.parent.glob("*.png")}
    assert images == {"progress", "front", "before_after", "calibration"}
    assert all(p.read_bytes().startswith(PNG) for p in path.parent.glob("*.png"))
    page = path.read_text()
    assert page.count("data:image/png;base64,") == 4
    assert not re.findall(r'(?:src|href)="(?!data:)', page)


def test_a_report_tells_failures_rounds_and_where_it_comes_from(record, made):
    page = made.page
    assert "12 experiments of 20 in 3 rounds, 1 without a value" in page
    assert "gloss: film cracked" in page
    assert "Round 3: 4 experiments, hypervolume_improvement" in page
    assert "pending" in page
    assert record.protocol.digest() in page
    assert "paint.csv: 60 measurements" in page


def test_what_people_wrote_is_escaped(made):
    page = made.page
    assert "<b>improvement</b>" not in page
    assert "&lt;b&gt;improvement&lt;/b&gt;" in page


def test_the_same_record_gives_the_same_bytes(record, made):
    again = make_report(record)
    assert again.page == made.page
    assert dict(again.images) == dict(made.images)


def test_a_campaign_without_table_or_predictions_is_told_too(record):
    bare = tuple(replace(e, prediction=None) for e in record.experiments)
    report = make_report(
        replace(record, table=None, no_table="nobody measured it", experiments=bare)
    )
    assert set(report.images) == {"progress", "front"}
    assert "No prediction was stated before" in report.page
    assert "No table of the whole pool is known (nobody measured it)" in report.page


def test_one_objective_draws_the_best_so_far(record, paint):
    report = make_report(replace(record, protocol=paint))
    assert "front" not in report.images
    assert "Highest gloss so far" in report.page


def test_molecules_are_drawn_and_replicates_shown():
    protocol = Protocol.model_validate(
        {
            "name": "dyes",
            "version": 1,
            "parameters": [{"name": "dye", "kind": "molecule"}],
            "readouts": [{"name": "gap", "unit": "eV"}],
            "objectives": [{"readout": "gap", "goal": "match", "target": 2.0}],
        }
    )
    experiments = tuple(
        ReportedExperiment(
            round=0,
            conditions={"dye": smiles},
            reason="stands for the pool",
            policy="space_filling",
            label=f"dye {i}",
            measurements=tuple(
                Measurement(
                    conditions={"dye": smiles},
                    readouts={"gap": Value(value=1.5 + i + 0.1 * r)},
                    origin=Origin.COMPUTED,
                    replicate=r,
                )
                for r in range(2)
            ),
        )
        for i, smiles in enumerate(["CCO", "c1ccccc1"])
    )
    report = make_report(CampaignRecord("dyes-1", protocol, experiments, budget=2))
    assert report.page.count("<svg") == 2
    assert report.page.index("dye 0") < report.page.index("dye 1")
    assert report.images["best_molecules"].startswith(PNG)
    assert "noise_gap" in report.images
    assert "match gap to 2 eV" in report.page


def test_a_report_of_nothing_is_refused(record):
    with pytest.raises(InvalidInputError, match="without any"):
        replace(record, experiments=record.experiments[12:])


def test_coverage_counts_first_replicates_inside(record):
    stated = stated_before(record)
    inside = stated.is_inside(0.9)
    # Off by 0.1 for each experiment, against a half-width of 1.84: all are inside.
    assert coverage(inside[:, 0]) == (1.0, pytest.approx(0.65, abs=0.01), 1.0, 7)
    assert coverage(inside[:, 1])[3] == 8
    assert coverage(np.array([np.nan]))[3] == 0


def test_progress_ends_at_the_pools_goal_when_all_is_measured(paint, paint_table):
    experiments = tuple(
        ReportedExperiment(0, m.conditions, "all of it", "random", measurements=(m,))
        for m in paint_table
    )
    record = CampaignRecord("all", paint, experiments, budget=60, table=paint_table)
    progress = progress_of(record, outcomes_of(record))
    assert progress.reached[-1] == progress.goal == progress.expected[-1]
    low, high = progress.band
    assert np.all(low[:30] <= progress.expected[:30])
    assert np.all(progress.expected <= high + 1e-9)


def test_the_band_of_random_search_holds_nine_campaigns_of_ten():
    values = np.random.default_rng(0).normal(size=200)
    low, high = best_band(values, 30, level=0.9)
    rng = np.random.default_rng(1)
    best = np.array(
        [np.maximum.accumulate(rng.permutation(values)[:30]) for _ in range(2000)]
    )
    share = ((low <= best) & (best <= high)).mean(axis=0)
    # At least 90 %; more where the best of n takes few values.
    assert np.all(share > 0.87)
    assert share[:5].max() < 0.94


def test_the_band_of_hypervolume_grows():
    points = np.random.default_rng(0).random((40, 2))
    low, high = hypervolume_band(points, np.zeros(2), 40, level=0.9)
    assert np.all(np.diff(low) >= -1e-12)
    assert np.all(low <= high)
    assert low[-1] == pytest.approx(high[-1])


def test_the_honest_band_narrows_with_more_values():
    few, many = (np.subtract(*honest_band(n)[::-1]) for n in (20, 500))
    assert np.all(many < few)
    assert len(few) == len(LEVELS)
