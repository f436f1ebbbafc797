"""The one place where errors become what a door shows: RFC 9457, text, exit status."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

from pydantic import ValidationError
from starlette.responses import Response

from labwm.errors import LabwmError
from labwm.schema import Problem, Record
from labwm.schema.broken_rules import rule_of

TYPE = "urn:labwm:error:"
"""Problem types are names, not addresses: `docs/errors.md` explains each code."""


class Broken(Record):
    """One rule that a body breaks, and where."""

    pointer: str
    """JSON pointer (RFC 6901) into the body; `parameter name` outside of it."""
    detail: str


class InvalidBody(Problem):
    """A body, path or query that does not fit its record."""

    errors: tuple[Broken, ...]


_TITLES = {
    400: "The request cannot be read",
    401: "A valid key is needed",
    403: "The key does not allow this",
    404: "Nothing is known by that name",
    405: "The address does not serve this method",
    409: "The request contradicts what is stored",
    413: "The body is too large",
    422: "The request breaks a rule",
    500: "labwm met an unexpected error",
    501: "The lab does not do this",
    502: "The lab refused or broke",
    503: "Something that labwm needs is absent",
}


def problem_of(error: LabwmError) -> Problem:
    """Return the problem that stands for a deliberate error."""
    return problem(error.http_status, str(error), error.code)


def problem(status: int, detail: str, code: str) -> Problem:
    """Return a problem with the title of its status."""
    return Problem(
        type=TYPE + code,
        title=_TITLES.get(status, "The request was refused"),
        status=status,
        detail=detail,
        code=code,
    )


def invalid_body(errors: Iterable[Any]) -> InvalidBody:
    """Return the problem for what pydantic found wrong; values are not echoed.

    Args:
        errors: `ValidationError.errors()`, with locations that start with the part of
            the request (`body`, `path`, `query`).
    """
    broken = tuple(_broken(error["loc"], rule_of(error)) for error in errors)
    first = f"{broken[0].pointer or 'the body'}: {broken[0].detail}" if broken else ""
    more = f" (and {len(broken) - 1} more)" if len(broken) > 1 else ""
    base = problem(422, f"{first}{more}", "invalid-input")
    return InvalidBody(**base.model_dump(), errors=broken)


def problem_answer(content: Problem) -> Response:
    """Return a problem as an HTTP response; 401 carries its challenge."""
    challenge = {"WWW-Authenticate": 'Bearer realm="labwm"'}
    return Response(
        json.dumps(content.model_dump(mode="json")),
        status_code=content.status,
        media_type="application/problem+json",
        headers=challenge if content.status == 401 else None,
    )


def as_text(error: LabwmError | ValidationError) -> str:
    """Return an error in words that name every broken rule, for terminals and tools."""
    if isinstance(error, LabwmError):
        return f"{error.code}: {error}"
    lines = [_broken(("body", *e["loc"]), rule_of(e)) for e in error.errors()]
    return "invalid-input: " + "; ".join(f"{b.pointer}: {b.detail}" for b in lines)


def _broken(place: Sequence[int | str], message: str) -> Broken:
    where = str(place[0]) if place else "body"
    steps = [_escaped(str(step)) for step in place[1:]]
    pointer = "".join(f"/{step}" for step in steps)
    if where != "body":
        pointer = f"{where} {'.'.join(steps)}"
    return Broken(pointer=_printable(pointer), detail=_printable(message))


def _escaped(step: str) -> str:
    return step.replace("~", "~0").replace("/", "~1")[:80]


def _printable(text: str) -> str:
    # A lone surrogate is legal in JSON text and not in UTF-8.
    return text.encode("utf-8", "backslashreplace").decode()[:500]
