"""Campaigns, a campaign and the approval of a batch, as plain pages without scripts."""

from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Form, Request
from fastapi import Path as InPath
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from pydantic import Field
from starlette.responses import FileResponse, HTMLResponse, RedirectResponse, Response
from starlette.staticfiles import StaticFiles

from labwm import campaign, settings
from labwm.api.access import principal_with, require
from labwm.api.web import display
from labwm.api.web.sign_in import (
    COOKIE,
    Visitor,
    check_form,
    own_path,
    refuse_other_sites,
    remember,
    to_sign_in,
    visitor,
)
from labwm.errors import NotFoundError, UnauthenticatedError
from labwm.schema import (
    ApprovalRequest,
    BudgetRequest,
    Problem,
    Record,
    Scope,
)
from labwm.schema.record import Sha256

_HERE = Path(__file__).parent
_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
_REPORT_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src 'self' data:; "
    "base-uri 'none'; frame-ancestors 'none'; sandbox"
)
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}

routes = APIRouter(dependencies=[Depends(refuse_other_sites)])
_templates = Environment(
    loader=FileSystemLoader(_HERE / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_FILTERS: dict[str, Any] = _templates.filters  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
_FILTERS.update(display.FILTERS)

Signed = Annotated[Visitor, Depends(visitor)]
CampaignId = Annotated[str, InPath(pattern=r"^[a-z0-9][a-z0-9-]{2,39}$")]


class Decision(Record):
    """The form of the approval page."""

    csrf: str = Field(max_length=200)
    content_sha256: Sha256
    decision: Literal["approve", "trim", "reject"]
    keep: tuple[str, ...] = Field(default=(), max_length=10_000)
    """Experiments that are ticked; `trim` leaves the others out."""
    note: str = Field(default="", max_length=2000)


class Unfreezing(Record):
    """The form of a frozen campaign's page."""

    csrf: str = Field(max_length=200)
    note: str = Field(min_length=3, max_length=2000)


class Raising(Record):
    """The form that raises a budget."""

    csrf: str = Field(max_length=200)
    budget: int = Field(ge=1, le=1_000_000)
    note: str = Field(min_length=3, max_length=2000)


class SignIn(Record):
    """The form of the sign-in page."""

    key: str = Field(max_length=1000)
    next: str = Field(default="/", max_length=500)


@routes.get("/")
def campaign_list(here: Signed) -> Response:
    """Show all campaigns, the newest first."""
    require(here.principal, Scope.READ)
    found = sorted(campaign.list_campaigns(), key=lambda c: c.opened_at, reverse=True)
    return _page("campaigns.html", here, campaigns=found)


@routes.get("/campaigns/{campaign_id}")
def campaign_page(campaign_id: CampaignId, here: Signed) -> Response:
    """Show how a campaign stands."""
    require(here.principal, Scope.READ)
    status = campaign.status(campaign_id)
    folder = _report_folder(campaign_id)
    return _page(
        "campaign.html",
        here,
        status=status,
        protocol=campaign.protocol_of(campaign_id),
        may_raise=here.principal.may(Scope.APPROVE),
        measured=campaign.measurements(campaign_id, limit=200),
        images=sorted(path.name for path in folder.glob("*.png")),
        pages=sorted(path.name for path in folder.glob("*.html")),
        may_decide=here.principal.may(Scope.APPROVE),
    )


@routes.post("/campaigns/{campaign_id}/unfreeze")
def unfreeze(
    campaign_id: CampaignId, here: Signed, form: Annotated[Unfreezing, Form()]
) -> Response:
    """Let a frozen campaign go on."""
    check_form(here, form.csrf)
    campaign.unfreeze(campaign_id, note=form.note, principal=here.principal)
    return RedirectResponse(f"/campaigns/{campaign_id}", 303)


@routes.get("/campaigns/{campaign_id}/report/{name}")
def report_file(
    campaign_id: CampaignId,
    name: Annotated[str, InPath(pattern=r"^[A-Za-z0-9_-]{1,80}\.(png|html)$")],
    here: Signed,
) -> Response:
    """Serve one file of the newest report."""
    require(here.principal, Scope.READ)
    path = _report_folder(campaign_id) / name
    if not path.is_file():
        raise NotFoundError(
            f"A report is written by `labwm campaign report {campaign_id}`; got "
            f"{name!r}, which is not there. Write the report, then reload."
        )
    headers = {**_HEADERS, "Content-Security-Policy": _REPORT_POLICY}
    return FileResponse(path, headers=headers)


@routes.get("/campaigns/{campaign_id}/batches/{batch_id}")
def batch_page(campaign_id: CampaignId, batch_id: str, here: Signed) -> Response:
    """Show what a batch would measure, why, and the decision on it."""
    require(here.principal, Scope.READ)
    status = campaign.status(campaign_id)
    return _page(
        "batch.html",
        here,
        status=status,
        batch=campaign.batch(campaign_id, batch_id),
        protocol=campaign.protocol_of(campaign_id),
        may_decide=here.principal.may(Scope.APPROVE),
    )


@routes.post("/campaigns/{campaign_id}/batches/{batch_id}")
def decide(
    campaign_id: CampaignId,
    batch_id: str,
    here: Signed,
    form: Annotated[Decision, Form()],
) -> Response:
    """Approve or reject exactly the batch that the page showed."""
    check_form(here, form.csrf)
    request = ApprovalRequest(
        campaign_id=campaign_id,
        content_sha256=form.content_sha256,
        decision=form.decision,
        keep=form.keep if form.decision == "trim" else (),
        note=form.note,
    )
    decided = campaign.decide(request, principal=here.principal)
    return RedirectResponse(f"/campaigns/{campaign_id}/batches/{decided.batch_id}", 303)


@routes.post("/campaigns/{campaign_id}/budget")
def raise_budget(
    campaign_id: CampaignId, here: Signed, form: Annotated[Raising, Form()]
) -> Response:
    """Raise the budget of a campaign."""
    check_form(here, form.csrf)
    request = BudgetRequest(campaign_id=campaign_id, budget=form.budget, note=form.note)
    campaign.raise_budget(request, principal=here.principal)
    return RedirectResponse(f"/campaigns/{campaign_id}", 303)


@routes.get("/sign-in")
def sign_in_page(next: str = "/") -> Response:
    """Show the sign-in."""
    return _page("sign_in.html", None, next=own_path(next), message="")


@routes.post("/sign-in")
def sign_in(request: Request, form: Annotated[SignIn, Form()]) -> Response:
    """Check a key and keep it in a cookie."""
    try:
        principal_with(form.key)
    except UnauthenticatedError as error:
        answer = _page(
            "sign_in.html", None, next=own_path(form.next), message=str(error)
        )
        answer.status_code = 401
        return answer
    answer = RedirectResponse(own_path(form.next), 303)
    remember(answer, request, form.key.strip())
    return answer


@routes.post("/sign-out")
def sign_out(here: Signed, csrf: Annotated[str, Form()]) -> Response:
    """Forget the key."""
    check_form(here, csrf)
    answer = RedirectResponse("/sign-in", 303)
    answer.delete_cookie(COOKIE, httponly=True, samesite="strict")
    return answer


def problem_page(request: Request, found: Problem) -> Response:
    """Show an error as a page, or the way to the sign-in."""
    if found.status == 401:
        return to_sign_in(request)
    answer = _page("problem.html", None, problem=found)
    answer.status_code = found.status
    return answer


def static_files() -> StaticFiles:
    """Return the style sheet's folder as an application."""
    return StaticFiles(directory=_HERE / "static")


def _page(name: str, here: Visitor | None, **content: Any) -> Response:
    text = _templates.get_template(name).render(here=here, **content)
    headers = {**_HEADERS, "Content-Security-Policy": _POLICY}
    return HTMLResponse(text, headers=headers)


def _report_folder(campaign_id: str) -> Path:
    return settings.home() / "reports" / campaign_id
