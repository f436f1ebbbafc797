"""Decisions on batches: bound to the digest of exactly what will be sent."""

from labwm.campaign.access import require
from labwm.campaign.batches import Round, rounds_of
from labwm.campaign.books import Books, books
from labwm.campaign.lease import Lease
from labwm.campaign.moments import Moment, reached
from labwm.campaign.situation import Situation, read_situation
from labwm.errors import ConflictError, ForbiddenError, NotFoundError
from labwm.schema import (
    ApprovalRequest,
    BatchInfo,
    Origin,
    Principal,
    Scope,
    WaitsFor,
)
from labwm.store import ApprovalState


def needs_approval(situation: Situation) -> bool:
    """Does the protocol want a person's yes for results of this origin?"""
    approval = situation.protocol.lab.approval
    rule = {
        Origin.MEASURED: approval.real,
        Origin.IMPORTED: approval.real,
        Origin.COMPUTED: approval.computed,
        Origin.REPLAYED: approval.replayed,
        Origin.VIRTUAL: approval.virtual,
    }[situation.origin]
    return rule == "always"


def settle(
    store: Books, lease: Lease, situation: Situation, batch: Round
) -> tuple[str, WaitsFor, bool]:
    """Approve by the protocol's written policy, or wait for a person."""
    if needs_approval(situation):
        reached(Moment.AWAITING)
        return f"round {batch.number} awaits approval", WaitsFor.APPROVAL, True
    rule = f"protocol {situation.protocol.name} version {situation.protocol.version}"
    with lease.write(store) as w:
        w.move_approval(
            batch.key,
            ApprovalState.APPROVED,
            {
                "auto_approved": True,
                "content_sha256": batch.job.content_sha256,
                "rule": f"{situation.origin.value} results need no approval",
                "written_in": rule,
            },
        )
    reached(Moment.APPROVED)
    return f"round {batch.number}: approved by {rule}", WaitsFor.NOTHING, False


def decide(request: ApprovalRequest, *, principal: Principal) -> BatchInfo:
    """Approve or reject exactly the batch with this digest.

    Raises:
        ForbiddenError: If the principal is no person, lacks the scope, or proposed part
            of the batch and the protocol has no `self_approval`.
        NotFoundError: If no batch of the campaign has this digest.
        ConflictError: If it was decided before.
    """
    require(principal, Scope.APPROVE)
    store = books()
    situation = read_situation(store, request.campaign_id)
    batch = _batch_with(store, request)
    is_own = _refuse_own(store, situation, batch, principal)
    approves = request.decision == "approve"
    # The state machine in the database refuses a second decision that raced this one.
    with store.ledger.visit(request.campaign_id, actor=principal.name) as w:
        w.move_approval(
            batch.key,
            ApprovalState.APPROVED if approves else ApprovalState.REJECTED,
            {
                "content_sha256": request.content_sha256,
                "by": principal.name,
                "note": request.note,
                "self_approved": is_own,
            },
        )
    reached(Moment.APPROVED)
    (fresh,) = (r for r in rounds_of(store, request.campaign_id) if r.key == batch.key)
    return batch_info(store, fresh)


def _batch_with(store: Books, request: ApprovalRequest) -> Round:
    for batch in rounds_of(store, request.campaign_id):
        if batch.job.content_sha256 == request.content_sha256:
            if batch.approval != "awaiting":
                raise ConflictError(
                    f"A batch is decided once; round {batch.number} is "
                    f"{batch.approval}. Look at the campaign's page."
                )
            return batch
    raise NotFoundError(
        "An approval names the digest of a stored batch; no batch of "
        f"{request.campaign_id!r} has {request.content_sha256[:12]}…. It may have "
        "changed since you looked: look again."
    )


def _refuse_own(
    store: Books, situation: Situation, batch: Round, principal: Principal
) -> bool:
    proposers = {
        proposal.proposer
        for proposal in store.ledger.proposals(situation.campaign_id)
        if proposal.id in batch.proposal_ids
    }
    if principal.name not in proposers:
        return False
    if not situation.protocol.lab.approval.self_approval:
        raise ForbiddenError(
            f"Another person than the proposer approves; {principal.name!r} proposed "
            "part of this batch. Ask a colleague, or write `self_approval: true` into "
            "the protocol's approval policy."
        )
    return True


def batch_info(store: Books, batch: Round) -> BatchInfo:
    """Return the batch as doors show it."""
    named = store.ledger.proposals_named(batch.job.campaign_id, batch.proposal_ids)
    proposals = {proposal.id: proposal for proposal in named}
    return BatchInfo(
        batch_id=batch.key,
        round=batch.number,
        content_sha256=batch.job.content_sha256,
        approval=batch.approval,
        submission=batch.submission,
        submission_key=batch.submission_key if batch.submission else None,
        proposals=tuple(proposals[proposal_id] for proposal_id in batch.proposal_ids),
    )
