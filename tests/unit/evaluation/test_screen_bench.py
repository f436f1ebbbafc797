"""Back-tests of screens: shuffled rows, honest recall."""

import pytest

from labwm.errors import InvalidInputError
from labwm.evaluation.screen_bench import ScreenSettings, bench_screen

SETTINGS = ScreenSettings(("random",), share=0.1, n_batches=4, n_top=6, seeds=30)


def test_random_finds_as_much_of_the_best_as_it_measures(paint, paint_table):
    table = bench_screen(paint, paint_table, SETTINGS)
    found = table.get("random", "topk_recall", 0.4)
    assert found.mean == pytest.approx(0.4, abs=0.1)
    assert table.get("random_exact", "topk_recall", 0.4).mean == pytest.approx(0.4)
    assert table.get("random", "candidates_per_second").mean > 0


def test_everything_measured_finds_everything(paint, paint_table):
    settings = ScreenSettings(("random",), share=0.5, n_batches=2, n_top=5, seeds=1)
    table = bench_screen(paint, paint_table, settings)
    assert table.get("random", "topk_recall", 1.0).mean == 1.0
    assert table.get("random", "topk_recall_by_row", 1.0).mean == 1.0


def test_the_order_of_the_file_changes_no_recall_on_average(paint, paint_table):
    best_first = sorted(paint_table, key=lambda m: -m.readouts["gloss"].value)
    sorted_rows = bench_screen(paint, best_first, SETTINGS)
    assert sorted_rows.get("random", "topk_recall", 0.1).mean < 0.3


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"share": 0.5, "n_batches": 3}, "at most all of it"),
        ({"seeds": 0}, "needs a seed"),
    ],
)
def test_settings_that_make_no_sense_are_refused(change, rule):
    with pytest.raises(InvalidInputError, match=rule):
        ScreenSettings(**change)


def test_several_objectives_are_refused(paint_two, paint_table):
    with pytest.raises(InvalidInputError, match="bench optimize"):
        bench_screen(paint_two, paint_table, SETTINGS)
