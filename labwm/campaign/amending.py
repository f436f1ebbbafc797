"""Amend a running campaign: wholly or not at all, and only by people.

Everything that can fail or take long comes first. Then one transaction, in turn with
every other writer, stores the version, the event, what is void, and the results.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from labwm.campaign.access import LOCAL_PERSON, require
from labwm.campaign.amended_pool import Pool, amended_pool, with_table_levels
from labwm.campaign.amended_protocol import amended_protocol
from labwm.campaign.amendments import AMENDED, Reading, amendments_of
from labwm.campaign.batches import Round, rounds_of
from labwm.campaign.books import Books, books
from labwm.campaign.rounds import queued_proposals
from labwm.campaign.situation import Situation, pool_bytes, read_situation
from labwm.campaign.typed_results import Desk, Entry, entries
from labwm.errors import ConflictError, DuplicateError, NotFoundError
from labwm.schema import (
    AddLevel,
    Amendment,
    AmendRequest,
    CampaignState,
    Carrying,
    CorrectResult,
    NewVersion,
    OwnResult,
    Principal,
    Proposal,
    Protocol,
    Reasoned,
    RetractResult,
    Scope,
    VersionName,
    canonical_json,
)
from labwm.space.membership import membership_of
from labwm.store import ApprovalState, SubmissionState, WellState, Writer

_ATTEMPTS = 20
"""Each one fails only because another amendment came in between."""


def amend(request: AmendRequest, *, principal: Principal = LOCAL_PERSON) -> Amendment:
    """Amend a campaign, or say what that would do.

    Batches of which nothing was sent are void; their proposals that the new version
    allows go first in the next batch, under a new approval. Jobs that a lab has go on,
    and their results are taken in under the version that they follow. The next batch is
    chosen by models fitted to what the new version can read.

    Raises:
        ForbiddenError: If the principal is no person with the scope `approve`.
        NotFoundError: If there is no such campaign, result, well or proposal.
        InvalidInputError: If a change names what is not there or changes nothing.
        ConflictError: If the lab cannot follow, the campaign is done, or what is typed
            contradicts what is stored.
        DuplicateError: If the idempotency key was used with other content.
    """
    require(principal, Scope.APPROVE)
    store = books()
    for _ in range(_ATTEMPTS):
        if earlier := _earlier(store, request):
            return earlier
        situation = read_situation(store, request.campaign_id)
        plan = _plan(store, situation, request)
        if request.dry_run:
            return _draft(store, situation, plan, principal).amendment
        with store.ledger.visit(request.campaign_id, actor=principal.name) as w:
            if len(w.events(AMENDED)) != len(situation.amendments):
                continue
            # Nobody else writes to the campaign now: this is how it stands.
            now = read_situation(store, request.campaign_id)
            draft = _draft(store, now, plan, principal)
            _apply(w, plan, draft)
        return draft.amendment
    raise ConflictError(
        f"One amendment follows another; {_ATTEMPTS} others of "
        f"{request.campaign_id!r} came first. Send the same request again."
    )


def amendments(campaign_id: str) -> tuple[Amendment, ...]:
    """Return the amendments of a campaign, the first one first.

    Raises:
        NotFoundError: If there is no such campaign.
    """
    store = books()
    store.ledger.campaign(campaign_id)
    return amendments_of(store, campaign_id)


@dataclass(frozen=True)
class _Plan:
    """What follows from the request and the present version alone."""

    request: AmendRequest
    protocol: Protocol
    pool: Pool | None
    """None where the candidates stay."""
    n_candidates: int
    pool_object: str
    labels_object: str
    carrying: Carrying


@dataclass(frozen=True)
class _Draft:
    """What is to be stored in one transaction."""

    amendment: Amendment
    voided: tuple[Round, ...]
    entries: tuple[Entry, ...]


def _earlier(store: Books, request: AmendRequest) -> Amendment | None:
    """Return the answer to the same request sent before under this key."""
    store.ledger.campaign(request.campaign_id)
    for amendment in amendments_of(store, request.campaign_id):
        if request.idempotency_key in {None, ""}:
            return None
        if amendment.idempotency_key != request.idempotency_key:
            continue
        if amendment.request_sha256 != request.digest():
            raise DuplicateError(
                "An idempotency key stands for one request; "
                f"{request.idempotency_key!r} was used for another. Take a new key."
            )
        return amendment
    return None


def _plan(store: Books, situation: Situation, request: AmendRequest) -> _Plan:
    before, opening = situation.protocol, situation.opening
    after = amended_protocol(
        before,
        request,
        situation.labels,
        is_stored=lambda protocol: _is_taken(store, protocol),
        complete=lambda protocol: with_table_levels(store, situation, protocol),
    )
    pool, pool_object = None, opening.pool_object
    if after is not before:
        _refuse_done(store, situation)
        pool = amended_pool(store, situation, after)
        pool_object = _kept(store, request, pool_bytes(pool.questions))
    return _Plan(
        request=request,
        protocol=after,
        pool=pool,
        n_candidates=len(pool.questions if pool else situation.pool),
        pool_object=pool_object,
        labels_object=_put_labels(store, situation, request),
        carrying=next(
            (c.carrying for c in request.changes if isinstance(c, NewVersion)),
            Carrying(),
        ),
    )


def _is_taken(store: Books, protocol: Protocol) -> bool:
    try:
        known = store.ledger.protocol(protocol.name, protocol.version)
    except NotFoundError:
        return False
    return known != protocol


def _refuse_done(store: Books, situation: Situation) -> None:
    if store.ledger.campaign(situation.campaign_id).state is CampaignState.DONE:
        raise ConflictError(
            f"A campaign that is done chooses nothing more; {situation.campaign_id!r} "
            "is. Its results can still be taken in, corrected and retracted; for a new "
            "version of the protocol open another campaign."
        )


def _put_labels(store: Books, situation: Situation, request: AmendRequest) -> str:
    labels = {name: dict(known) for name, known in situation.labels.items()}
    for change in request.changes:
        if isinstance(change, AddLevel) and change.label:
            labels.setdefault(change.parameter, {})[str(change.level)] = change.label
    if labels == situation.labels:
        return situation.opening.labels_object
    return _kept(store, request, canonical_json(labels))


def _kept(store: Books, request: AmendRequest, content: bytes) -> str:
    """Store an object and return its digest; a dry run only says which it would be."""
    if request.dry_run:
        return hashlib.sha256(content).hexdigest()
    return store.objects.put(content)


def _draft(
    store: Books, situation: Situation, plan: _Plan, principal: Principal
) -> _Draft:
    request, opening = plan.request, situation.opening
    rounds = rounds_of(store, situation.campaign_id)
    open_rounds = [past for past in rounds if not past.is_closed]
    voided = tuple(past for past in open_rounds if past.is_unsent)
    again, withdrawn = _validate_again(store, situation, plan, voided)
    amendment = Amendment(
        campaign_id=situation.campaign_id,
        number=len(situation.amendments) + 1,
        by=principal.name,
        reason=request.reason,
        changes=request.changes,
        before=_name(situation.protocol),
        after=_name(plan.protocol),
        carrying=plan.carrying,
        pool_sha256=plan.pool.sha256 if plan.pool else opening.pool_sha256,
        pool_object=plan.pool_object,
        labels_object=plan.labels_object,
        n_candidates=plan.n_candidates,
        n_carried=0,
        not_carried=(),
        voided=tuple(past.key for past in voided),
        kept=tuple(
            past.job.submission_key
            for past in open_rounds
            if past.sent is not None and not past.is_unsent and not past.has_ended
        ),
        queued_again=again,
        withdrawn=withdrawn,
        results=(),
        idempotency_key=request.idempotency_key,
        request_sha256=request.digest(),
        is_dry_run=request.dry_run,
    )
    reading = Reading((*situation.amendments, amendment), plan.protocol)
    desk = Desk(store, situation, rounds, reading, request.reason)
    typed = [
        change
        for change in request.changes
        if isinstance(change, OwnResult | CorrectResult | RetractResult)
    ]
    made = tuple(entries(desk, typed))
    n_carried, lost = _carry(store, situation, rounds, reading)
    amendment = amendment.model_copy(
        update={
            "results": tuple(entry.taken for entry in made),
            "n_carried": n_carried,
            "not_carried": lost,
        }
    )
    return _Draft(amendment, voided, made)


def _name(protocol: Protocol) -> VersionName:
    return VersionName(
        name=protocol.name, version=protocol.version, sha256=protocol.digest()
    )


def _validate_again(
    store: Books, situation: Situation, plan: _Plan, voided: Sequence[Round]
) -> tuple[tuple[str, ...], tuple[Reasoned, ...]]:
    """Check again what waits: return what stands, and what is withdrawn with why."""
    known = {p.id: p for p in store.ledger.proposals(situation.campaign_id)}
    waiting = [known[name] for past in voided for name in past.proposal_ids]
    waiting += queued_proposals(store, situation)
    rules = membership_of(plan.protocol)
    stands: list[str] = []
    gone: list[Reasoned] = []
    for proposal in {p.id: p for p in waiting}.values():
        if why := _obstacle(plan, rules.problems(_stated(proposal)), proposal):
            gone.append(Reasoned(id=proposal.id, why=why))
        else:
            stands.append(proposal.id)
    return tuple(stands), tuple(gone)


def _stated(proposal: Proposal) -> dict[str, float | str]:
    return proposal.candidate.conditions


def _obstacle(plan: _Plan, problems: Sequence[str], proposal: Proposal) -> str | None:
    if not plan.carrying.is_identity:
        return "stated in terms of the version before; propose it again"
    del proposal
    return "; ".join(problems) or None


def _carry(
    store: Books, situation: Situation, rounds: Sequence[Round], reading: Reading
) -> tuple[int, tuple[Reasoned, ...]]:
    """Return how many results the new version can read, and those that it cannot."""
    versions = {past.job.submission_key: past.job.protocol_version for past in rounds}
    n_carried = 0
    lost: list[Reasoned] = []
    _, stored = store.ledger.counting(situation.campaign_id)
    for row, found in stored:
        read = reading.read(row.id, found, versions.get(found.job_key or ""))
        if isinstance(read, str):
            lost.append(Reasoned(id=row.id, why=read))
        else:
            n_carried += 1
    return n_carried, tuple(lost)


def _apply(w: Writer, plan: _Plan, draft: _Draft) -> None:
    amendment = draft.amendment
    if amendment.changes_protocol:
        w.add_protocol(plan.protocol)
    w.event(AMENDED, amendment.model_dump(mode="json"))
    why = f"amendment {amendment.number}: {amendment.reason}"
    for past in draft.voided:
        void(w, past, why=why)
    for entry in draft.entries:
        entry.write(w)


def void(w: Writer, past: Round, *, why: str) -> None:
    """Void a batch of which nothing was sent, and close its round."""
    if past.submission == "reserved":
        key = past.job.submission_key
        w.move_job(key, SubmissionState.CANCELLED, {"reason": why})
        w.move_wells(key, {well.name: WellState.CANCELLED for well in past.job.wells})
    w.move_approval(past.key, ApprovalState.EXPIRED, {"why": why})
    w.event(
        "round.closed", {"round": past.index, "submission_key": past.key, "why": why}
    )
