"""How many experiments were measured, failed, are pending: one count for every door.

An experiment is a proposal in a batch. One that was done differently (off plan) has its
result; one whose results a person retracted has none, and may be tried again.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from labwm.campaign.batches import Round
from labwm.schema import Conditions, Measurement, Status


@dataclass(frozen=True)
class Counts:
    """What became of a campaign's experiments."""

    answered: frozenset[str]
    """Proposals with a result that counts, failures included."""
    failed: frozenset[str]
    """Those of them whose results hold no value at all."""
    pending: frozenset[str]
    """Proposals of open rounds without a result."""
    n_own: int
    """Results that people took in beside the batches; they cost no budget."""
    avoided: tuple[Conditions, ...]
    """Conditions that are pending, in doubt, or were rejected."""
    retracted: tuple[Conditions, ...]
    """Planned conditions of wells whose results were retracted."""


def count(
    rounds: Sequence[Round],
    results: Iterable[Measurement],
    *,
    retracted: frozenset[str],
    voided: frozenset[str],
) -> Counts:
    """Count the experiments of a campaign.

    Args:
        rounds: Its rounds.
        results: The results that count.
        retracted: Slots (`job/well/replicate`) whose results do not.
        voided: Batches that an amendment voided: their proposals stand elsewhere.
    """
    planned = _planned(rounds)
    failed: dict[str, bool] = {}
    n_own = 0
    for result in results:
        place = (result.job_key or "", result.well or "")
        name = result.proposal_id or planned.get(place)
        if result.job_key is None:
            n_own += 1
        elif name is not None:  # a well without a proposal is a control
            failed[name] = failed.get(name, True) and is_failed(result)
    places = {tuple(slot.rsplit("/", 2)[:2]) for slot in retracted}
    again = {planned[place] for place in places if place in planned}
    unanswered = [
        (past, well)
        for past in rounds
        if past.key not in voided
        for well in past.job.wells
        if well.proposal_id
        and well.proposal_id not in failed
        and well.proposal_id not in again
    ]
    return Counts(
        answered=frozenset(failed),
        failed=frozenset(name for name, has_failed in failed.items() if has_failed),
        pending=frozenset(
            well.proposal_id
            for past, well in unanswered
            if well.proposal_id and not past.is_closed
        ),
        n_own=n_own,
        avoided=tuple(well.conditions for _, well in unanswered),
        retracted=tuple(
            well.conditions
            for past in rounds
            for well in past.job.wells
            if (past.job.submission_key, well.name) in places
        ),
    )


def is_failed(measurement: Measurement) -> bool:
    """Did the experiment give no value at all?"""
    return all(v.status is Status.FAILED for v in measurement.readouts.values())


def _planned(rounds: Sequence[Round]) -> dict[tuple[str, ...], str]:
    """Return the proposal of each well."""
    return {
        (past.job.submission_key, well.name): well.proposal_id
        for past in rounds
        for well in past.job.wells
        if well.proposal_id  # a control has none
    }
