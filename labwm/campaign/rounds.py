"""Propose a round: what agents queued first, then what the policy chooses."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from pydantic import BaseModel

from labwm.campaign import modelling
from labwm.campaign.amendments import AMENDED, voided_by, withdrawn_by
from labwm.campaign.batches import rounds_of
from labwm.campaign.books import Books
from labwm.campaign.drafting import draft_job, first_key, put_up
from labwm.campaign.gates import shares_hard_factors
from labwm.campaign.inventory import first_that_fit, possible
from labwm.campaign.lease import Lease
from labwm.campaign.modelling import Belief
from labwm.campaign.moments import Moment, reached
from labwm.campaign.situation import Situation
from labwm.campaign.standing import OUTLOOK
from labwm.errors import ConflictError, ExhaustedError, NotEnoughDataError
from labwm.schema import (
    Candidate,
    Conditions,
    ModelCard,
    Proposal,
    StoredPrediction,
)
from labwm.schema.outlook import Outlook
from labwm.store import Writer

SHOWN = 1000
"""Candidates that are looked at to say what is lacking."""


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
    taken = _fitting(situation, queued)
    n_free = situation.batch_size - len(taken)
    say(f"round {situation.round + 1}: choosing {n_free} experiments")
    asked = [proposal.candidate.conditions for proposal in taken]
    chosen, why = _plan(situation, asked, n=n_free)
    if not taken and (chosen is None or not chosen.choices):
        return None
    with lease.write(store) as w:
        _refuse_amended(w, situation)
        proposals = taken + _store_plan(w, situation, chosen)
        job = draft_job(situation, proposals, key=first_key(situation))
        put_up(w, situation, job, proposals)
        if chosen is not None and chosen.outlook is not None:
            w.event(OUTLOOK, chosen.outlook.model_dump(mode="json"))
    reached(Moment.DRAFTED)
    if chosen is not None and chosen.outlook is not None:
        say(chosen.outlook.text())
    policy = chosen.policy if chosen else "agents"
    did = f"round {situation.round + 1}: {len(proposals)} proposals by {policy}"
    return "; ".join([did, *(f"left out, {reason}" for reason in why)])


def last_outlook(store: Books, campaign_id: str) -> Outlook | None:
    """Return what was left to gain when the last round was proposed, if it was said."""
    stated = store.ledger.events(campaign_id, kind=OUTLOOK)
    return Outlook.model_validate(stated[-1].body) if stated else None


def _refuse_amended(w: Writer, situation: Situation) -> None:
    """Refuse a batch that was chosen before an amendment."""
    if len(w.events(AMENDED)) != len(situation.amendments):
        raise ConflictError(
            f"A batch follows the present protocol; {situation.campaign_id!r} was "
            "amended while this one was chosen. Advance again: it is chosen anew."
        )


def short_of(situation: Situation, queued: Sequence[Proposal]) -> str | None:
    """Say what stocks are lacking where nothing could be proposed; None if none is."""
    rows = possible(situation)
    waiting = [proposal.candidate.conditions for proposal in queued]
    if rows is None and not waiting:
        return None
    pool = [situation.pool.row(i) for i in range(min(len(situation.pool), SHOWN))]
    _, why = first_that_fit(situation, [*waiting, *pool], before=[])
    if not why:
        return None
    return (
        f"out of stock: {why[0]}. Say what came in with `labwm campaign supply "
        f"{situation.campaign_id}`"
    )


def _fitting(situation: Situation, queued: Sequence[Proposal]) -> list[Proposal]:
    """Choose what was queued and fits one batch, the first first; the rest waits."""
    rows = [proposal.candidate.conditions for proposal in queued]
    together = [
        i
        for i, row in enumerate(rows)
        if shares_hard_factors(situation.protocol, rows[0], row)
    ][: situation.batch_size]
    fit, _ = first_that_fit(situation, [rows[i] for i in together], before=[])
    return [queued[together[i]] for i in fit]


def _plan(
    situation: Situation, asked: list[Conditions], *, n: int
) -> tuple[modelling.Plan | None, list[str]]:
    """Ask the policy for what fits beside `asked`; and why something was left out."""
    if n == 0:
        return None, []
    rows = possible(situation)
    allowed = None if rows is None else tuple(int(row) for row in rows)
    if allowed == ():
        return None, []
    told = replace(situation, avoided=situation.avoided + asked, allowed=allowed)
    try:
        plan = modelling.plan(told, n=n, policy=situation.spec.policy)
    except ExhaustedError:
        return None, []
    choices = [
        choice
        for choice in plan.choices
        if not asked
        or shares_hard_factors(situation.protocol, asked[0], choice.conditions)
    ]
    conditions = [choice.conditions for choice in choices]
    fit, why = first_that_fit(situation, conditions, before=asked)
    return replace(plan, choices=tuple(choices[i] for i in fit)), why


def _store_plan(
    w: Writer, situation: Situation, chosen: modelling.Plan | None
) -> list[Proposal]:
    if chosen is None:
        return []
    model_sha256 = (
        w.add_model_card(chosen.card, as_of=situation.as_of) if chosen.card else None
    )
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
        success=belief.success,
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
    """Return what no batch holds and somebody wants measured, the first first.

    That is what amendments queued again, then what agents submitted; less what
    amendments withdrew.
    """
    voided = voided_by(situation.amendments)
    past = [
        one for one in rounds_of(store, situation.campaign_id) if one.key not in voided
    ]
    gone = {proposal_id for one in past for proposal_id in one.proposal_ids}
    gone |= withdrawn_by(situation.amendments)
    wanted = [name for one in situation.amendments for name in one.queued_again]
    for event in store.ledger.events(situation.campaign_id, kind="agent.submitted"):
        wanted += Queued.model_validate(event.body).proposal_ids
    known = {p.id: p for p in store.ledger.proposals(situation.campaign_id)}
    return [known[name] for name in dict.fromkeys(wanted) if name not in gone]
