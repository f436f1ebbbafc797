"""Decisions on batches: bound to the digest of exactly what will be sent."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from labwm.campaign.access import require
from labwm.campaign.batch_infos import info_of, said_of
from labwm.campaign.batches import Round, rounds_of
from labwm.campaign.books import Books, books
from labwm.campaign.doorbell import ring
from labwm.campaign.drafting import draft_again, put_up
from labwm.campaign.gates import reasons_to_ask
from labwm.campaign.lease import Lease
from labwm.campaign.moments import Moment, reached
from labwm.campaign.situation import Situation, read_situation
from labwm.errors import (
    ConflictError,
    ForbiddenError,
    InvalidInputError,
    NotFoundError,
)
from labwm.schema import (
    ApprovalRequest,
    BatchInfo,
    Principal,
    Proposal,
    Scope,
    WaitsFor,
)
from labwm.store import ApprovalState, Writer


def settle(
    store: Books, lease: Lease, situation: Situation, batch: Round
) -> tuple[str, WaitsFor, bool]:
    """Approve by the protocol's written policy, or wait for a person.

    A request that nobody answered in time is asked again: it never just fails.
    """
    if reasons := reasons_to_ask(situation, batch.job.conditions):
        if _is_overdue(store, situation, batch):
            return _ask_again(store, lease, situation, batch)
        reached(Moment.AWAITING)
        why = "; ".join(reasons)
        did = f"round {batch.number} awaits approval: {why}"
        return did, WaitsFor.APPROVAL, True
    rule = f"protocol {situation.protocol.name} version {situation.protocol.version}"
    detail = {
        "how": "auto-approved",
        "auto_approved": True,
        "content_sha256": batch.job.content_sha256,
        "rule": f"{situation.origin.value} results need no approval",
        "written_in": rule,
    }
    try:
        with lease.write(store) as w:
            w.move_approval(batch.key, ApprovalState.APPROVED, detail)
    except ConflictError as error:
        # Another campaign took of the same stock meanwhile.
        with lease.write(store) as w:
            w.move_approval(batch.key, ApprovalState.EXPIRED, {"why": str(error)})
        return f"round {batch.number}: {error}", WaitsFor.NOTHING, False
    reached(Moment.APPROVED)
    return f"round {batch.number}: approved by {rule}", WaitsFor.NOTHING, False


def _is_overdue(store: Books, situation: Situation, batch: Round) -> bool:
    limit = situation.protocol.lab.approval.expires
    if limit is None or batch.approval != "awaiting":
        return False
    asked = datetime.fromisoformat(batch.batch.moved_at)
    return store.ledger.now() > asked + timedelta(seconds=limit)


def _ask_again(
    store: Books, lease: Lease, situation: Situation, old: Round
) -> tuple[str, WaitsFor, bool]:
    job = draft_again(situation, old)
    proposals = proposals_of(store, old)
    why = {"why": "nobody answered in time", "asked_again_as": job.submission_key}
    awaiting = ApprovalState.AWAITING
    try:
        with lease.write(store) as w:
            w.move_approval(old.key, ApprovalState.EXPIRED, why, was=awaiting)
            _close(w, old, "asked again")
            put_up(w, situation, job, proposals)
    except ConflictError:  # somebody answered in the last moment
        return f"round {old.number} was decided meanwhile", WaitsFor.NOTHING, False
    did = f"round {old.number}: nobody answered in time; asked again"
    return did, WaitsFor.APPROVAL, True


def decide(request: ApprovalRequest, *, principal: Principal) -> BatchInfo:
    """Approve, trim or reject exactly the batch with this digest.

    To trim is one act: it leaves experiments out, and approves what stays under its
    own digest.

    Raises:
        ForbiddenError: If the principal is no person, lacks the scope, or proposed part
            of what she approves and the protocol has no `self_approval`.
        NotFoundError: If no batch of the campaign has this digest.
        ConflictError: If it was decided before, or a gate holds it.
        InvalidInputError: If what is kept is not some of the batch.
    """
    require(principal, Scope.APPROVE)
    store = books()
    situation = read_situation(store, request.campaign_id)
    batch = _batch_with(store, request)
    kept = _kept(proposals_of(store, batch), request)
    if request.decision != "reject" and _is_overdue(store, situation, batch):
        raise ConflictError(
            f"A request is answered in time; that of round {batch.number} has expired. "
            f"Run `labwm campaign advance {request.campaign_id}`: it is asked again."
        )
    detail: dict[str, Any] = {
        "content_sha256": request.content_sha256,
        "by": principal.name,
        "note": request.note,
    }
    if request.decision != "reject":
        is_own = _refuse_own(situation, kept, principal)
        how = "self-approved" if is_own else "approved"
        detail |= {"how": how, "self_approved": is_own}
    # The state machine in the database refuses a second decision that raced this one.
    with store.ledger.visit(request.campaign_id, actor=principal.name) as w:
        if request.decision == "trim":
            key = _trim(w, situation, batch, kept, detail)
        else:
            key, approves = batch.key, request.decision == "approve"
            to = ApprovalState.APPROVED if approves else ApprovalState.REJECTED
            w.move_approval(key, to, detail)
    reached(Moment.APPROVED)
    ring()
    found = rounds_of(store, request.campaign_id)
    (fresh,) = (past for past in found if past.key == key)
    said = said_of(store, situation).get(key, {})
    return info_of(situation, fresh, proposals_of(store, fresh), said)


def _trim(
    w: Writer,
    situation: Situation,
    old: Round,
    kept: Sequence[Proposal],
    detail: dict[str, Any],
) -> str:
    """Put the rest of a batch in its place and approve it, all at once."""
    job = draft_again(situation, old, kept)
    change = {
        "why": "trimmed",
        "trimmed_to": job.content_sha256,
        "trimmed_as": job.submission_key,
        "by": detail["by"],
    }
    awaiting = ApprovalState.AWAITING
    w.move_approval(old.key, ApprovalState.EXPIRED, change, was=awaiting)
    _close(w, old, "trimmed")
    put_up(w, situation, job, kept)
    own = {"content_sha256": job.content_sha256, "trimmed_from": old.key}
    w.move_approval(job.submission_key, ApprovalState.APPROVED, detail | own)
    return job.submission_key


def _close(w: Writer, old: Round, why: str) -> None:
    """Say that nothing more comes of a batch whose round goes on with another."""
    body = {"round": old.job.round, "submission_key": old.key, "why": why}
    w.event("round.closed", body)


def _kept(proposals: Sequence[Proposal], request: ApprovalRequest) -> list[Proposal]:
    if request.decision != "trim":
        return list(proposals)
    known, wanted = {proposal.id for proposal in proposals}, set(request.keep)
    if not wanted or not wanted < known:
        raise InvalidInputError(
            "To trim is to keep some experiments of a batch and leave others out; got "
            f"{sorted(wanted)} of {sorted(known)}. Name some of them, or approve or "
            "reject the batch as it is."
        )
    return [proposal for proposal in proposals if proposal.id in wanted]


def _batch_with(store: Books, request: ApprovalRequest) -> Round:
    found = [
        batch
        for batch in rounds_of(store, request.campaign_id)
        if batch.job.content_sha256 == request.content_sha256
    ]
    waiting = [batch for batch in found if batch.approval == "awaiting"]
    if waiting:
        return waiting[-1]
    if found:
        raise ConflictError(
            f"A batch is decided once; round {found[-1].number} is "
            f"{found[-1].approval}. Look at the campaign's page."
        )
    raise NotFoundError(
        "An approval names the digest of a stored batch; no batch of "
        f"{request.campaign_id!r} has {request.content_sha256[:12]}…. It may have "
        "changed since you looked: look again."
    )


def _refuse_own(
    situation: Situation, proposals: Sequence[Proposal], principal: Principal
) -> bool:
    if principal.name not in {proposal.proposer for proposal in proposals}:
        return False
    if not situation.protocol.lab.approval.self_approval:
        raise ForbiddenError(
            f"Another person than the proposer approves; {principal.name!r} proposed "
            "part of this batch. Ask a colleague, or write `self_approval: true` into "
            "the protocol's approval policy."
        )
    return True


def proposals_of(store: Books, batch: Round) -> list[Proposal]:
    """Return the proposals of a batch, by rank."""
    named = store.ledger.proposals_named(batch.job.campaign_id, batch.proposal_ids)
    return sorted(named, key=lambda p: (p.round, p.rank, p.id))
