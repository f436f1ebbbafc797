"""Stated probabilities of success beside what happened.

Shapes: `q` experiments asked about.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from labwm import scores
from labwm.evaluation.table import Row, summarise
from labwm.space.questions import Observations
from labwm.world_model.outcomes import success_of

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Chances:
    """Success of each experiment of a split, and what was stated of it.

    Attributes:
        is_success: 1 or 0, length `q`.
        stated: Probability, length `q`.
        base_rate: Share of successes among the rows learnt from, length `q`.
    """

    is_success: Floats
    stated: Floats
    base_rate: Floats


def chances_of(
    train: Observations, test: Observations, stated: Floats | None
) -> Chances | None:
    """Return what there is to score; None where nothing is stated or nothing failed."""
    if stated is None:
        return None
    learnt, happened = success_of(train), success_of(test)
    known = ~np.isnan(happened)
    if np.nanmin(np.concatenate([learnt, happened])) == 1.0 or not known.any():
        return None
    labels = learnt[~np.isnan(learnt)]
    # By the rule of succession, so that what never failed is not thought impossible.
    rate = float((labels.sum() + 1.0) / (len(labels) + 2.0))
    share = np.full(int(known.sum()), rate)
    return Chances(happened[known], stated[known], share)


def chance_rows(name: str, at: str, found: Sequence[Chances]) -> list[Row]:
    """Return scores of the probabilities, beside those of the base rate alone."""
    rows: list[Row] = []
    for label, stated in (
        ("success", [one.stated for one in found]),
        ("success_base_rate", [one.base_rate for one in found]),
    ):
        pairs = [(one.is_success, p) for one, p in zip(found, stated, strict=True)]
        if pairs:
            rows += [
                summarise(
                    name, f"{label}_brier", at, [scores.brier(*p) for p in pairs]
                ),
                summarise(
                    name, f"{label}_log_loss", at, [scores.log_loss(*p) for p in pairs]
                ),
                summarise(
                    name,
                    f"{label}_calibration_error",
                    at,
                    [scores.calibration_error(*p) for p in pairs],
                ),
            ]
    return rows
