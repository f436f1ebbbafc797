"""Surprise, drift and refusals: what a policy cannot know about, a person is asked.

Measurements may leave what was predicted, and a lab may refuse round after round:
proposing on would spend the pool on a lab that does not work. A campaign whose alarm
rang is frozen: what the lab works on is still collected, but nothing new is proposed or
sent until a person says so. Results from before that count no more.
"""

from collections.abc import Container, Sequence
from datetime import datetime
from typing import Final, Literal

import numpy as np
from pydantic import AwareDatetime

from labwm.campaign.access import LOCAL_PERSON, require
from labwm.campaign.batches import Round, rounds_of
from labwm.campaign.books import Books, books
from labwm.campaign.doorbell import ring
from labwm.campaign.learning import Scored, score
from labwm.campaign.lease import Lease
from labwm.campaign.situation import Situation
from labwm.errors import ConflictError, InvalidInputError
from labwm.schema import Principal, Record, Scope
from labwm.store import EventView

FROZEN: Final = "campaign.frozen"
UNFROZEN: Final = "campaign.unfrozen"

EARLY: Final = 12
"""So many first results are no surprise: the first models know too little."""
RECENT: Final = 24
"""Results among which surprises are counted, the latest ones."""
SURPRISES: Final = 3
"""So many far results are several."""
FAR: Final = 1.0
"""Far outside: by more than so many widths of the 90 % interval."""
WINDOW: Final = 16
"""Results that drift is looked for in, against all before them."""
DRIFT_P: Final = 3e-5
"""Probability at which a shift of the errors is no chance; every round looks again."""
REFUSALS: Final = 3
"""So many rounds in a row that failed without any result are no chance."""


class Alarm(Record):
    """Why a campaign was frozen."""

    kind: Literal["surprise", "drift", "refusal"]
    readout: str | None = None
    """Whose values ring it; none where there are no values."""
    why: str
    proposal_ids: tuple[str, ...]
    """What shows it."""


class Freeze(Record):
    """A campaign that sends nothing until a person says so."""

    campaign_id: str
    round: int
    alarms: tuple[Alarm, ...]
    since: AwareDatetime

    @property
    def why(self) -> str:
        """The alarms in a line."""
        return "; ".join(alarm.why for alarm in self.alarms)


def alarms_in(scored: Sequence[Scored], *, since: int = 0) -> tuple[Alarm, ...]:
    """Look for surprise and drift in what was scored.

    First results only: replicates of one proposal share the error of its prediction.

    Args:
        scored: Everything that was scored, in the order of measuring.
        since: First round whose results count.
    """
    first = [one for one in scored if one.is_first]
    found: list[Alarm] = []
    for name in dict.fromkeys(one.readout for one in first):
        own = [one for one in first if one.readout == name]
        told = [one for one in own[EARLY:] if one.round >= since]
        counted = [one for one in own if one.round >= since]
        found += [a for a in (_surprise(name, told), _drift(name, counted)) if a]
    return tuple(found)


def _surprise(name: str, scored: Sequence[Scored]) -> Alarm | None:
    recent = scored[-RECENT:]
    far = [one for one in recent if _distance(one) > FAR]
    if len(far) < SURPRISES:
        return None
    return Alarm(
        kind="surprise",
        readout=name,
        why=f"{len(far)} of the last {len(recent)} values of {name} lie outside their "
        "90 % interval by more than its width",
        proposal_ids=tuple(one.proposal_id for one in far),
    )


def _distance(one: Scored) -> float:
    """Return how far outside its interval a value lies, in widths of it."""
    width = one.high90 - one.low90
    outside = max(one.low90 - one.measured, one.measured - one.high90, 0.0)
    if width <= 0:
        return np.inf if outside > 0 else 0.0
    return outside / width


def _drift(name: str, scored: Sequence[Scored]) -> Alarm | None:
    if len(scored) < 2 * WINDOW:
        return None
    from scipy.stats import mannwhitneyu

    # Where in its own prediction each value fell: free of units and of the model.
    place = np.array([one.probability for one in scored])
    p = float(mannwhitneyu(place[-WINDOW:], place[:-WINDOW]).pvalue)
    if p >= DRIFT_P:
        return None
    side = (
        "above" if np.median(place[-WINDOW:]) > np.median(place[:-WINDOW]) else "below"
    )
    return Alarm(
        kind="drift",
        readout=name,
        why=f"the last {WINDOW} values of {name} lie {side} what was predicted, "
        f"compared with the {len(scored) - WINDOW} before (p = {p:.1g})",
        proposal_ids=tuple(one.proposal_id for one in scored[-WINDOW:]),
    )


