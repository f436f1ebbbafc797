"""What a table holds, as the measure of every campaign on it.

With one objective progress is the best utility found; with several it is the share of
the table's hypervolume. Both grow, and both have random's exact expectation.
Shapes: `N` rows of the table, `k` objectives, `t` experiments.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from labwm.errors import NotEnoughDataError
from labwm.evaluation.lookup import Lookup
from labwm.evaluation.random_expectation import (
    expected_best,
    expected_hypervolume,
    hypervolume_by_drawing,
)
from labwm.schema import Goal, Objective
from labwm.world_model.hypervolume import hypervolume, is_on_front
from labwm.world_model.reward import reference_utility

Floats = NDArray[np.float64]

TOP_SHARE = 0.01
THRESHOLD = 0.99
N_DRAWS = 400
"""Random orders of the table where random's hypervolume has no closed form."""


@dataclass(frozen=True)
class Yardstick:
    """What there is to find.

    Attributes:
        utilities: `N x k`; a row that failed has the worst utility of the table.
        reference: Utility from which hypervolume counts, length `k`.
        goal: Progress of somebody who measured everything.
        threshold: Progress that counts as having found it.
        is_top: Rows worth finding, length `N`: the best 1 %, ties included, or with
            several objectives the front.
        n_top: How many of them count as all: without ties, 1 % of `N`.
        random: Random's expected progress after 1, 2, … experiments.
        sign: Of a natural unit on the utility's scale, for reports.
        is_failed: Rows that give nothing, length `N`.
    """

    utilities: Floats
    reference: Floats
    goal: float
    threshold: float
    is_top: NDArray[np.bool_]
    n_top: int
    random: Floats
    sign: float
    is_failed: NDArray[np.bool_]

    @property
    def has_one_objective(self) -> bool:
        """Is progress a utility, rather than a share of a hypervolume?"""
        return self.utilities.shape[1] == 1

    def progress(self, rows: NDArray[np.int64]) -> Floats:
        """Return the progress after each experiment of a campaign, length `t`."""
        found = self.utilities[rows]
        if self.has_one_objective:
            return np.maximum.accumulate(found[:, 0])
        whole = hypervolume(self.utilities, self.reference)
        reached = np.empty(len(rows))
        for i in range(len(rows)):
            reached[i] = hypervolume(found[: i + 1], self.reference) / whole
        return reached


def yardstick_of(lookup: Lookup, *, n_max: int) -> Yardstick:
    """Measure a table, for campaigns of at most `n_max` experiments.

    Raises:
        NotEnoughDataError: With several objectives, if no row is above the reference in
            all of them: there is no hypervolume to have a share of.
    """
    utilities = lookup.utilities
    worst = np.nanmin(utilities, axis=0)
    failed = np.asarray(np.isnan(utilities).any(axis=1))
    utilities = np.where(failed[:, None], worst, utilities)
    n_max = min(n_max, len(utilities))
    if utilities.shape[1] == 1:
        return _of_one(lookup.protocol.objectives[0], utilities, failed, n_max)
    return _of_several(lookup.protocol.objectives, utilities, failed, n_max)


def _of_one(
    objective: Objective, utilities: Floats, failed: NDArray[np.bool_], n_max: int
) -> Yardstick:
    values = utilities[:, 0]
    best = float(values.max())
    n_top = max(1, round(TOP_SHARE * len(values)))
    return Yardstick(
        utilities=utilities,
        reference=np.array([values.min()]),
        goal=best,
        threshold=_near(objective, values),
        is_top=np.asarray(values >= np.sort(values)[-n_top]),
        n_top=n_top,
        random=expected_best(values, n_max),
        sign=1.0 if objective.goal is Goal.MAXIMISE else -1.0,
        is_failed=failed,
    )


def _near(objective: Objective, values: Floats) -> float:
    # 99 % of the best value; a distance to a target has no such percentage, so there
    # it is 1 % of the table's range.
    best = float(values.max())
    if objective.goal is Goal.MATCH:
        return best - (1 - THRESHOLD) * float(np.ptp(values))
    return best - (1 - THRESHOLD) * abs(best)


def _of_several(
    objectives: tuple[Objective, ...],
    utilities: Floats,
    failed: NDArray[np.bool_],
    n_max: int,
) -> Yardstick:
    reference = utilities.min(axis=0)
    for j, objective in enumerate(objectives):
        declared = reference_utility(objective)
        reference[j] = reference[j] if declared is None else declared
    whole = hypervolume(utilities, reference)
    if not whole > 0:
        raise NotEnoughDataError(
            "Progress on several objectives needs a row above the reference in all of "
            f"them; got {len(utilities)} rows of which none is. Check the objectives' "
            "`reference` and whether the readouts vary."
        )
    if utilities.shape[1] == 2:
        random = expected_hypervolume(utilities, reference, n_max) / whole
    else:
        drawn, _ = hypervolume_by_drawing(
            utilities, reference, n_max, n_draws=N_DRAWS, seed=0
        )
        random = drawn / whole
    front = is_on_front(utilities)
    return Yardstick(
        utilities,
        reference,
        1.0,
        THRESHOLD,
        front,
        int(front.sum()),
        random,
        1.0,
        failed,
    )
