"""What adapters of planners that search whole grids take and give."""

import pytest

from labwm.evaluation.side.grid import fresh, levels_of

COLUMNS = [{"name": "ligand", "kind": "category"}, {"name": "hours", "kind": "number"}]
POOL = [{"ligand": a, "hours": b} for a in ("y", "x") for b in (4.0, 2.0)]


def test_a_whole_grid_is_taken_with_its_levels_in_order():
    levels, row_of = levels_of({"columns": COLUMNS, "pool": POOL})
    assert levels == {"ligand": ["x", "y"], "hours": [2.0, 4.0]}
    assert row_of["x", 2.0] == 3


@pytest.mark.parametrize("pool", [POOL[:3], [*POOL, POOL[0]]], ids=["less", "twice"])
def test_a_table_that_is_no_grid_is_refused(pool):
    with pytest.raises(ValueError, match="whole grids"):
        levels_of({"columns": COLUMNS, "pool": pool})


def test_what_was_measured_or_proposed_twice_is_left_out():
    assert fresh([2, 2, 0, 3], {0}, 4, 2) == [2, 3]
    assert fresh([2, 3, 1], {0}, 4, 2) == [2, 3]


def test_a_campaign_goes_on_where_nothing_new_is_proposed():
    assert fresh([0, 1], {0, 1}, 4, 2) == [2]
