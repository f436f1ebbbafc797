"""Who may do what: bearer keys, scopes, and the person at this machine."""

from labwm.campaign.books import books
from labwm.errors import (
    ForbiddenError,
    InvalidInputError,
    NotFoundError,
    suggest,
)
from labwm.schema import (
    KeyCreated,
    KeyInfo,
    KeyRequest,
    Principal,
    PrincipalKind,
    Scope,
)
from labwm.store import Principal as KeyHolder

LOCAL_PERSON = Principal(name="local", kind=PrincipalKind.PERSON, scopes=(Scope.ADMIN,))
"""Whoever can read and write this home's files: the command line and local flows."""

RESERVED = frozenset({LOCAL_PERSON.name, "advance", "review"})
"""Names under which a key's holder could be taken for somebody else in the ledger."""


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
        DuplicateError: If the name belongs to a principal of another kind.
        ForbiddenError: If an agent is to get a scope that only people have.
        InvalidInputError: If the name is one that labwm signs with itself.
    """
    principal = Principal(name=request.name, kind=request.kind, scopes=request.scopes)
    if request.name in RESERVED:
        raise InvalidInputError(
            f"The names {sorted(RESERVED)} stand in the ledger for whoever sits at "
            f"this machine and for the mover; got {request.name!r}. Choose another."
        )
    reserved = {Scope.APPROVE, Scope.ADMIN} & set(request.scopes)
    if reserved and request.kind is not PrincipalKind.PERSON:
        raise ForbiddenError(
            f"The scopes approve and admin are for people; got {request.kind.value} "
            f"with {sorted(s.value for s in reserved)}. Leave them out."
        )
    secret = books().ledger.create_key(
        request.name,
        kind=request.kind.value,
        scopes=[scope.value for scope in request.scopes],
    )
    return KeyCreated(principal=principal, secret=secret)


def list_keys() -> tuple[KeyInfo, ...]:
    """Return every key ever created, without secrets."""
    held = books().ledger.keys()
    return tuple(
        KeyInfo(
            principal=_principal(view), key_id=view.key_id, is_revoked=view.is_revoked
        )
        for view in held
    )


def revoke_key(name: str) -> tuple[KeyInfo, ...]:
    """Revoke every key of a principal, or one key by its id, at once and for ever.

    Raises:
        NotFoundError: If nobody has that name and no key that id.
    """
    keys = list_keys()
    wanted = [key for key in keys if name in {key.principal.name, key.key_id}]
    if not wanted:
        known = [key.principal.name for key in keys]
        raise NotFoundError(
            f"A key is revoked by its principal's name or its id; got {name!r}. "
            f"{suggest(name, known)}"
        )
    for key in wanted:
        books().ledger.revoke_key(key.key_id)
    return tuple(key.model_copy(update={"is_revoked": True}) for key in wanted)


def authenticate(secret: str) -> Principal:
    """Return the principal of a secret.

    Raises:
        UnauthenticatedError: If it is unknown or revoked.
    """
    return _principal(books().ledger.authenticate(secret))


def _principal(view: KeyHolder) -> Principal:
    return Principal(
        name=view.name,
        kind=PrincipalKind(view.kind),
        scopes=tuple(Scope(scope) for scope in sorted(view.scopes)),
    )
