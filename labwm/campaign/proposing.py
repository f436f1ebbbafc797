"""Propose experiments of one's own, and submit those that passed screening.

Identifiers follow from the idempotency key: a request that is sent twice, one after the
other or at once, stores nothing twice.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from labwm.campaign.access import require
from labwm.campaign.amendments import amendments_of, withdrawn_by
from labwm.campaign.batches import rounds_of
from labwm.campaign.books import Books, books
from labwm.campaign.gates import reasons_to_ask
from labwm.campaign.inventory import first_that_fit
from labwm.campaign.modelling import Belief
from labwm.campaign.rounds import (
    believe_if_possible,
    queued_proposals,
    stored_prediction,
)
from labwm.campaign.screening import Verdict, screen
from labwm.campaign.situation import Situation, read_situation
from labwm.errors import ConflictError, DuplicateError, NotFoundError, suggest
from labwm.schema import (
    CampaignState,
    Candidate,
    Conditions,
    ModelCard,
    Principal,
    Proposal,
    ProposeAnswer,
    ProposeRequest,
    Record,
    Scope,
    ScreenedProposal,
    StoredPrediction,
    SubmitAnswer,
    SubmitRequest,
    sha256_of,
)
from labwm.space.membership import on_levels
from labwm.store import EventView
from labwm.store.chain import Json

_POLICY_VERSION = "1"
_ATTEMPTS = 50
"""Each one fails only because another writer's succeeded."""


def propose(request: ProposeRequest, *, principal: Principal) -> ProposeAnswer:
    """Store experiments of one's own with the prediction and a screening verdict.

    Raises:
        DuplicateError: If the idempotency key was used with other content.
        NotFoundError: If there is no such campaign.
    """
    require(principal, Scope.PROPOSE)
    store = books()
    if isinstance(earlier := _earlier(store, request, principal), ProposeAnswer):
        return earlier
    situation = read_situation(store, request.campaign_id)
    screened, card = _screen_all(_Asked(situation, request, principal))
    answer = ProposeAnswer(proposals=tuple(screened))
    with store.ledger.visit(request.campaign_id, actor=principal.name) as w:
        # The same request may have been stored since: its answer is the one.
        raced = _receipt_among(w.events("agent.proposed"), request, principal)
        if isinstance(raced, ProposeAnswer):
            return raced
        if card:
            w.add_model_card(card, as_of=situation.as_of)
        w.add_predictions([one.prediction for one in screened if one.prediction])
        w.add_proposals([one.proposal for one in screened])
        w.event("agent.proposed", _receipt(request, principal, answer))
    return answer


def submit(request: SubmitRequest, *, principal: Principal) -> SubmitAnswer:
    """Queue proposals that passed screening for the next round.

    Raises:
        NotFoundError: If a proposal is unknown.
        ConflictError: If one was held by screening, is queued already, the budget
            does not allow so many, or the campaign is closed.
        DuplicateError: If the idempotency key was used with other content.
    """
    require(principal, Scope.SUBMIT)
    store = books()
    for _ in range(_ATTEMPTS):
        seen = store.ledger.last_event(request.campaign_id)
        if isinstance(earlier := _earlier(store, request, principal), SubmitAnswer):
            return earlier
        try:
            answer = _queue(store, request)
        except ConflictError:
            # The other writer may have been this very request: then it has its answer.
            if store.ledger.last_event(request.campaign_id) == seen:
                raise
            continue
        with store.ledger.visit(request.campaign_id, actor=principal.name) as w:
            # What was decided from holds only while nobody wrote in between.
            if w.last_event() == seen:
                w.event("agent.submitted", _receipt(request, principal, answer))
                return answer
    raise ConflictError(
        "A request is answered by how the campaign stands; it changed "
        f"{_ATTEMPTS} times meanwhile. Send the same request again."
    )


