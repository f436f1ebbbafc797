"""A key in a cookie instead of a header, and the token that every form carries."""

import hashlib
import hmac
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode, urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from labwm.api.access import principal_with
from labwm.errors import ForbiddenError
from labwm.schema import Principal

COOKIE: Final = "labwm_key"
TWELVE_HOURS: Final = 12 * 3600


@dataclass(frozen=True)
class Visitor:
    """Who looks at a page, and the token that her forms must return."""

    principal: Principal
    csrf: str


def visitor(request: Request) -> Visitor:
    """Return who is signed in.

    Raises:
        UnauthenticatedError: If nobody is, or the key was revoked meanwhile; pages
            answer it with the way to the sign-in.
    """
    secret = request.cookies.get(COOKIE, "")
    return Visitor(principal_with(secret), _token(secret))


def check_form(visitor: Visitor, csrf: str) -> None:
    """Refuse a form that this site did not give to this visitor.

    Raises:
        ForbiddenError: If the token is not hers.
    """
    if not hmac.compare_digest(visitor.csrf.encode(), csrf.encode("utf-8", "replace")):
        raise ForbiddenError(
            "A form returns the token of the page it stands on; got another. Reload "
            "the page and decide again."
        )


def refuse_other_sites(request: Request) -> None:
    """Refuse what another site made the browser send.

    Raises:
        ForbiddenError: If the browser says so.
    """
    if request.headers.get("sec-fetch-site", "same-origin") not in {
        "same-origin",
        "none",
    }:
        raise ForbiddenError(
            "Forms are sent from this site's own pages; got one from another site. "
            "Open the page here and send it again."
        )


def remember(response: Response, request: Request, secret: str) -> None:
    """Keep a key in a cookie that no script reads and no other site sends."""
    response.set_cookie(
        COOKIE,
        secret,
        max_age=TWELVE_HOURS,
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )


def to_sign_in(request: Request) -> Response:
    """Return the redirect to the sign-in, which comes back to this page."""
    back = request.url.path if request.method == "GET" else "/"
    return RedirectResponse(f"/sign-in?{urlencode({'next': back})}", status_code=303)


def own_path(path: str) -> str:
    """Return a path of this site, or `/` for anything that leads elsewhere."""
    parts = urlsplit(path)
    is_own = path.startswith("/") and not path.startswith(("//", "/\\"))
    return path if is_own and not parts.netloc and "\\" not in path else "/"


def _token(secret: str) -> str:
    # Derived from the key, which no other site can read: nothing to store, and it
    # outlives a restart of the server.
    return hmac.new(secret.encode(), b"labwm form", hashlib.sha256).hexdigest()
