"""What stands before a campaign's events: protocol, data set, the campaign itself."""

from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import Connection, insert, select

from labwm.errors import DuplicateError, InvalidInputError
from labwm.schema import Origin, Protocol
from labwm.store import datasets
from labwm.store.chain import Author, Json, append_event, text_of, utc_now
from labwm.store.machines import CAMPAIGN
from labwm.store.moves import begin, parse
from labwm.store.tables import campaigns, events, leases, protocols

PROTOCOL_KEYS = ("protocol_name", "protocol_version", "protocol_sha256")
"""What the body of a campaign must say of its protocol."""


def store_protocol(connection: Connection, protocol: Protocol) -> str:
    """Store a protocol and return its digest; the same again changes nothing.

    Raises:
        DuplicateError: If this name and version was stored with other content.
    """
    digest = protocol.digest()
    query = select(protocols.c.sha256).where(
        protocols.c.name == protocol.name, protocols.c.version == protocol.version
    )
    known = connection.execute(query).scalar_one_or_none()
    if known is None:
        row = {
            "name": protocol.name,
            "version": protocol.version,
            "sha256": digest,
            "body": protocol.canonical_json().decode(),
            "at": utc_now(connection),
        }
        connection.execute(insert(protocols), row)
    elif known != digest:
        raise DuplicateError(
            "A version of a protocol never changes; "
            f"{protocol.name!r} version {protocol.version} was stored with other "
            f"content. Raise its version to {protocol.version + 1} or more."
        )
    return digest


def opening_body(body: Json, admits: Collection[Origin]) -> Json:
    """Return what the first event of a campaign says, and binds."""
    return {"body": body, "admits": sorted(str(origin) for origin in admits)}


def open_campaign(
    connection: Connection,
    author: Author,
    body: Mapping[str, Any],
    admits: Collection[Origin],
) -> None:
    """Store a campaign with everything that its first step needs.

    Raises:
        InvalidInputError: If the body does not name the protocol.
        DuplicateError: If the name is taken by another campaign.
        ConflictError: If the protocol is not stored.
    """
    if missing := [key for key in PROTOCOL_KEYS if key not in body]:
        raise InvalidInputError(
            f"A campaign says which stored protocol it follows; its body lacks "
            f"{missing}. Add them."
        )
    opening = opening_body(dict(body), admits)
    if _is_open_already(connection, author.campaign_id, opening):
        return
    row = {
        "id": author.campaign_id,
        "body": text_of(dict(body)),
        **{key: body[key] for key in PROTOCOL_KEYS},
        "opened_at": author.at,
        "opened_by": author.actor,
    }
    connection.execute(insert(campaigns), row)
    connection.execute(
        insert(leases), {"campaign_id": author.campaign_id, "token": 0, "expires_ms": 0}
    )
    datasets.declare(connection, author.campaign_id, admits, actor=author.actor)
    append_event(connection, author, "opened", opening)
    begin(connection, author, CAMPAIGN, [(author.campaign_id,)])


def _is_open_already(connection: Connection, campaign_id: str, opening: Json) -> bool:
    query = select(events.c.body).where(
        events.c.campaign_id == campaign_id, events.c.seq == 0
    )
    known = connection.execute(query).scalar_one_or_none()
    if known is not None and parse(known) != opening:
        raise DuplicateError(
            "A campaign's name is its own for ever; there is another called "
            f"{campaign_id!r} with other settings. Choose a new name."
        )
    return known is not None