def _queue(store: Books, request: SubmitRequest) -> SubmitAnswer:
    """Return the answer to a request, from how the campaign stands now."""
    situation = read_situation(store, request.campaign_id)
    if store.ledger.campaign(request.campaign_id).state is not CampaignState.OPEN:
        raise ConflictError(
            f"Only an open campaign measures; {request.campaign_id!r} is closed. Open "
            "another one."
        )
    queued = {p.id for p in queued_proposals(store, situation)}
    _refuse_unready(store, request, queued)
    _refuse_short(store, situation, request, queued)
    n_left = situation.n_left - len(queued) - len(request.proposal_ids)
    if n_left < 0:
        raise ConflictError(
            f"The budget allows {situation.n_left} more experiments, of which "
            f"{len(queued)} are queued; got {len(request.proposal_ids)}. Submit "
            "fewer, or ask for a larger budget."
        )
    return SubmitAnswer(
        queued=request.proposal_ids,
        n_left=n_left,
        needs_approval=bool(_reasons(store, situation, request)),
    )


@dataclass(frozen=True)
class _Asked:
    situation: Situation
    request: ProposeRequest
    principal: Principal

    def name(self, rank: int) -> str:
        """Return the identifier of one proposal: the same for the same request."""
        whose = sha256_of([self.principal.name, self.request.idempotency_key])[:12]
        return f"{self.situation.campaign_id}-a-{whose}-{rank:03d}"


def _screen_all(asked: _Asked) -> tuple[list[ScreenedProposal], ModelCard | None]:
    protocol = asked.situation.protocol
    rows = [on_levels(protocol, row) for row in asked.request.experiments]
    verdicts = screen(asked.situation, rows)
    sound = [i for i, verdict in enumerate(verdicts) if not verdict.is_outside]
    beliefs, card = believe_if_possible(asked.situation, [rows[i] for i in sound])
    by_row: dict[int, Belief | None] = dict(zip(sound, beliefs, strict=True))
    screened: list[ScreenedProposal] = []
    for rank, (row, verdict) in enumerate(zip(rows, verdicts, strict=True)):
        prediction = _prediction(asked, rank, row, by_row.get(rank), card)
        proposal = _proposal(asked, rank, row, prediction)
        screened.append(_screened(proposal, prediction, verdict))
    return screened, card


def _prediction(
    asked: _Asked,
    rank: int,
    row: Conditions,
    belief: Belief | None,
    card: ModelCard | None,
) -> StoredPrediction | None:
    if belief is None or card is None:
        return None
    return stored_prediction(
        asked.situation,
        name=f"{asked.name(rank)}-prediction",
        conditions=row,
        belief=belief,
        model_sha256=card.digest(),
    )


def _proposal(
    asked: _Asked, rank: int, row: Conditions, prediction: StoredPrediction | None
) -> Proposal:
    situation, principal = asked.situation, asked.principal
    return Proposal(
        id=asked.name(rank),
        campaign_id=situation.campaign_id,
        round=situation.round,
        rank=rank,
        candidate=Candidate(conditions=row, label=situation.label(row)),
        proposer=principal.name,
        policy=f"{principal.kind.value}:{principal.name}",
        policy_version=_POLICY_VERSION,
        reason=asked.request.reason,
        n_considered=len(asked.request.experiments),
        seed=situation.round_seed,
        pool_sha256=situation.pool_sha256,
        data_sha256=situation.data_sha256,
        model_sha256=prediction.model_sha256 if prediction else None,
        prediction_id=prediction.id if prediction else None,
    )


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


class Receipt(Record):
    """What an agent asked for and was answered: the body of the request's event."""

    principal: str
    idempotency_key: str
    request_sha256: str
    answer: ProposeAnswer | SubmitAnswer
    proposal_ids: tuple[str, ...]
    """With `agent.submitted`: what was queued."""


def _receipt(
    request: Request, principal: Principal, answer: ProposeAnswer | SubmitAnswer
) -> Json:
    queued = answer.queued if isinstance(answer, SubmitAnswer) else ()
    receipt = Receipt(
        principal=principal.name,
        idempotency_key=request.idempotency_key,
        request_sha256=request.digest(),
        answer=answer,
        proposal_ids=queued,
    )
    return receipt.model_dump(mode="json")


