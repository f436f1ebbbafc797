"""What REST serves under /v1: one handler per use-case, record in, record out."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Path, Query, Security
from fastapi.security import HTTPBearer

import labwm
from labwm import campaign
from labwm.api.access import caller, require
from labwm.api.json_body import JsonRoute
from labwm.errors import InvalidInputError
from labwm.errors import suggest as nearest
from labwm.schema import (
    Amendment,
    AmendRequest,
    ApprovalRequest,
    BatchInfo,
    BudgetRequest,
    CampaignSpec,
    CampaignStatus,
    CampaignSummary,
    MeasurementPage,
    PredictAnswer,
    PredictRequest,
    Principal,
    Problem,
    ProposeAnswer,
    ProposeRequest,
    ReasonRequest,
    Record,
    Scope,
    Step,
    SubmitAnswer,
    SubmitRequest,
    SuggestAnswer,
    SuggestRequest,
    SupplyRequest,
    Trace,
    TraceRequest,
    UnfreezeRequest,
)

_bearer = HTTPBearer(auto_error=False, description="A key of `labwm key create`")
_PROBLEM: dict[str, Any] = {
    "model": Problem,
    "content": {"application/problem+json": {}},
}

health_routes = APIRouter(prefix="/v1", tags=["service"])
routes = APIRouter(
    prefix="/v1",
    tags=["campaigns"],
    route_class=JsonRoute,
    dependencies=[Security(_bearer)],  # for the document only: `KeyGate` checks
    responses=dict.fromkeys((401, 403, 404, 409, 422), _PROBLEM),
)

Caller = Annotated[Principal, Depends(caller)]
CampaignId = Annotated[str, Path(pattern=r"^[a-z0-9][a-z0-9-]{2,39}$")]
IdempotencyKey = Annotated[
    str | None, Header(description="Stands for the field idempotency_key of the body")
]


class Health(Record):
    """The door answers."""

    status: str
    version: str


@health_routes.get("/health")
def health() -> Health:
    """Say that the server answers; needs no key."""
    return Health(status="ok", version=labwm.__version__)


@routes.get("/campaigns")
def list_campaigns(principal: Caller) -> tuple[CampaignSummary, ...]:
    """List all campaigns."""
    require(principal, Scope.READ)
    return campaign.list_campaigns()


@routes.post("/campaigns", status_code=201)
def open_campaign(spec: CampaignSpec, principal: Caller) -> CampaignStatus:
    """Open a campaign; the same content under the same name again changes nothing."""
    require(principal, Scope.SUBMIT)
    _refuse_paths(spec)
    return campaign.status(campaign.open_campaign(spec, principal=principal))


@routes.get("/campaigns/{campaign_id}")
def status(campaign_id: CampaignId, principal: Caller) -> CampaignStatus:
    """Say how a campaign stands."""
    require(principal, Scope.READ)
    return campaign.status(campaign_id)


@routes.get("/campaigns/{campaign_id}/batches/{batch_id}")
def batch(campaign_id: CampaignId, batch_id: str, principal: Caller) -> BatchInfo:
    """Show one batch, however long ago it was: what, why, and the decision on it."""
    require(principal, Scope.READ)
    return campaign.batch(campaign_id, batch_id)


@routes.get("/campaigns/{campaign_id}/measurements")
def measurements(
    campaign_id: CampaignId,
    principal: Caller,
    offset: Annotated[int, Query(ge=0, le=10**9)] = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> MeasurementPage:
    """List what was measured, failures included."""
    require(principal, Scope.READ)
    return campaign.measurements(campaign_id, offset=offset, limit=limit)


@routes.post("/campaigns/{campaign_id}/advance")
def advance(campaign_id: CampaignId, principal: Caller) -> Step:
    """Take one step of a round; call again while it waits for nothing."""
    require(principal, Scope.SUBMIT)
    return campaign.advance(campaign_id)


@routes.post("/predict")
def predict(request: PredictRequest, principal: Caller) -> PredictAnswer:
    """Predict what measuring some conditions once would give."""
    return campaign.predict(request, principal=principal)


@routes.post("/suggest")
def suggest(request: SuggestRequest, principal: Caller) -> SuggestAnswer:
    """Ask a policy what to measure next."""
    return campaign.suggest(request, principal=principal)


@routes.post("/propose")
def propose(
    request: ProposeRequest, principal: Caller, idempotency_key: IdempotencyKey = None
) -> ProposeAnswer:
    """Propose experiments; they are screened and stored, not yet sent."""
    return campaign.propose(request, principal=principal)


@routes.post("/submit")
def submit(
    request: SubmitRequest, principal: Caller, idempotency_key: IdempotencyKey = None
) -> SubmitAnswer:
    """Ask that screened proposals be measured in the next round."""
    return campaign.submit(request, principal=principal)


@routes.post("/approvals")
def decide(request: ApprovalRequest, principal: Caller) -> BatchInfo:
    """Approve, trim or reject exactly the batch with this digest; agents may not."""
    return campaign.decide(request, principal=principal)


@routes.post("/unfreeze")
def unfreeze(request: UnfreezeRequest, principal: Caller) -> CampaignStatus:
    """Let a frozen campaign go on; agents may not."""
    campaign.unfreeze(request.campaign_id, note=request.note, principal=principal)
    return campaign.status(request.campaign_id)


@routes.post("/amendments")
def amend(
    request: AmendRequest, principal: Caller, idempotency_key: IdempotencyKey = None
) -> Amendment:
    """Amend a running campaign, or say what that would do; agents may not."""
    return campaign.amend(request, principal=principal)


@routes.get("/campaigns/{campaign_id}/amendments")
def amendments(campaign_id: CampaignId, principal: Caller) -> tuple[Amendment, ...]:
    """List the amendments of a campaign, the first one first."""
    require(principal, Scope.READ)
    return campaign.amendments(campaign_id)


@routes.post("/pause")
def pause(request: ReasonRequest, principal: Caller) -> CampaignStatus:
    """Send nothing more until somebody resumes; agents may not."""
    return campaign.pause(request, principal=principal)


@routes.post("/resume")
def resume(request: ReasonRequest, principal: Caller) -> CampaignStatus:
    """Let a paused campaign go on; agents may not."""
    return campaign.resume(request, principal=principal)


@routes.post("/close")
def close(request: ReasonRequest, principal: Caller) -> CampaignStatus:
    """End a campaign before its budget is spent; agents may not."""
    return campaign.close(request, principal=principal)


@routes.get("/trace")
def trace(request: Annotated[TraceRequest, Query()], principal: Caller) -> Trace:
    """Say where something comes from, down to raw bytes, and what rests on it."""
    return campaign.trace(request, principal=principal)


@routes.post("/budgets")
def raise_budget(request: BudgetRequest, principal: Caller) -> CampaignStatus:
    """Raise a campaign's budget, which opens one that was done again; by a person."""
    return campaign.raise_budget(request, principal=principal)


@routes.post("/supplies")
def supply(
    request: SupplyRequest, principal: Caller, idempotency_key: IdempotencyKey = None
) -> CampaignStatus:
    """Say that more of a stock is there; by a person."""
    return campaign.supply(request, principal=principal)


def _refuse_paths(spec: CampaignSpec) -> None:
    # A caller over the network must not make the server read its files, which any
    # name may be: of data, one without an ending in the folder where it was started.
    from labwm.data.catalogue import catalogue
    from labwm.data.protocols import list_protocols

    for field, value, known in (
        ("protocol", spec.protocol, list_protocols()),
        ("data", spec.data, catalogue()),
    ):
        if value is not None and value not in known:
            raise InvalidInputError(
                f"Over the network a {field} is the name of a shipped one; got "
                f"{value!r}. {nearest(value, known)} Open campaigns on files with "
                "`labwm campaign start`."
            )
