"""What anybody with a key may ask: predictions and suggestions."""

import uuid
from collections.abc import Sequence

from labwm.campaign import modelling
from labwm.campaign.access import require
from labwm.campaign.books import books
from labwm.campaign.rounds import stored_prediction
from labwm.campaign.situation import Situation, read_situation
from labwm.schema import (
    Conditions,
    PredictAnswer,
    PredictRequest,
    Principal,
    Scope,
    SuggestAnswer,
    Suggestion,
    SuggestRequest,
)


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
    predictions = tuple(
        stored_prediction(
            situation,
            name=f"prediction-{uuid.uuid4().hex}",
            conditions=conditions,
            belief=belief,
            model_sha256=card.digest(),
        )
        for conditions, belief in zip(request.experiments, beliefs, strict=True)
    )
    with store.ledger.visit(request.campaign_id, actor=principal.name) as w:
        w.add_model_card(card, as_of=situation.as_of)
        w.add_predictions(predictions)
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
                success=choice.belief.success if choice.belief else None,
                readouts=choice.belief.readouts if choice.belief else {},
            )
            for choice in plan.choices
        ),
    )


def _check_space(situation: Situation, rows: Sequence[Conditions]) -> None:
    from labwm.space.membership import check

    for row in rows:
        check(situation.protocol, row)
