"""Put a batch up for approval: exactly what would be sent, past every gate but that."""

from collections import Counter
from collections.abc import Sequence

from labwm.campaign.batches import Round, rounds_of
from labwm.campaign.gates import check_job, reasons_to_ask, refuse_failed
from labwm.campaign.inventory import needs_of, stock_up
from labwm.campaign.plates import lay_out, layout_of
from labwm.campaign.situation import Situation
from labwm.schema import Job, Proposal, Well, canonical_json
from labwm.store import ApprovalState, Writer

DRAFTED = "round.proposed"
"""Kind of the event that says what a batch was put up with."""


def draft_job(situation: Situation, proposals: Sequence[Proposal], *, key: str) -> Job:
    """Return the job that measures some proposals: replicates, controls, places."""
    opening, seed = situation.opening, situation.round_seed
    replicates = situation.protocol.n_replicates
    # Conditions that were measured before go on with the next replicate number: the
    # lab's noise is keyed by it, and the same number would give the same value again.
    before = [m.conditions for m in situation.measurements]
    before += situation.counts.retracted
    seen = Counter(canonical_json(conditions) for conditions in before)
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
        submission_key=key,
        campaign_id=situation.campaign_id,
        round=situation.round,
        lab=opening.lab,
        protocol_name=opening.protocol_name,
        protocol_version=opening.protocol_version,
        protocol_sha256=opening.protocol_sha256,
        wells=lay_out(situation.protocol, wells, seed=seed),
        plate=layout_of(situation.protocol, seed=seed),
    )


def first_key(situation: Situation) -> str:
    """Return the key of the first batch of the next round."""
    name = f"{situation.campaign_id}-{situation.opening.uid}"
    return f"{name}-r{situation.round:03d}"


def draft_again(
    situation: Situation, old: Round, proposals: Sequence[Proposal] | None = None
) -> Job:
    """Return a batch of the same round under a new key.

    Args:
        situation: Of the campaign.
        old: The batch that it takes the place of.
        proposals: Those of its proposals that stay; the same job if none are given.
    """
    past = rounds_of(situation.books, situation.campaign_id)
    same_round = [one for one in past if one.job.round == old.job.round]
    key = f"{same_round[0].key}-b{len(same_round)}"
    if proposals is None:
        return old.job.model_copy(update={"submission_key": key})
    job = draft_job(situation, proposals, key=key)
    update: dict[str, object] = {"round": old.job.round}
    if job.plate is None:
        kept = {proposal.id for proposal in proposals}
        wells = (well for well in old.job.wells if well.proposal_id in kept)
        update["wells"] = tuple(wells)
    return job.model_copy(update=update)


def put_up(
    w: Writer, situation: Situation, job: Job, proposals: Sequence[Proposal]
) -> None:
    """Store a batch with what each gate said of it; it awaits approval then.

    Raises:
        ConflictError: If a gate does not let it pass.
    """
    stock_up(w, situation)
    gates = check_job(situation, job, proposals, accounts=w.accounts)
    refuse_failed(gates)
    key = job.submission_key
    w.add_batch(
        key, job, proposer=proposals[0].proposer, needs=needs_of(situation, job)
    )
    w.move_approval(key, ApprovalState.AWAITING)
    reasons = reasons_to_ask(situation, job.conditions)
    w.event(
        DRAFTED,
        {
            "round": job.round,
            "submission_key": key,
            "content_sha256": job.content_sha256,
            "proposals": [proposal.id for proposal in proposals],
            "needs_approval": bool(reasons),
            "asks": list(reasons),
            "gates": [gate.model_dump(mode="json") for gate in gates],
        },
    )
