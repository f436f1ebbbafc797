"""Batches as doors show them: what would be measured, the gates, the decision."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from labwm.campaign.batches import Round
from labwm.campaign.books import Books
from labwm.campaign.drafting import DRAFTED
from labwm.campaign.situation import Situation
from labwm.campaign.terms import Terms
from labwm.errors import NotFoundError
from labwm.schema import BatchInfo, Decision, GateResult, Proposal
from labwm.space.stocks import Labels, price_of
from labwm.store import BatchView
from labwm.store.survey import Survey


def batch_infos(
    store: Books, terms: Situation | Terms, *, last: int
) -> tuple[int, tuple[BatchInfo, ...]]:
    """Return how many batches there are, and the last ones as doors show them."""
    with store.ledger.survey() as survey:
        total, found = survey.last_batches(terms.campaign_id, last)
        batches = _with_jobs(survey, found)
    return total, _infos(store, terms, batches)


def batch_info(store: Books, terms: Situation | Terms, batch_id: str) -> BatchInfo:
    """Return one batch as doors show it.

    Raises:
        NotFoundError: If the campaign has no such batch.
    """
    with store.ledger.survey() as survey:
        batches = _with_jobs(survey, [survey.batch(batch_id)])
    if batches[0].batch.campaign_id != terms.campaign_id:
        raise NotFoundError(
            f"A batch belongs to its campaign; {terms.campaign_id!r} has none called "
            f"{batch_id!r}. List them with `labwm campaign status {terms.campaign_id}`."
        )
    return _infos(store, terms, batches)[0]


def _with_jobs(survey: Survey, batches: Sequence[BatchView]) -> list[Round]:
    """Return batches with their last jobs; whether they are closed is not told."""
    sent = {
        job.batch_id: job
        for owner in {batch.campaign_id for batch in batches}
        for job in sorted(
            survey.jobs_for(owner, [batch.id for batch in batches]),
            key=lambda job: job.attempt,
        )
    }
    return [Round(batch, sent.get(batch.id), is_closed=False) for batch in batches]


def _infos(
    store: Books, terms: Situation | Terms, batches: Sequence[Round]
) -> tuple[BatchInfo, ...]:
    said = said_of(store, terms)
    names = {name for batch in batches for name in batch.proposal_ids}
    found = store.ledger.proposals_named(terms.campaign_id, names)
    known = {proposal.id: proposal for proposal in found}
    order = {name: i for i, name in enumerate(known)}
    return tuple(
        info_of(
            terms,
            batch,
            [known[name] for name in sorted(batch.proposal_ids, key=order.__getitem__)],
            said.get(batch.key, {}),
        )
        for batch in batches
    )


def said_of(store: Books, terms: Situation | Terms) -> dict[str, dict[str, Any]]:
    """Return what each batch was put up with, by its key: its gates, who is asked."""
    events = store.ledger.events(terms.campaign_id, kind=DRAFTED)
    return {str(event.body["submission_key"]): event.body for event in events}


def info_of(
    terms: Situation | Terms,
    batch: Round,
    proposals: Sequence[Proposal],
    said: dict[str, Any],
) -> BatchInfo:
    """Return a batch as doors show it."""
    costs = terms.protocol.costs
    rows = [proposal.candidate.conditions for proposal in proposals]
    labels: Labels = terms.labels if costs.levels else {}
    return BatchInfo(
        batch_id=batch.key,
        round=batch.index,
        content_sha256=batch.job.content_sha256,
        approval=batch.approval,
        submission=batch.submission,
        submission_key=batch.submission_key if batch.submission else None,
        proposals=tuple(proposals),
        wells=batch.job.wells,
        plate=batch.job.plate,
        cost=price_of(terms.protocol, labels, rows),
        currency=costs.per_experiment.currency or costs.per_batch.currency,
        asks=tuple(said.get("asks", ())),
        gates=tuple(GateResult.model_validate(gate) for gate in said.get("gates", ())),
        decision=_decision(batch),
    )


def _decision(batch: Round) -> Decision | None:
    if batch.approval in {"drafted", "awaiting"}:
        return None
    detail = batch.batch.detail
    if "how" in detail:
        how = str(detail["how"])
    elif detail.get("auto_approved"):
        how = "auto-approved"
    else:
        how = "self-approved" if detail.get("self_approved") else batch.approval
    if batch.approval != "approved":
        how = batch.approval
    return Decision(
        how=how,
        by=str(detail.get("by") or detail.get("written_in") or batch.batch.moved_by),
        at=datetime.fromisoformat(batch.batch.moved_at),
        note=str(detail.get("note") or detail.get("why") or detail.get("rule") or ""),
    )
