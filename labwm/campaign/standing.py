"""Where campaigns stand, told without reading what they measured.

What lists and pages show of a campaign is a few rows of the ledger: counts that each
transaction keeps, the last batch, the last events of some kinds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from labwm.campaign.alarms import FROZEN, UNFROZEN, Freeze, freeze_by
from labwm.campaign.amendments import AMENDED
from labwm.campaign.batches import CLOSING, Round
from labwm.campaign.books import Books
from labwm.campaign.dispatch import settles_doubt
from labwm.campaign.gates import reasons_to_ask
from labwm.campaign.situation import PREPARED, RAISED, Opening, cut_off, present
from labwm.campaign.terms import Terms
from labwm.schema import Amendment, CampaignState, Protocol, WaitsFor
from labwm.store import Overview
from labwm.store.survey import Survey

OUTLOOK = "round.outlook"
"""Kind of the event that states what was left to gain before a round."""

_KINDS = (PREPARED, AMENDED, RAISED, FROZEN, UNFROZEN, OUTLOOK)


@dataclass(frozen=True)
class Standing:
    """Where one campaign stands."""

    seen: Overview
    terms: Terms
    pending: frozenset[str]
    """Proposals of the open round without a result."""

    @property
    def is_amended(self) -> bool:
        """Was it ever amended? Then results are read by declared mappings."""
        return AMENDED in self.seen.last

    @property
    def tally(self) -> Mapping[str, int]:
        """What became of its experiments."""
        return self.seen.tally

    @property
    def budget(self) -> int:
        """Experiments in all: what was asked for, and what a person added."""
        raised = self.seen.last.get(RAISED)
        return int(raised.body["to"]) if raised else self.terms.spec.budget

    @property
    def round(self) -> int:
        """Number of the next round, from 0."""
        return self.seen.batch.round + 1 if self.seen.batch else 0

    @property
    def last(self) -> Round | None:
        """The last round; a new one is proposed only once it is closed."""
        return last_round(self.seen)

    @cached_property
    def freeze(self) -> Freeze | None:
        """Why it is frozen; None if it is not."""
        events = self.seen.last
        return freeze_by(self.seen.id, events.get(FROZEN), events.get(UNFROZEN))

    @property
    def waits_for(self) -> WaitsFor:
        """What it waits for."""
        state, last = self.seen.state, self.last
        idle = {
            CampaignState.OPEN: WaitsFor.NOTHING,
            CampaignState.STOPPED: WaitsFor.PERSON,
        }.get(state, WaitsFor.DONE)
        if last is None or last.is_closed:
            is_frozen = state is CampaignState.OPEN and self.freeze is not None
            return WaitsFor.PERSON if is_frozen else idle
        if last.is_unsent and state is not CampaignState.OPEN:
            return idle
        return _round_waits_for(self.terms, last)


def _round_waits_for(terms: Terms, last: Round) -> WaitsFor:
    if last.approval == "awaiting" and reasons_to_ask(terms, last.job.conditions):
        return WaitsFor.APPROVAL
    if last.submission in {"submitting", "in_doubt"}:
        is_settled = settles_doubt(terms.opening.lab) and not last.needs_person
        return WaitsFor.NOTHING if is_settled else WaitsFor.PERSON
    if last.submission in {"accepted", "running"}:
        return WaitsFor.LAB
    return WaitsFor.NOTHING


def last_round(seen: Overview) -> Round | None:
    """Return the last round of a campaign, if it has one."""
    if seen.batch is None:
        return None
    closed = {str(event.body["submission_key"]) for event in seen.since}
    return Round(seen.batch, seen.job, seen.batch.id in closed)


def standing_of(books: Books, campaign_id: str) -> Standing:
    """Return where one campaign stands.

    Raises:
        NotFoundError: If there is no such campaign.
    """
    with books.ledger.survey() as survey:
        found = survey.overviews(campaign_id, last=_KINDS, since=CLOSING)
        if found:
            return _standings(books, survey, found)[0]
    books.ledger.campaign(campaign_id)  # says which there are
    raise cut_off(campaign_id)


def standings(books: Books) -> tuple[Standing, ...]:
    """Return where every campaign stands, the oldest first."""
    with books.ledger.survey() as survey:
        found = survey.overviews(last=_KINDS, since=CLOSING)
        return _standings(books, survey, found)


def _standings(
    books: Books, survey: Survey, found: Sequence[Overview]
) -> tuple[Standing, ...]:
    protocols: dict[tuple[str, int], Protocol] = {}
    # Only of an open round is it asked what is in it.
    unfinished = [seen for seen in found if (r := last_round(seen)) and not r.is_closed]
    whole = survey.with_bodies(unfinished) if unfinished else {}
    found = [whole.get(seen.id, seen) for seen in found]
    pending = _pending(survey, found)
    return tuple(
        Standing(
            seen,
            _terms(books, survey, seen, protocols),
            pending.get(seen.id, frozenset()),
        )
        for seen in found
    )


def all_terms(books: Books) -> tuple[tuple[Overview, Terms], ...]:
    """Return every campaign in numbers, and what it keeps to, the oldest first.

    Nothing is told of its last batch.
    """
    protocols: dict[tuple[str, int], Protocol] = {}
    with books.ledger.survey() as survey:
        return tuple(
            (seen, _terms(books, survey, seen, protocols))
            for seen in survey.overviews(last=(PREPARED, AMENDED), since=None)
        )


def opening_in(seen: Overview) -> Opening:
    """Return what a campaign was opened with, as amended.

    Raises:
        NotFoundError: If its opening was cut off.
    """
    prepared, amended = seen.last.get(PREPARED), seen.last.get(AMENDED)
    if prepared is None:
        raise cut_off(seen.id)
    opening = Opening.model_validate(prepared.body)
    if amended is None:
        return opening
    return present(opening, [Amendment.model_validate(amended.body)])


def _terms(
    books: Books,
    survey: Survey,
    seen: Overview,
    protocols: dict[tuple[str, int], Protocol],
) -> Terms:
    opening = opening_in(seen)
    name = (opening.protocol_name, opening.protocol_version)
    if name not in protocols:
        protocols[name] = survey.protocol(*name)
    return Terms(seen.id, opening, protocols[name], books)


def _pending(survey: Survey, found: Sequence[Overview]) -> dict[str, frozenset[str]]:
    """Return the proposals of open rounds without a result, by campaign.

    One whose result was retracted is free to be tried again: it is not pending.
    """
    lasts = [r for seen in found if (r := last_round(seen)) and not r.is_closed]
    asked: dict[str, dict[str, str]] = {}
    for last in lasts:
        wells = last.job.wells
        named = {well.name: well.proposal_id for well in wells if well.proposal_id}
        asked[last.job.campaign_id] = named
    sent = {
        r.job.campaign_id: r.job.submission_key for r in lasts if r.sent is not None
    }
    # What no lab has was neither answered nor retracted.
    ids = {name: set(asked[name].values()) for name in sent}
    answered = survey.answered(ids)
    slots = survey.retracted_slots(sent)
    again = {tuple(slot.rsplit("/", 2)[:2]) for slot in slots}
    return {
        name: frozenset(
            proposal
            for well, proposal in named.items()
            if proposal not in answered and (sent.get(name), well) not in again
        )
        for name, named in asked.items()
    }
