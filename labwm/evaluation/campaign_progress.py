"""How far a campaign came, and how far random search would have come on its pool.

Shapes: `t` experiments, `N` rows of the pool, `k` objectives.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from labwm.errors import NotEnoughDataError
from labwm.evaluation.campaign_record import CampaignRecord, Outcomes
from labwm.evaluation.canvas import with_unit
from labwm.evaluation.lookup import lookup_from
from labwm.evaluation.random_band import best_band, hypervolume_band
from labwm.evaluation.yardstick import Yardstick, yardstick_of
from labwm.schema import Goal
from labwm.world_model.hypervolume import hypervolume
from labwm.world_model.reward import reference_utility

Floats = NDArray[np.float64]
BAND = 0.9


@dataclass(frozen=True)
class CampaignProgress:
    """Progress in the unit of a plot.

    Attributes:
        reached: After each experiment, length `t`; NaN before the first number.
        label: What is counted, with its unit.
        expected: Random's expectation, length `t`; None without a table of the pool.
        band: Random's central 90 %, two of length `t`.
        goal: What the whole pool would reach.
        pool: Utilities of the whole pool, `N x k`.
    """

    reached: Floats
    label: str
    expected: Floats | None = None
    band: tuple[Floats, Floats] | None = None
    goal: float | None = None
    pool: Floats | None = None


def progress_of(record: CampaignRecord, outcomes: Outcomes) -> CampaignProgress:
    """Compute a campaign's progress, against random search where that is known."""
    t = len(outcomes.experiments)
    if record.table is None:
        return _alone(record, outcomes)
    try:
        yardstick = yardstick_of(lookup_from(record.protocol, record.table), n_max=t)
    except NotEnoughDataError:
        # A pool that says nothing about random search: the campaign is still told.
        return _alone(record, outcomes)
    if yardstick.has_one_objective:
        return _best(record, outcomes, yardstick)
    return _volume(outcomes, yardstick)


def _best(
    record: CampaignRecord, outcomes: Outcomes, yardstick: Yardstick
) -> CampaignProgress:
    t, sign = len(outcomes.experiments), yardstick.sign
    pool = yardstick.utilities
    low, high = best_band(pool[:, 0], t, level=BAND)
    return CampaignProgress(
        reached=sign * _running_best(outcomes.utilities[:, 0]),
        label=_best_label(record),
        expected=sign * _padded(yardstick.random, t),
        band=(sign * low, sign * high),
        goal=sign * yardstick.goal,
        pool=pool,
    )


def _volume(outcomes: Outcomes, yardstick: Yardstick) -> CampaignProgress:
    t, pool, reference = (
        len(outcomes.experiments),
        yardstick.utilities,
        yardstick.reference,
    )
    whole = hypervolume(pool, reference)
    low, high = hypervolume_band(pool, reference, min(t, len(pool)), level=BAND)
    return CampaignProgress(
        reached=_running_volume(outcomes.utilities, reference) / whole,
        label="hypervolume, share of the whole pool's",
        expected=_padded(yardstick.random, t),
        band=(_padded(low, t) / whole, _padded(high, t) / whole),
        goal=1.0,
        pool=pool,
    )


def _alone(record: CampaignRecord, outcomes: Outcomes) -> CampaignProgress:
    if outcomes.utilities.shape[1] == 1:
        sign = 1.0 if record.protocol.objectives[0].goal is Goal.MAXIMISE else -1.0
        reached = sign * _running_best(outcomes.utilities[:, 0])
        return CampaignProgress(reached, _best_label(record))
    reference = np.fmin.reduce(outcomes.utilities, axis=0)
    reference = np.where(np.isnan(reference), 0.0, reference)
    for j, objective in enumerate(record.protocol.objectives):
        declared = reference_utility(objective)
        reference[j] = reference[j] if declared is None else declared
    reached = _running_volume(outcomes.utilities, reference)
    return CampaignProgress(reached, "hypervolume, product of the objectives' units")


def _best_label(record: CampaignRecord) -> str:
    objective = record.protocol.objectives[0]
    readout = record.protocol.readout(objective.readout)
    label = with_unit(readout.name, readout.unit)
    match objective.goal:
        case Goal.MAXIMISE:
            return f"highest {label} so far"
        case Goal.MINIMISE:
            return f"lowest {label} so far"
        case Goal.MATCH:
            return f"smallest distance of {label} from {objective.target:g}"


def _running_best(utilities: Floats) -> Floats:
    return np.fmax.accumulate(utilities)


def _running_volume(utilities: Floats, reference: Floats) -> Floats:
    return np.array(
        [hypervolume(utilities[: i + 1], reference) for i in range(len(utilities))]
    )


def _padded(values: Floats, t: int) -> Floats:
    return np.concatenate([values, np.full(max(0, t - len(values)), values[-1])])[:t]
