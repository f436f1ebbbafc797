"""Who may do what: principals and the keys that they hold."""

import hashlib
import json
import re
import secrets
from collections.abc import Collection
from typing import Any, Final, Literal

from sqlalchemy import Connection, Row, insert, select, update

from labwm.errors import (
    DuplicateError,
    InvalidInputError,
    NotFoundError,
    UnauthenticatedError,
)
from labwm.store.chain import text_of, utc_now
from labwm.store.engine import lock_names
from labwm.store.tables import keys, principals
from labwm.store.views import Principal

Kind = Literal["person", "agent", "service"]
PREFIX: Final = "labwm_"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")


def create_key(
    connection: Connection, name: str, kind: Kind, scopes: Collection[str]
) -> str:
    """Make a key and return its secret, which is shown once and stored only hashed.

    Raises:
        InvalidInputError: If the name or the kind is none.
        DuplicateError: If the principal is of another kind: that never changes.
    """
    if kind not in {"person", "agent", "service"} or not _NAME.fullmatch(name):
        raise InvalidInputError(
            "A principal is a person, an agent or a service with a name of letters, "
            f"digits and . _ @ -; got {kind!r} {name!r}. Mend them."
        )
    lock_names(connection)
    query = select(principals.c.kind).where(principals.c.name == name)
    known = connection.execute(query).scalar_one_or_none()
    now = utc_now(connection)
    if known is None:
        connection.execute(insert(principals), {"name": name, "kind": kind, "at": now})
    elif known != kind:
        raise DuplicateError(
            f"A principal stays of one kind; {name!r} is of kind {known}, got {kind}. "
            "Choose another name."
        )
    secret = PREFIX + secrets.token_urlsafe(32)
    digest = _digest(secret)
    row = {
        "id": digest[:12],
        "principal": name,
        "sha256": digest,
        "scopes": text_of(sorted(set(scopes))),
        "at": now,
    }
    connection.execute(insert(keys), row)
    return secret


def authenticate(connection: Connection, secret: str) -> Principal:
    """Return who holds a secret.

    Raises:
        UnauthenticatedError: If no key has it, or the key was revoked.
    """
    # Secrets are 256 random bits: looking up a digest leaks nothing of use.
    query = _keys().where(keys.c.sha256 == _digest(secret))
    row = connection.execute(query).first()
    if row is None or row.revoked_at is not None:
        raise UnauthenticatedError(
            "A valid key is needed; got one that is unknown or revoked. Make one with "
            "`labwm key create`."
        )
    return _view(row)


def revoke_key(connection: Connection, key_id: str) -> None:
    """Let a key open nothing from now on; again changes nothing.

    Raises:
        NotFoundError: If there is no such key.
    """
    known = connection.execute(select(keys.c.id).where(keys.c.id == key_id)).first()
    if known is None:
        raise NotFoundError(
            f"Only a key that exists is revoked; none is called {key_id!r}. List them "
            "with `labwm key list`."
        )
    connection.execute(
        update(keys)
        .where(keys.c.id == key_id, keys.c.revoked_at.is_(None))
        .values(revoked_at=utc_now(connection))
    )


def all_keys(connection: Connection) -> tuple[Principal, ...]:
    """Return every key, revoked ones too, the oldest first."""
    query = _keys().order_by(keys.c.at, keys.c.id)
    return tuple(_view(row) for row in connection.execute(query))


def _keys() -> Any:
    return select(keys, principals.c.kind).join(
        principals, principals.c.name == keys.c.principal
    )


def _view(row: Row[Any]) -> Principal:
    return Principal(
        name=row.principal,
        kind=row.kind,
        scopes=frozenset(json.loads(row.scopes)),
        key_id=row.id,
        is_revoked=row.revoked_at is not None,
    )


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
