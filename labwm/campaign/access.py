"""Who may do what: bearer keys, scopes, and the person at this machine."""

import secrets

from labwm.campaign.books import books
from labwm.errors import ForbiddenError, UnauthenticatedError
from labwm.schema import (
    KeyCreated,
    KeyInfo,
    KeyRequest,
    Principal,
    PrincipalKind,
    Scope,
)

LOCAL_PERSON = Principal(name="local", kind=PrincipalKind.PERSON, scopes=(Scope.ADMIN,))
"""Whoever can read and write this home's files: the command line and local flows."""

_PREFIX = "lwm_"


def require(principal: Principal, scope: Scope) -> None:
    """Refuse a principal without this scope.

    Raises:
        ForbiddenError: If the principal lacks it; approving is never an agent's.
    """
    if scope is Scope.APPROVE and principal.kind is not PrincipalKind.PERSON:
        raise ForbiddenError(
            f"Only a person decides on a batch; {principal.name!r} is "
            f"{principal.kind}. Ask a person to look at the approval page."
        )
    if not principal.may(scope):
        raise ForbiddenError(
            f"This needs the scope {scope.value!r}; the key of {principal.name!r} has "
            f"{sorted(s.value for s in principal.scopes)}. Ask an administrator for "
            "another key."
        )


def create_key(request: KeyRequest) -> KeyCreated:
    """Create a bearer key; its secret is in the answer and nowhere else.

    Raises:
        DuplicateError: If the name has a key already.
        ForbiddenError: If an agent is to get a scope that only people have.
    """
    principal = Principal(name=request.name, kind=request.kind, scopes=request.scopes)
    reserved = {Scope.APPROVE, Scope.ADMIN} & set(request.scopes)
    if reserved and request.kind is not PrincipalKind.PERSON:
        raise ForbiddenError(
            f"The scopes approve and admin are for people; got {request.kind} with "
            f"{sorted(s.value for s in reserved)}. Leave them out."
        )
    secret = _PREFIX + secrets.token_urlsafe(32)
    books().ledger.add_key(principal, secret)
    return KeyCreated(principal=principal, secret=secret)


def list_keys() -> tuple[KeyInfo, ...]:
    """Return every key ever created, without secrets."""
    return tuple(books().ledger.keys())


def revoke_key(name: str) -> KeyInfo:
    """Revoke a key at once and for ever.

    Raises:
        NotFoundError: If nobody has that name.
    """
    return books().ledger.revoke_key(name)


def authenticate(secret: str) -> Principal:
    """Return the principal of a secret.

    Raises:
        UnauthenticatedError: If it is unknown or revoked.
    """
    principal = (
        books().ledger.principal_of(secret) if secret.startswith(_PREFIX) else None
    )
    if principal is None:
        raise UnauthenticatedError(
            "A request carries a valid key as `Authorization: Bearer lwm_…`; this one "
            "is unknown or revoked. Create one with `labwm key create NAME`."
        )
    return principal