def refused(
    rounds: Sequence[Round], answered: Container[str], *, since: int = 0
) -> Alarm | None:
    """Look for a lab that refuses, or fails, whatever it is sent.

    Args:
        rounds: All of a campaign.
        answered: Proposals that have a result.
        since: First round that counts.
    """
    sent = [past for past in rounds if past.submission and past.index >= since]
    last = sent[-REFUSALS:]
    names = [name for past in last for name in past.proposal_ids]
    has_failed = all(past.is_closed and past.submission == "failed" for past in last)
    if len(last) < REFUSALS or not has_failed or any(n in answered for n in names):
        return None
    reason = last[-1].sent.detail.get("reason") if last[-1].sent else None
    return Alarm(
        kind="refusal",
        why=f"the lab failed {REFUSALS} rounds in a row without a result; it says of "
        f"the last: {reason or 'nothing'}",
        proposal_ids=tuple(names),
    )


def watch(store: Books, lease: Lease, situation: Situation) -> Freeze | None:
    """Return why a campaign is frozen, after freezing it where an alarm rings now."""
    if frozen := freeze_of(store, situation.campaign_id):
        return frozen
    start = _counted_from(store, situation.campaign_id)
    found = list(alarms_in(score(store, situation), since=start))
    rounds = rounds_of(store, situation.campaign_id)
    if alarm := refused(rounds, situation.counts.answered, since=start):
        found.append(alarm)
    if not found:
        return None
    body = {
        "round": situation.round,
        "alarms": [a.model_dump(mode="json") for a in found],
    }
    with lease.write(store) as w:
        w.event(FROZEN, body)
    return freeze_of(store, situation.campaign_id)


def freeze_of(store: Books, campaign_id: str) -> Freeze | None:
    """Return why a campaign is frozen; None if it is not."""
    events = store.ledger.events(campaign_id, kind=(FROZEN, UNFROZEN))
    last = {event.kind: event for event in events}
    return freeze_by(campaign_id, last.get(FROZEN), last.get(UNFROZEN))


def freeze_by(
    campaign_id: str, frozen: EventView | None, unfrozen: EventView | None
) -> Freeze | None:
    """Return what the last events of both kinds say."""
    if frozen is None or (unfrozen is not None and unfrozen.seq > frozen.seq):
        return None
    return Freeze.model_validate(
        frozen.body
        | {"campaign_id": campaign_id, "since": datetime.fromisoformat(frozen.at)}
    )


def _counted_from(store: Books, campaign_id: str) -> int:
    """Return the first round whose results count for alarms."""
    unfrozen = _last(store, campaign_id, UNFROZEN)
    return int(unfrozen.body["round"]) if unfrozen else 0


def unfreeze(
    campaign_id: str, *, note: str, principal: Principal = LOCAL_PERSON
) -> Freeze:
    """Let a frozen campaign go on, as a person's act; returns what was lifted.

    Args:
        campaign_id: Of a frozen campaign.
        note: What the person found; kept with the decision.
        principal: Who decides.

    Raises:
        ForbiddenError: If the principal may not decide.
        InvalidInputError: If the note says nothing.
        NotFoundError: If there is no such campaign.
        ConflictError: If it is not frozen.
    """
    require(principal, Scope.APPROVE)
    if not note.strip():
        raise InvalidInputError(
            "Whoever lets a frozen campaign go on says what they found; got an empty "
            "note. Say it with --note."
        )
    store = books()
    store.ledger.campaign(campaign_id)
    with store.ledger.visit(campaign_id, actor=principal.name) as w:
        # Two people at once: the second finds it lifted.
        frozen, lifted = w.events(FROZEN), w.events(UNFROZEN)
        if not frozen or (lifted and lifted[-1].seq > frozen[-1].seq):
            raise ConflictError(
                f"Only a frozen campaign is let go on; {campaign_id!r} is not frozen. "
                f"See `labwm campaign status {campaign_id}`."
            )
        last = frozen[-1]
        body = {"by": principal.name, "note": note, "round": last.body["round"]}
        w.event(UNFROZEN, body)
    ring()
    return Freeze.model_validate(
        last.body
        | {"campaign_id": campaign_id, "since": datetime.fromisoformat(last.at)}
    )


def _last(store: Books, campaign_id: str, kind: str) -> EventView | None:
    found = store.ledger.events(campaign_id, kind=kind)
    return found[-1] if found else None