def _earlier(
    store: Books, request: Request, principal: Principal
) -> ProposeAnswer | SubmitAnswer | None:
    """Return the answer to the same request sent before under this key."""
    kind = "proposed" if isinstance(request, ProposeRequest) else "submitted"
    store.ledger.campaign(request.campaign_id)
    found = store.ledger.events(request.campaign_id, kind=f"agent.{kind}")
    return _receipt_among(found, request, principal)


def _receipt_among(
    events: Sequence[EventView], request: Request, principal: Principal
) -> ProposeAnswer | SubmitAnswer | None:
    for event in events:
        receipt = Receipt.model_validate(event.body)
        key = (principal.name, request.idempotency_key)
        if (receipt.principal, receipt.idempotency_key) != key:
            continue
        if receipt.request_sha256 != request.digest():
            raise DuplicateError(
                "An idempotency key stands for one request; "
                f"{request.idempotency_key!r} was used for another. Take a new key."
            )
        return receipt.answer
    return None


def _refuse_unready(store: Books, request: SubmitRequest, queued: set[str]) -> None:
    if len(set(request.proposal_ids)) < len(request.proposal_ids):
        raise ConflictError(
            f"A proposal is submitted once; got {list(request.proposal_ids)} with "
            "repeats. Name each once."
        )
    verdicts = _verdicts(store, request.campaign_id)
    past = rounds_of(store, request.campaign_id)
    amendments = amendments_of(store, request.campaign_id)
    placed = {proposal_id for one in past for proposal_id in one.proposal_ids}
    withdrawn = withdrawn_by(amendments)
    for proposal_id in request.proposal_ids:
        if proposal_id not in verdicts:
            raise NotFoundError(
                f"Only stored proposals can be submitted; got {proposal_id!r}. "
                f"{suggest(proposal_id, verdicts)} Propose first."
            )
        if verdicts[proposal_id].verdict == "hold":
            raise ConflictError(
                f"Screening holds {proposal_id!r}: "
                f"{'; '.join(verdicts[proposal_id].reasons)}. Propose other "
                "conditions."
            )
        if proposal_id in withdrawn:
            raise ConflictError(
                f"An amendment withdrew {proposal_id!r}: the present protocol does not "
                "allow it. Propose other conditions."
            )
        if proposal_id in queued | placed:
            raise ConflictError(
                f"A proposal is submitted once; {proposal_id!r} was before. Look at "
                "the campaign's status."
            )


def _reasons(
    store: Books, situation: Situation, request: SubmitRequest
) -> tuple[str, ...]:
    wanted = set(request.proposal_ids)
    known = store.ledger.proposals(situation.campaign_id)
    asked = [proposal for proposal in known if proposal.id in wanted]
    return reasons_to_ask(situation, [p.candidate.conditions for p in asked])


def _refuse_short(
    store: Books, situation: Situation, request: SubmitRequest, queued: set[str]
) -> None:
    known = {p.id: p for p in store.ledger.proposals(situation.campaign_id)}
    before = [known[name].candidate.conditions for name in sorted(queued)]
    rows = [known[name].candidate.conditions for name in request.proposal_ids]
    if short := first_that_fit(situation, rows, before=before)[1]:
        raise ConflictError(
            f"Stocks allow what is there; {'; '.join(short)}. Submit others, or have a "
            "person supply more."
        )


def _verdicts(store: Books, campaign_id: str) -> dict[str, ScreenedProposal]:
    screened: dict[str, ScreenedProposal] = {}
    for event in store.ledger.events(campaign_id, kind="agent.proposed"):
        answer = Receipt.model_validate(event.body).answer
        if isinstance(answer, ProposeAnswer):
            screened |= {one.proposal.id: one for one in answer.proposals}
    return screened
