"""Who may do what: principals and the keys that they hold."""

import hashlib
import json
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from labwm.errors import DuplicateError, NotFoundError
from labwm.schema import KeyInfo, Principal, PrincipalKind, Scope
from labwm.store.chain import text_of, utc_now
from labwm.store.tables import keys, principals


def add_key(connection: Connection, principal: Principal, secret: str) -> None:
    """Store a key for a principal; of the secret only the hash.

    Raises:
        DuplicateError: If the name has a key that is not revoked, or stood for another
            kind of principal.
    """
    _store_principal(connection, principal)
    if _active_key(connection, principal.name) is not None:
        raise DuplicateError(
            f"A principal holds one key at a time; {principal.name!r} has one. Revoke "
            "it first, or choose another name."
        )
    digest = _digest(secret)
    row = {
        "id": digest[:12],
        "principal": principal.name,
        "sha256": digest,
        "scopes": text_of([str(scope) for scope in principal.scopes]),
        "at": utc_now(connection),
    }
    connection.execute(insert(keys), row)


def principal_of(connection: Connection, secret: str) -> Principal | None:
    """Return who holds a secret; None if nobody does or the key was revoked."""
    # Secrets are long and random: looking up a digest leaks nothing of use.
    query = _keys().where(keys.c.sha256 == _digest(secret), keys.c.revoked_at.is_(None))
    row = connection.execute(query).first()
    return _info(row).principal if row else None


def revoke_key(connection: Connection, name: str) -> KeyInfo:
    """Let a principal's key open nothing from now on.

    Raises:
        NotFoundError: If the name has no key, or only revoked ones.
    """
    key_id = _active_key(connection, name)
    if key_id is None:
        raise NotFoundError(
            f"Only a key in use can be revoked; {name!r} has none. List them with "
            "`labwm key list`."
        )
    connection.execute(
        update(keys).where(keys.c.id == key_id).values(revoked_at=utc_now(connection))
    )
    return _info(connection.execute(_keys().where(keys.c.id == key_id)).one())


def all_keys(connection: Connection) -> tuple[KeyInfo, ...]:
    """Return every key, revoked ones too, the oldest first."""
    query = _keys().order_by(keys.c.at, keys.c.id)
    return tuple(_info(row) for row in connection.execute(query))


def _store_principal(connection: Connection, principal: Principal) -> None:
    query = select(principals.c.kind).where(principals.c.name == principal.name)
    known = connection.execute(query).scalar_one_or_none()
    kind = str(principal.kind)
    if known is None:
        row = {"name": principal.name, "kind": kind, "at": utc_now(connection)}
        connection.execute(insert(principals), row)
    elif known != kind:
        raise DuplicateError(
            f"A principal stays of one kind; {principal.name!r} is a {known}, got "
            f"{kind}. Choose another name."
        )


def _active_key(connection: Connection, name: str) -> str | None:
    query = select(keys.c.id).where(
        keys.c.principal == name, keys.c.revoked_at.is_(None)
    )
    return connection.execute(query).scalar_one_or_none()


def _keys() -> Any:
    return select(keys, principals.c.kind).join(
        principals, principals.c.name == keys.c.principal
    )


def _info(row: Row[Any]) -> KeyInfo:
    return KeyInfo(
        principal=Principal(
            name=row.principal,
            kind=PrincipalKind(row.kind),
            scopes=tuple(Scope(scope) for scope in json.loads(row.scopes)),
        ),
        created_at=datetime.fromisoformat(row.at),
        revoked_at=datetime.fromisoformat(row.revoked_at) if row.revoked_at else None,
    )


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
