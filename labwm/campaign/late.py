"""Results that come after the last round, or after a campaign was closed."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from labwm.campaign import dispatch
from labwm.campaign.amendments import AMENDED
from labwm.campaign.books import Books, books
from labwm.campaign.lease import Lease
from labwm.campaign.results import take_in_ended
from labwm.campaign.situation import PREPARED, Situation
from labwm.campaign.standing import opening_in
from labwm.errors import LabError, UnavailableError
from labwm.schema import CampaignState
from labwm.store import Overview

Say = Callable[[str], None]
AWAITED_DAYS = 30
"""How long after its last event a closed campaign's lab is asked for late results."""


def take_in_late(store: Books, lease: Lease, situation: Situation, *, say: Say) -> int:
    """Take in what came after the last round; return the number of new results.

    A lab that computes has said everything when its job ended.
    """
    if dispatch.capabilities(situation.opening.lab).computes:
        return 0
    try:
        lab = dispatch.lab_of(store, situation)
        n_new = take_in_ended(store, lease, lab)
    except (UnavailableError, LabError) as error:
        say(f"late results: {error}")
        return 0
    if n_new:
        with lease.write(store) as w:
            w.event("results.late", {"n_new": n_new})
    return n_new


def awaited_ids() -> tuple[str, ...]:
    """Return the closed campaigns to whose labs results may still come, oldest first.

    Labs that compute have said everything; others are asked for `AWAITED_DAYS`.
    """
    with books().ledger.survey() as survey:
        seen = survey.overviews(last=(PREPARED, AMENDED), since=None)
    return tuple(row.id for row in seen if _may_come(row))


def _may_come(seen: Overview) -> bool:
    if seen.state is CampaignState.OPEN or not seen.has_jobs:
        return False
    if dispatch.capabilities(opening_in(seen).lab).computes:
        return False
    age = datetime.now(UTC) - datetime.fromisoformat(seen.head_at)
    return age < timedelta(days=AWAITED_DAYS)
