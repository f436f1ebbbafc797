"""Propose a round: what agents queued first, then what the policy chooses."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from pydantic import BaseModel

from labwm.campaign import modelling
from labwm.campaign.approval import needs_approval
from labwm.campaign.batches import rounds_of
from labwm.campaign.books import Books
from labwm.campaign.lease import Lease
from labwm.campaign.modelling import Belief
from labwm.campaign.moments import Moment, reached
from labwm.campaign.situation import Situation
from labwm.errors import ExhaustedError, NotEnoughDataError
from labwm.schema import (
    Candidate,
    Conditions,
    Job,
    ModelCard,
    Proposal,
    StoredPrediction,
    Well,
    canonical_json,
)
from labwm.schema.outlook import Outlook
from labwm.store import ApprovalState, Writer
from labwm.store.chain import Json


class Queued(BaseModel):
    """The part of an event `agent.submitted` that a round needs."""

    proposal_ids: tuple[str, ...]


def propose_round(
    store: Books,
    lease: Lease,
    situation: Situation,
    queued: Sequence[Proposal],
    *,
    say: Callable[[str], None],
) -> str | None:
    """Store the next batch with its predictions; None if nothing is left to try.

    Proposals that agents submitted come first; the policy fills the rest.
    """
    taken = list(queued)[: situation.batch_size]
    n_free = situation.batch_size - len(taken)
    say(f"round {situation.round}: choosing {n_free} experiments")
    asked = [proposal.candidate.conditions for proposal in taken]
    chosen = _plan(replace(situation, avoided=situation.avoided + asked), n=n_free)
    if not taken and (chosen is None or not chosen.choices):
        return None
    with lease.write(store) as w:
        proposals = taken + _store_plan(w, situation, chosen)
        job = _job(situation, proposals)
        proposer = proposals[0].proposer
        w.add_batch(job.submission_key, job, proposer=proposer)
        w.move_approval(job.submission_key, ApprovalState.AWAITING)
        w.event(
            "round.proposed",
            {
                "round": situation.round,
                "submission_key": job.submission_key,
                "content_sha256": job.content_sha256,
                "proposals": [proposal.id for proposal in proposals],
                "needs_approval": needs_approval(situation),
                **_stated_outlook(chosen),
            },
        )
    reached(Moment.DRAFTED)
    if chosen is not None and chosen.outlook is not None:
        say(chosen.outlook.text())
    policy = chosen.policy if chosen else "agents"
    return f"round {situation.round}: {len(proposals)} proposals by {policy}"


def last_outlook(store: Books, campaign_id: str) -> Outlook | None:
    """Return what was left to gain when the last round was proposed, if it was said."""
    for event in reversed(store.ledger.events(campaign_id, kind="round.proposed")):
        if (stated := event.body.get("outlook")) is not None:
            return Outlook.model_validate(stated)
    return None


def _stated_outlook(chosen: modelling.Plan | None) -> dict[str, Json]:
    if chosen is None or chosen.outlook is None:
        return {}
    return {"outlook": chosen.outlook.model_dump(mode="json")}


def _plan(situation: Situation, *, n: int) -> modelling.Plan | None:
    if n == 0:
        return None
    try:
        return modelling.plan(situation, n=n, policy=situation.spec.policy)
    except ExhaustedError:
        return None


def _store_plan(
    w: Writer, situation: Situation, chosen: modelling.Plan | None
) -> list[Proposal]:
    if chosen is None:
        return []
    model_sha256 = w.add_model_card(chosen.card) if chosen.card else None
    stored: list[Proposal] = []
    for rank, choice in enumerate(chosen.choices):
        name = f"{situation.campaign_id}-r{situation.round:03d}-p{rank:03d}"
        prediction_id = None
        if choice.belief and model_sha256:
            prediction_id = f"{name}-prediction"
            w.add_predictions(
                [
                    stored_prediction(
                        situation,
                        name=prediction_id,
                        conditions=choice.conditions,
                        belief=choice.belief,
                        model_sha256=model_sha256,
                    )
                ]
            )
        proposal = Proposal(
            id=name,
            campaign_id=situation.campaign_id,
            round=situation.round,
            rank=rank,
            candidate=Candidate(
                conditions=choice.conditions,
                label=situation.label(choice.conditions),
            ),
            proposer=f"policy:{chosen.policy}",
            policy=chosen.policy,
            policy_version=chosen.policy_version,
            reason=choice.reason,
            acquisition=choice.acquisition,
            propensity=choice.propensity,
            n_considered=chosen.n_considered,
            seed=situation.round_seed,
            pool_sha256=situation.pool_sha256,
            data_sha256=situation.data_sha256,
            model_sha256=model_sha256,
            prediction_id=prediction_id,
        )
        w.add_proposals([proposal])
        stored.append(proposal)
    return stored


def stored_prediction(
    situation: Situation,
    *,
    name: str,
    conditions: Conditions,
    belief: Belief,
    model_sha256: str,
) -> StoredPrediction:
    """Return the record of what a model expects now, before any result."""
    return StoredPrediction(
        id=name,
        campaign_id=situation.campaign_id,
        conditions=conditions,
        readouts=belief.readouts,
        support=belief.support,
        model_sha256=model_sha256,
        data_sha256=situation.data_sha256,
        made_at=datetime.now(UTC),
    )


def believe_if_possible(
    situation: Situation, rows: list[Conditions]
) -> tuple[list[Belief | None], ModelCard | None]:
    """Predict some experiments, or say that there is no model yet."""
    try:
        beliefs, card = modelling.believe(situation, rows)
    except NotEnoughDataError:
        return [None] * len(rows), None
    return list(beliefs), card


def queued_proposals(store: Books, situation: Situation) -> list[Proposal]:
    """Return what agents submitted and no batch holds yet, the first first."""
    past = rounds_of(store, situation.campaign_id)
    placed = {proposal_id for one in past for proposal_id in one.proposal_ids}
    wanted = [
        proposal_id
        for event in store.ledger.events(situation.campaign_id, kind="agent.submitted")
        for proposal_id in Queued.model_validate(event.body).proposal_ids
        if proposal_id not in placed
    ]
    known = {p.id: p for p in store.ledger.proposals(situation.campaign_id)}
    return [known[proposal_id] for proposal_id in dict.fromkeys(wanted)]


def _job(situation: Situation, proposals: Sequence[Proposal]) -> Job:
    opening = situation.opening
    replicates = max(readout.replicates for readout in situation.protocol.readouts)
    # Conditions that were measured before go on with the next replicate number: the
    # lab's noise is keyed by it, and the same number would give the same value again.
    seen = Counter(canonical_json(m.conditions) for m in situation.measurements)
    wells = [
        Well(
            name=f"{i + 1:03d}" if replicates == 1 else f"{i + 1:03d}-{replicate + 1}",
            proposal_id=proposal.id,
            conditions=proposal.candidate.conditions,
            replicate=replicate + seen[canonical_json(proposal.candidate.conditions)],
        )
        for i, proposal in enumerate(proposals)
        for replicate in range(replicates)
    ]
    return Job(
        submission_key=f"{situation.campaign_id}-{opening.uid}-r{situation.round:03d}",
        campaign_id=situation.campaign_id,
        round=situation.round,
        lab=opening.lab,
        protocol_name=opening.protocol_name,
        protocol_version=opening.protocol_version,
        protocol_sha256=opening.protocol_sha256,
        wells=tuple(wells),
    )
