"""Agreement of two labs as rows of the long table."""

from collections.abc import Sequence

import numpy as np

from labwm.evaluation.fidelity.figures import (
    N_MEASURED,
    Returns,
    agreement,
    by_log,
    powered,
)
from labwm.evaluation.table import Row, row_of, summarise
from labwm.schema.fidelity import FidelityReport

WITHOUT = "without_trivial"
MEDIAN = "median of tables"


def rows_of(returns: Returns, report: FidelityReport) -> list[Row]:
    """Return the rows of one table; the name is the world model's recipe."""
    name, n = report.recipe, returns.real.shape[1]
    rows = [
        Row(name, f.metric, None, f.value, f.low, f.high, n) for f in report.figures
    ]
    rows += [
        Row(name, "noise_floor", f.metric, f.floor, None, None, n)
        for f in report.figures
        if f.floor is not None
    ]
    learning = returns.without_trivial
    if len(learning.policies) < len(returns.policies):
        rows += [
            row_of(name, metric, WITHOUT, f.value, (f.low, f.high), n)
            for metric, f in agreement(learning).items()
        ]
    if len(returns.real) > 1:
        rows += [
            row_of(name, metric, f"log {i}", float(value), (np.nan, np.nan), n)
            for metric, values in by_log(returns).items()
            for i, value in enumerate(values)
        ]
    rows += [
        row_of(name, metric, N_MEASURED, f.value, (f.low, f.high), n)
        for metric, f in powered(returns).items()
    ]
    rows.append(Row(name, "policies_apart", None, report.n_apart, None, None, n))
    for i, policy in enumerate(returns.policies):
        for side, values in (("virtual", returns.virtual), ("real", returns.real)):
            own = values[..., i].ravel()
            rows.append(summarise(name, f"{side}_value", policy, own))
    return rows


def median_rows(tables: Sequence[Sequence[Row]]) -> list[Row]:
    """Return the median over tables of every measure of agreement."""
    rows: list[Row] = []
    for at, place in ((None, MEDIAN), (WITHOUT, f"{MEDIAN}, {WITHOUT}")):
        metrics = dict.fromkeys(
            row.metric
            for row in tables[0]
            if row.at == at and row.metric != "policies_apart"
        )
        for metric in metrics:
            values = [
                row.mean
                for table in tables
                for row in table
                if (row.metric, row.at) == (metric, at) and row.mean is not None
            ]
            if values:
                middle = float(np.median(values))
                name = tables[0][0].name
                rows.append(Row(name, metric, place, middle, None, None, len(values)))
    return rows
