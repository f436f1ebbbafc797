"""What agents ask and propose: read freely, propose with a reason, submit for a round."""

import uuid
from collections.abc import Sequence

from labwm.campaign import modelling
from labwm.campaign.access import require
from labwm.campaign.approval import needs_approval
from labwm.campaign.books import Books, books
from labwm.campaign.lease import held
from labwm.campaign.modelling import Belief
from labwm.campaign.rounds import (
    believe_if_possible,
    queued_proposals,
    stored_prediction,
)
from labwm.campaign.screening import Verdict, screen
from labwm.campaign.situation import Situation, read_situation
from labwm.errors import ConflictError, DuplicateError, NotFoundError
from labwm.errors import suggest as nearest
from labwm.schema import (
    Candidate,
    Conditions,
    PredictAnswer,
    PredictRequest,
    Principal,
    Proposal,
    ProposeAnswer,
    ProposeRequest,
    Scope,
    ScreenedProposal,
    StoredPrediction,
    SubmitAnswer,
    SubmitRequest,
    SuggestAnswer,
    Suggestion,
    SuggestRequest,
)

_POLICY_VERSION = "1"


def predict(request: PredictRequest, *, principal: Principal) -> PredictAnswer:
    """Say what measuring some conditions once would give, and keep what was said.

    Raises:
        NotEnoughDataError: If there is no model yet.
        SpaceError: If conditions name unknown parameters or lie outside the space.
    """
    require(principal, Scope.READ)
    store = books()
    situation = read_situation(store, request.campaign_id)
    _check_space(situation, request.experiments)
    beliefs, card = modelling.believe(situation, list(request.experiments))
    with store.ledger.note(request.campaign_id, actor=principal.name) as w:
        model_sha256 = w.add_model_card(card)
        predictions = tuple(
            stored_prediction(
                situation,
                id=f"prediction-{uuid.uuid4().hex}",
                conditions=conditions,
                belief=belief,
                model_sha256=model_sha256,
            )
            for conditions, belief in zip(request.experiments, beliefs, strict=True)
        )
        for prediction in predictions:
            w.add_prediction(prediction)
    return PredictAnswer(
        predictions=predictions, recipe=card.recipe, n_rows=card.n_rows
    )


def suggest(request: SuggestRequest, *, principal: Principal) -> SuggestAnswer:
    """Ask a policy what to measure next; nothing is stored and nothing is sent."""
    require(principal, Scope.READ)
    situation = read_situation(books(), request.campaign_id)
    plan = modelling.plan(situation, n=request.n, policy=request.policy)
    return SuggestAnswer(
        policy=plan.policy,
        suggestions=tuple(
            Suggestion(
                conditions=choice.conditions,
                reason=choice.reason,
                acquisition=choice.acquisition,
                support=choice.belief.support if choice.belief else None,
                readouts=choice.belief.readouts if choice.belief else {},
            )
            for choice in plan.choices
        ),
    )


def propose(request: ProposeRequest, *, principal: Principal) -> ProposeAnswer:
    """Store experiments of one's own with the prediction and a screening verdict.

    Raises:
        DuplicateError: If the idempotency key was used with other content.
        SpaceError: If conditions name parameters that the protocol lacks.
    """
    require(principal, Scope.PROPOSE)
    store = books()
    with held(store, request.campaign_id, actor=principal.name) as lease:
        if (earlier := _earlier(store, request, principal)) is not None:
            return ProposeAnswer.model_validate(earlier)
        situation = read_situation(store, request.campaign_id)
        rows = list(request.experiments)
        verdicts = screen(situation, rows)
        sound = [i for i, verdict in enumerate(verdicts) if not verdict.is_outside]
        beliefs, card = believe_if_possible(situation, [rows[i] for i in sound])
        by_row: dict[int, Belief | None] = dict(zip(sound, beliefs, strict=True))
        with lease.write(store) as w:
            model_sha256 = w.add_model_card(card) if card else None
            screened: list[ScreenedProposal] = []
            for i, (row, verdict) in enumerate(zip(rows, verdicts, strict=True)):
                proposal, prediction = _records(
                    situation,
                    request,
                    principal,
                    row=row,
                    rank=i,
                    belief=by_row.get(i),
                    model_sha256=model_sha256,
                )
                if prediction:
                    w.add_prediction(prediction)
                w.add_proposal(proposal)
                screened.append(_screened(proposal, prediction, verdict))
            answer = ProposeAnswer(proposals=tuple(screened))
            w.event("agent.proposed", _receipt(request, principal, answer))
    return answer


