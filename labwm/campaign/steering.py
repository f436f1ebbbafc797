"""Pause, resume and close a campaign: a person's word, with the reason."""

from labwm.campaign.access import LOCAL_PERSON, require
from labwm.campaign.amending import void
from labwm.campaign.batches import rounds_of
from labwm.campaign.books import Books, books
from labwm.campaign.status import status
from labwm.errors import ConflictError
from labwm.schema import (
    CampaignState,
    CampaignStatus,
    Principal,
    ReasonRequest,
    Scope,
)
from labwm.store import Writer


def pause(
    request: ReasonRequest, *, principal: Principal = LOCAL_PERSON
) -> CampaignStatus:
    """Send nothing more until somebody resumes; what a lab has goes on and comes in.

    Raises:
        ForbiddenError: If the principal is no person with the scope `approve`.
        NotFoundError: If there is no such campaign.
        IllegalTransitionError: If it is not open.
    """
    return _steer(request, principal, CampaignState.STOPPED, "paused")


def resume(
    request: ReasonRequest, *, principal: Principal = LOCAL_PERSON
) -> CampaignStatus:
    """Let a paused campaign go on where it was.

    Raises:
        ForbiddenError, NotFoundError: As for `pause`.
        ConflictError: If it is not paused.
    """
    require(principal, Scope.APPROVE)
    state = books().ledger.campaign(request.campaign_id).state
    if state is not CampaignState.STOPPED:
        raise ConflictError(
            f"Only a paused campaign is resumed; {request.campaign_id!r} is {state}. "
            "Look at its status."
        )
    return _steer(request, principal, CampaignState.OPEN, "resumed")


def close(
    request: ReasonRequest, *, principal: Principal = LOCAL_PERSON
) -> CampaignStatus:
    """End a campaign before its budget is spent.

    A batch of which nothing was sent is void. Results of what a lab has are still taken
    in and scored, whenever they come.

    Raises:
        ForbiddenError, NotFoundError: As for `pause`.
        IllegalTransitionError: If it is done.
    """
    return _steer(request, principal, CampaignState.DONE, "closed")


def _steer(
    request: ReasonRequest, principal: Principal, to: CampaignState, word: str
) -> CampaignStatus:
    require(principal, Scope.APPROVE)
    store = books()
    why = f"{word} by {principal.name}: {request.reason}"
    with store.ledger.visit(request.campaign_id, actor=principal.name) as w:
        state = store.ledger.campaign(request.campaign_id).state
        if to is CampaignState.DONE:
            _void_unsent(store, w, request.campaign_id, why)
            if state is CampaignState.STOPPED:
                w.move_campaign(CampaignState.OPEN, {"why": why})
        w.move_campaign(to, {"why": why})
    return status(request.campaign_id)


def _void_unsent(store: Books, w: Writer, campaign_id: str, why: str) -> None:
    for past in rounds_of(store, campaign_id):
        if past.is_unsent and not past.is_closed:
            void(w, past, why=why)
