"""Results that people type: their own, off plan, corrected, retracted."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from labwm.campaign.amendments import Reading
from labwm.campaign.batches import Round
from labwm.campaign.books import Books
from labwm.campaign.situation import Situation
from labwm.data.cells import read_cell
from labwm.errors import (
    ConflictError,
    InvalidInputError,
    NotFoundError,
    SpaceError,
    suggest,
)
from labwm.schema import (
    Conditions,
    CorrectResult,
    Measurement,
    Origin,
    OwnResult,
    Protocol,
    RetractResult,
    Status,
    TakenIn,
    Value,
    Well,
)
from labwm.space.membership import on_levels
from labwm.space.questions import questions_from
from labwm.store import Revision, Writer

Typed = OwnResult | CorrectResult | RetractResult
_SHOWN: Final = 12
_SHORTEST: Final = 8


@dataclass(frozen=True)
class Desk:
    """What taking typed results in depends on."""

    books: Books
    situation: Situation
    rounds: Sequence[Round]
    reading: Reading
    """By the amendment that is being made."""
    reason: str

    @property
    def n_terms(self) -> int:
        """Amendments that a result in present terms follows."""
        return len(self.reading.amendments)


@dataclass(frozen=True)
class Entry:
    """One typed result: what is said of it, and how it is written."""

    taken: TakenIn
    write: Callable[[Writer], object]


def entries(desk: Desk, changes: Sequence[Typed]) -> list[Entry]:
    """Check typed results against what is stored; nothing is written yet.

    Raises:
        InvalidInputError: If one names an unknown readout, condition or value.
        NotFoundError: If one names a result, a well or a proposal that nobody knows.
        ConflictError: If the campaign's data set does not admit measured results, or
            one concerns what has a result, has none, or counts no longer.
    """
    made: list[Entry] = []
    n_of: dict[str, int] = {}
    for change in changes:
        if isinstance(change, RetractResult):
            made.append(_retract(desk, change))
        elif isinstance(change, CorrectResult):
            made.append(_correct(desk, change))
        else:
            made.append(_own(desk, change, n_of))
    names = [entry.taken.observation_id for entry in made]
    if len(set(names)) < len(names):
        raise InvalidInputError(
            "One amendment says one thing of each result; got two of the same. Make "
            "two amendments."
        )
    return made


def typed_values(protocol: Protocol, cells: Mapping[str, str]) -> dict[str, Value]:
    """Read values as they are typed into a table's cells: `92`, `<5`, `failed`.

    Raises:
        InvalidInputError: If a readout is unknown or a cell cannot be read.
    """
    found: dict[str, Value] = {}
    for name, cell in cells.items():
        _refuse_unknown(name, protocol.readout_names)
        value = read_cell(cell, protocol.readout(name))
        if value.status is Status.UNREADABLE:
            raise InvalidInputError(
                f"A value is a number, <limit, >limit, failed or missing; {name!r} got "
                f"{cell!r}. Correct it."
            )
        found[name] = value
    return found


def _own(desk: Desk, change: OwnResult, n_of: dict[str, int]) -> Entry:
    _refuse_unmeasured(desk)
    protocol = desk.reading.protocol
    conditions = _conditions(desk, change.conditions)
    for name in change.readouts:
        _refuse_unknown(name, protocol.readout_names)
    measurement = Measurement(
        conditions=conditions,
        readouts=change.readouts,
        origin=Origin.MEASURED,
        measured_at=change.measured_at,
    )
    if change.instead_of is None:
        number = desk.books.ledger.next_replicate(
            desk.situation.campaign_id, conditions
        )
        key = str(sorted(conditions.items()))
        number += n_of.get(key, 0)
        n_of[key] = n_of.get(key, 0) + 1
        measurement = measurement.model_copy(update={"replicate": number})
        what = "a person's own experiment"
    else:
        past, well = _well(desk, change.instead_of)
        is_as_planned = conditions == well.conditions
        measurement = measurement.model_copy(
            update={
                "job_key": past.job.submission_key,
                "well": well.name,
                "replicate": well.replicate,
                "proposal_id": well.proposal_id if is_as_planned else None,
                # Above the lab's own first report of this well, should it come too.
                "revision": 1,
            }
        )
        what = f"done instead of {well.proposal_id} in {past.job.submission_key}"
        what += f"/{well.name}"
    taken = TakenIn(observation_id=measurement.digest(), what=what, terms=desk.n_terms)
    return Entry(taken, lambda w: w.add_observations([measurement]))


def _correct(desk: Desk, change: CorrectResult) -> Entry:
    name, found, is_retracted = _stored(desk, change.observation)
    for readout in change.readouts:
        _refuse_unknown(readout, desk.reading.protocol.readout_names)
    terms = desk.reading.start_of(name, _version(desk, found))
    conditions, proposal = found.conditions, found.proposal_id
    if change.conditions:
        if found.job_key is None:
            raise InvalidInputError(
                "A result outside any batch is known by its conditions; got others for "
                f"{name[:_SHOWN]}. Retract it, and take the right one in."
            )
        now = desk.reading.read_from(terms, found)
        if isinstance(now, str):
            raise ConflictError(
                f"Conditions are corrected in terms of the present protocol; {now}. "
                "Declare how results are carried first."
            )
        conditions = _conditions(desk, now.conditions | change.conditions)
        proposal, terms = None, desk.n_terms
    highest = desk.books.ledger.highest_revision(desk.situation.campaign_id, name)
    corrected = found.model_copy(
        update={
            "readouts": found.readouts | change.readouts,
            "conditions": conditions,
            "proposal_id": proposal,
            "revision": highest + 1,
            "raw_sha256": None,  # the lab's bytes say something else
        }
    )
    if corrected.readouts == found.readouts and conditions == found.conditions:
        raise InvalidInputError(
            f"A correction changes something; {name[:_SHOWN]} says so already. Leave "
            "it out."
        )
    new = corrected.digest()
    what = f"corrects {name[:_SHOWN]}"
    taken = TakenIn(observation_id=new, what=what, terms=terms)

    def write(w: Writer) -> None:
        w.add_observations([corrected])
        if is_retracted:
            w.reinstate(new, reason=desk.reason)

    return Entry(taken, write)


def _retract(desk: Desk, change: RetractResult) -> Entry:
    name, found, is_retracted = _stored(desk, change.observation)
    if is_retracted:
        raise ConflictError(
            f"A result is retracted once; {name[:_SHOWN]} was before. Leave it out, or "
            "correct it: then it counts again."
        )
    terms = desk.reading.start_of(name, _version(desk, found))
    taken = TakenIn(observation_id=name, what="retracted", terms=terms)
    return Entry(taken, lambda w: w.retract(name, reason=desk.reason))


def _stored(desk: Desk, prefix: str) -> tuple[str, Measurement, bool]:
    """Return what counts now, or counted last, under a digest; and is it retracted?"""
    campaign_id = desk.situation.campaign_id
    found = _named(desk, prefix)
    if len(found) != 1:
        met = f"{len(found)} results have it" if found else "no result has it"
        raise NotFoundError(
            "A result is named by its digest (8 letters of it do), by its well "
            f"JOB/WELL or by its proposal; of {prefix[:80]!r}: {met} in "
            f"{campaign_id!r}. Find it with `labwm trace`."
        )
    ((row, measurement),) = found
    retracted = desk.books.ledger.retracted_slots(campaign_id)
    is_retracted = row.slot in retracted
    if not row.is_current and not is_retracted:
        raise ConflictError(
            f"Only what counts is corrected or retracted; a later revision counts "
            f"instead of {row.id[:_SHOWN]}. Look at `labwm trace {row.id[:_SHOWN]}`."
        )
    return row.id, measurement, is_retracted


def _named(desk: Desk, name: str) -> Sequence[tuple[Revision, Measurement]]:
    """Return the results of a name; of a well or proposal what counts, or counted."""
    ledger, campaign_id = desk.books.ledger, desk.situation.campaign_id
    if set(name) <= set("0123456789abcdef") and len(name) >= _SHORTEST:
        return ledger.observations_named(campaign_id, name)
    places = [
        (past.job.submission_key, well.name)
        for past in desk.rounds
        for well in past.job.wells
        if name in {f"{past.job.submission_key}/{well.name}", well.proposal_id}
    ]
    return [one for place in places for one in ledger.last_of_well(campaign_id, *place)]


def _well(desk: Desk, name: str) -> tuple[Round, Well]:
    """Return the well without a result that a person names, by place or proposal."""
    states = desk.books.ledger.well_states
    sent = [past for past in desk.rounds if past.sent is not None]
    places = [
        (past, well)
        for past in sent
        for well in past.job.wells
        if name in {f"{past.job.submission_key}/{well.name}", well.proposal_id}
    ]
    if not places:
        known = [p for past in sent for p in past.proposal_ids]
        raise NotFoundError(
            "What was done differently is a well JOB/WELL or a proposal that a lab "
            f"has; got {name!r}. {suggest(name, known)} For an experiment outside any "
            "batch leave it out."
        )
    free = [
        (past, well)
        for past, well in places
        if states(past.job.submission_key)[well.name] in {"planned", "cancelled"}
    ]
    if len(free) != 1:
        met = f"{len(free)} wells of it wait" if free else "each of its wells has one"
        raise ConflictError(
            f"What was done differently is one well without a result; of {name!r} "
            f"{met}. Name JOB/WELL, or correct the result that is there."
        )
    return free[0]


def _conditions(desk: Desk, stated: Conditions) -> Conditions:
    protocol = desk.reading.protocol
    conditions = on_levels(protocol, stated)
    questions_from(protocol, [conditions])
    probe = Measurement(
        conditions=conditions,
        readouts={protocol.readout_names[0]: Value(status=Status.MISSING)},
        origin=Origin.MEASURED,
    )
    why = desk.reading.read_from(desk.n_terms, probe)
    if isinstance(why, str):
        raise SpaceError(f"A result states every condition; {why}. Add them.")
    return conditions


def _version(desk: Desk, found: Measurement) -> int | None:
    for past in desk.rounds:
        if past.job.submission_key == found.job_key:
            return past.job.protocol_version
    return None


def _refuse_unmeasured(desk: Desk) -> None:
    admitted = desk.books.ledger.campaign(desk.situation.campaign_id).origins
    if Origin.MEASURED not in admitted:
        raise ConflictError(
            "What people measure never enters a campaign of another origin; "
            f"{desk.situation.campaign_id!r} admits "
            f"{sorted(str(origin) for origin in admitted)}, got 'measured'. Keep it in "
            "a campaign on a real lab."
        )


def _refuse_unknown(name: str, known: Sequence[str]) -> None:
    if name not in known:
        raise InvalidInputError(
            f"Results name readouts of the protocol; got {name!r}. "
            f"{suggest(name, known)}"
        )
