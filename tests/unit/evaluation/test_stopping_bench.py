"""What campaigns state about stopping, held against tables that know the rest."""

from itertools import pairwise

import numpy as np
import pytest

from labwm.errors import InvalidInputError
from labwm.evaluation.backtest import Plan
from labwm.evaluation.lookup import lookup_from
from labwm.evaluation.stopping_bench import (
    StoppingSettings,
    bench_stopping,
    stated_by,
)


def test_rounds_state_what_the_table_can_answer(paint, paint_table):
    lookup = lookup_from(paint, paint_table)
    found = stated_by(lookup, Plan(4, 16), seed=0)
    assert [one.n for one in found] == [4, 8, 12]
    assert all(0 <= one.probability <= 1 for one in found)
    # Nothing measured is lost: what is left to regret never grows.
    assert all(b.regret <= a.regret for a, b in pairwise(found))
    # Where nothing is left to regret there is no gain left either.
    assert not any(one.has_gain and one.regret == 0 for one in found)


def test_stated_and_realised_stand_side_by_side(paint, paint_table):
    settings = StoppingSettings(Plan(6, 30), seeds=2)
    found = bench_stopping([("paint", paint, paint_table)], settings)
    stated = [row for row in found.rows if row.metric == "stated"]
    assert sum(row.n for row in stated) == 2 * 4
    for row in stated:
        low, high = (float(part.rstrip("%")) / 100 for part in row.at.split(" to "))
        assert low <= row.mean <= high
        realised = found.get("rounds", "realised", row.at)
        assert realised.low - 1e-9 <= realised.mean <= realised.high + 1e-9
    stopped = found.get("campaigns", "stopped")
    assert stopped.n == 2
    if stopped.mean:
        assert 0 <= found.get("campaigns", "experiments_saved").mean <= 24
    assert np.isfinite(stopped.mean)


def test_several_objectives_and_no_seeds_are_refused(paint_two, paint_table):
    with pytest.raises(InvalidInputError, match="one objective"):
        bench_stopping(
            [("paint", paint_two, paint_table)], StoppingSettings(Plan(2, 4))
        )
    with pytest.raises(InvalidInputError, match="at least one seed"):
        StoppingSettings(Plan(2, 4), seeds=0)
