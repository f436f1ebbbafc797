"""Who calls: a bearer key becomes a principal, once per request, before any handler."""

import os
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Send
from starlette.types import Scope as Connection

from labwm.api.problems import problem_answer, problem_of
from labwm.errors import ForbiddenError, LabwmError, UnauthenticatedError
from labwm.schema import Principal, Scope

LONGEST_KEY = 512

_CALLER: ContextVar[Principal] = ContextVar("labwm_caller")


def caller() -> Principal:
    """Return who makes the request that is being answered.

    Raises:
        UnauthenticatedError: If the request came past no gate.
    """
    try:
        return _CALLER.get()
    except LookupError:
        raise UnauthenticatedError(
            "Every request comes through the key gate; got one that did not. Mount "
            "the door behind `KeyGate`."
        ) from None


def principal_of(authorization: str | None) -> Principal:
    """Return who stands behind an `Authorization` header.

    Raises:
        UnauthenticatedError: If there is no bearer key, or it is unknown or revoked.
    """
    scheme, _, secret = (authorization or "").partition(" ")
    if scheme.lower() != "bearer":
        got = "another scheme" if authorization else "no such header"
        raise UnauthenticatedError(
            f"Every request carries `Authorization: Bearer KEY`; got {got}. "
            "Make a key at the machine with `labwm key create NAME`."
        )
    return principal_with(secret)


def this_person() -> Principal:
    """Return who types at this machine: the holder of LABWM_KEY, else whoever it is.

    Raises:
        UnauthenticatedError: If LABWM_KEY is set and no valid key.
    """
    from labwm.campaign import LOCAL_PERSON

    secret = os.environ.get("LABWM_KEY")
    return principal_with(secret) if secret else LOCAL_PERSON


def principal_with(secret: str) -> Principal:
    """Return who holds a key.

    Raises:
        UnauthenticatedError: If the key is unknown, malformed or revoked.
    """
    from labwm.campaign import authenticate

    secret = secret.strip()
    if not 0 < len(secret) <= LONGEST_KEY or not secret.isascii():
        raise UnauthenticatedError(
            f"A key is 1 to {LONGEST_KEY} ASCII characters; got another text. "
            "Make a key at the machine with `labwm key create NAME`."
        )
    return authenticate(secret)


def require(principal: Principal, scope: Scope) -> None:
    """Refuse a principal whose key lacks a scope.

    Raises:
        ForbiddenError: If it does.
    """
    if not principal.may(scope):
        held = ", ".join(principal.scopes) or "no scope"
        raise ForbiddenError(
            f"This needs the scope {scope.value!r}; the key of {principal.name!r} has "
            f"{held}. Ask for a key that has it: `labwm key create NAME --scope "
            f"{scope.value}`."
        )


@dataclass(frozen=True)
class KeyGate:
    """ASGI middleware: paths that `guards` names are answered with a key only.

    Mounted applications are not behind FastAPI's dependencies; this is in front of
    them all, and it answers before a body is read.
    """

    app: ASGIApp
    guards: Callable[[str], bool]

    async def __call__(
        self, connection: Connection, receive: Receive, send: Send
    ) -> None:
        """Authenticate, then go on in a context that knows the caller."""
        if connection["type"] != "http" or not self.guards(connection["path"]):
            await self.app(connection, receive, send)
            return
        header = Headers(scope=connection).get("authorization")
        try:
            principal = await run_in_threadpool(principal_of, header)
        except LabwmError as error:
            await problem_answer(problem_of(error))(connection, receive, send)
            return
        token = _CALLER.set(principal)
        try:
            await self.app(connection, receive, send)
        finally:
            _CALLER.reset(token)
