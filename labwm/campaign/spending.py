"""Raise a budget, or say that more of a stock is there: acts that only people do."""

from labwm.campaign.access import require
from labwm.campaign.books import books
from labwm.campaign.inventory import EXPERIMENTS, lines_of, shelf_of, stock_up
from labwm.campaign.situation import RAISED, Situation, read_situation
from labwm.campaign.status import status
from labwm.errors import ConflictError, InvalidInputError, NotFoundError, suggest
from labwm.schema import (
    BUDGET,
    BudgetRequest,
    CampaignState,
    CampaignStatus,
    Principal,
    Scope,
    SupplyRequest,
    sha256_of,
)
from labwm.space.stocks import WELLS, StockLine
from labwm.units import product, split_quantity

SUPPLIED = "stock.supplied"
"""Kind of the event by which a person said that more of a stock is there."""


def raise_budget(request: BudgetRequest, *, principal: Principal) -> CampaignStatus:
    """Let a campaign measure more; one that was done opens again.

    The budget is named in all: the same request again changes nothing.

    Raises:
        ForbiddenError: If the principal is no person, or lacks the scope `approve`.
        NotFoundError: If there is no such campaign.
        ConflictError: If the budget is larger already.
    """
    require(principal, Scope.APPROVE)
    store, name = books(), request.campaign_id
    situation = read_situation(store, name)
    with store.ledger.visit(name, actor=principal.name) as w:
        stock_up(w, situation)
        raised = w.events(RAISED)
        now = int(raised[-1].body["to"]) if raised else situation.spec.budget
        if request.budget < now:
            raise ConflictError(
                f"A budget is only raised; that of {name!r} is {now} experiments, got "
                f"{request.budget}. Stop the campaign to spend less."
            )
        if request.budget > now:
            more, key = request.budget - now, f"to-{request.budget}"
            account = (name, BUDGET)
            w.supply(account, more, EXPERIMENTS, key=key, note=request.note)
            body = {"from": now, "to": request.budget, "by": principal.name}
            w.event(RAISED, body | {"note": request.note})
            if w.campaign_state() is CampaignState.DONE:
                w.move_campaign(CampaignState.OPEN, {"why": "the budget was raised"})
    return status(name)


def supply(request: SupplyRequest, *, principal: Principal) -> CampaignStatus:
    """Add to a stock what came in.

    Raises:
        ForbiddenError: If the principal is no person, or lacks the scope `approve`.
        NotFoundError: If there is no such campaign, or its protocol no such stock.
        InvalidInputError: If the amount is no quantity of the stock's kind.
    """
    require(principal, Scope.APPROVE)
    store, name = books(), request.campaign_id
    situation = read_situation(store, name)
    line = _line(situation, request.stock)
    amount = _amount(line, request.amount)
    key = sha256_of([principal.name, request.idempotency_key])[:24]
    with store.ledger.visit(name, actor=principal.name) as w:
        stock_up(w, situation)
        body = {
            "stock": line.name,
            "amount": amount,
            "unit": line.unit,
            "by": principal.name,
            "note": request.note,
            "key": key,
        }
        before = [event.body for event in w.events(SUPPLIED)]
        if not any(event["key"] == key for event in before):
            account = (shelf_of(situation), line.name)
            w.supply(account, amount, line.unit, key=key, note=request.note)
            w.event(SUPPLIED, body)
    return status(name)


def _line(situation: Situation, name: str) -> StockLine:
    lines = {line.name: line for line in lines_of(situation)}
    if name not in lines:
        raise NotFoundError(
            f"A supply names a stock of the protocol; got {name!r}. "
            f"{suggest(name, lines)}"
        )
    return lines[name]


def _amount(line: StockLine, text: str) -> float:
    if line.unit == WELLS:
        try:
            amount = float(text.removesuffix(WELLS))
        except ValueError:
            amount = 0.0
    else:
        amount = product([split_quantity(text)], line.unit)
    if not 0 < amount < 1e12:
        raise InvalidInputError(
            f"What came in is a number above 0, in {line.unit} or a unit like it; got "
            f"{text!r}. Write for example 20 {line.unit}."
        )
    return amount