def submit(request: SubmitRequest, *, principal: Principal) -> SubmitAnswer:
    """Queue proposals that passed screening for the next round.

    Raises:
        NotFoundError: If a proposal is unknown.
        ConflictError: If one was held by screening, is queued already, or the budget
            does not allow so many.
        DuplicateError: If the idempotency key was used with other content.
    """
    require(principal, Scope.SUBMIT)
    store = books()
    with held(store, request.campaign_id, actor=principal.name) as lease:
        if (earlier := _earlier(store, request, principal)) is not None:
            return SubmitAnswer.model_validate(earlier)
        situation = read_situation(store, request.campaign_id)
        queued = {p.id for p in queued_proposals(store, situation)}
        _refuse_unready(store, request, queued)
        n_left = situation.n_left - len(queued) - len(request.proposal_ids)
        if n_left < 0:
            raise ConflictError(
                f"The budget allows {situation.n_left} more experiments, of which "
                f"{len(queued)} are queued; got {len(request.proposal_ids)}. Submit "
                "fewer, or ask for a larger budget."
            )
        answer = SubmitAnswer(
            queued=request.proposal_ids,
            n_left=n_left,
            needs_approval=needs_approval(situation),
        )
        with lease.write(store) as w:
            receipt = _receipt(request, principal, answer)
            w.event(
                "agent.submitted", {**receipt, "proposal_ids": [*request.proposal_ids]}
            )
    return answer


def _check_space(situation: Situation, rows: Sequence[Conditions]) -> None:
    from labwm.space.space import check

    for row in rows:
        check(situation.protocol, row)


def _records(
    situation: Situation,
    request: ProposeRequest,
    principal: Principal,
    *,
    row: Conditions,
    rank: int,
    belief: Belief | None,
    model_sha256: str | None,
) -> tuple[Proposal, StoredPrediction | None]:
    name = f"{situation.campaign_id}-a-{uuid.uuid4().hex[:12]}"
    prediction = None
    if belief and model_sha256:
        prediction = stored_prediction(
            situation,
            id=f"{name}-prediction",
            conditions=row,
            belief=belief,
            model_sha256=model_sha256,
        )
    proposal = Proposal(
        id=name,
        campaign_id=situation.campaign_id,
        round=situation.round,
        rank=rank,
        candidate=Candidate(conditions=row),
        proposer=principal.name,
        policy=f"{principal.kind.value}:{principal.name}",
        policy_version=_POLICY_VERSION,
        reason=request.reason,
        n_considered=len(request.experiments),
        seed=situation.round_seed,
        pool_sha256=situation.pool_sha256,
        data_sha256=situation.data_sha256,
        model_sha256=model_sha256,
        prediction_id=prediction.id if prediction else None,
    )
    return proposal, prediction


def _screened(
    proposal: Proposal, prediction: StoredPrediction | None, verdict: Verdict
) -> ScreenedProposal:
    return ScreenedProposal(
        proposal=proposal,
        prediction=prediction,
        verdict="hold" if verdict.reasons else "pass",
        reasons=verdict.reasons,
    )


Request = ProposeRequest | SubmitRequest


def _receipt(
    request: Request, principal: Principal, answer: ProposeAnswer | SubmitAnswer
) -> dict[str, object]:
    return {
        "principal": principal.name,
        "idempotency_key": request.idempotency_key,
        "request_sha256": request.digest(),
        "answer": answer.model_dump(mode="json"),
    }


def _earlier(store: Books, request: Request, principal: Principal) -> object | None:
    """Return the answer to the same request sent before under this key."""
    kind = "proposed" if isinstance(request, ProposeRequest) else "submitted"
    for event in store.ledger.events(request.campaign_id, kind=f"agent.{kind}"):
        body = event.body
        if (body["principal"], body["idempotency_key"]) != (
            principal.name,
            request.idempotency_key,
        ):
            continue
        if body["request_sha256"] != request.digest():
            raise DuplicateError(
                "An idempotency key stands for one request; "
                f"{request.idempotency_key!r} was used for another. Take a new key."
            )
        return body["answer"]
    return None


def _refuse_unready(store: Books, request: SubmitRequest, queued: set[str]) -> None:
    if len(set(request.proposal_ids)) < len(request.proposal_ids):
        raise ConflictError("A proposal is submitted once; got one of them twice.")
    verdicts = {
        screened["proposal"]["id"]: screened
        for event in store.ledger.events(request.campaign_id, kind="agent.proposed")
        for screened in event.body["answer"]["proposals"]
    }
    batches = store.ledger.batches(request.campaign_id)
    placed = {proposal for batch in batches for proposal in batch.proposal_ids}
    for proposal_id in request.proposal_ids:
        if proposal_id not in verdicts:
            raise NotFoundError(
                f"Only stored proposals can be submitted; got {proposal_id!r}. "
                f"{nearest(proposal_id, verdicts)} Propose first."
            )
        if verdicts[proposal_id]["verdict"] == "hold":
            raise ConflictError(
                f"Screening holds {proposal_id!r}: "
                f"{'; '.join(verdicts[proposal_id]['reasons'])}. Propose other "
                "conditions."
            )
        if proposal_id in queued | placed:
            raise ConflictError(
                f"A proposal is submitted once; {proposal_id!r} was before. Look at "
                "the campaign's status."
            )
