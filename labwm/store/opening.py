"""What stands before a campaign's events: protocol, data set, the campaign itself."""

from sqlalchemy import Connection, insert, select

from labwm.errors import DuplicateError
from labwm.schema import CampaignSpec, Origin, Protocol
from labwm.store import datasets
from labwm.store.chain import Author, Json, append_event, utc_now
from labwm.store.engine import lock_names
from labwm.store.machines import CAMPAIGN
from labwm.store.moves import begin, parse
from labwm.store.tables import campaigns, events, leases, protocols


def store_protocol(connection: Connection, protocol: Protocol) -> str:
    """Store a protocol and return its digest; the same again changes nothing.

    Raises:
        DuplicateError: If this name and version was stored with other content.
    """
    lock_names(connection)
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


def opening_body(
    spec: CampaignSpec, protocol_digest: str, origins: frozenset[Origin]
) -> Json:
    """Return what the first event of a campaign says, and binds."""
    return {
        "spec": spec.model_dump(mode="json"),
        "protocol_sha256": protocol_digest,
        "origins": sorted(str(origin) for origin in origins),
    }


def open_campaign(
    connection: Connection,
    author: Author,
    spec: CampaignSpec,
    protocol: Protocol,
    origins: frozenset[Origin],
) -> bool:
    """Store a campaign with everything that its first step needs; False if it was.

    Raises:
        DuplicateError: If the name is taken by another campaign.
    """
    digest = store_protocol(connection, protocol)
    body = opening_body(spec, digest, origins)
    if _is_open_already(connection, author.campaign_id, body):
        return False
    row = {
        "id": author.campaign_id,
        "spec": spec.canonical_json().decode(),
        "protocol_name": protocol.name,
        "protocol_version": protocol.version,
        "protocol_sha256": digest,
        "opened_at": author.at,
        "opened_by": author.actor,
    }
    connection.execute(insert(campaigns), row)
    connection.execute(
        insert(leases), {"campaign_id": author.campaign_id, "token": 0, "expires_ms": 0}
    )
    datasets.declare(connection, author.campaign_id, origins, actor=author.actor)
    append_event(connection, author, "opened", body)
    begin(connection, author, CAMPAIGN, [(author.campaign_id,)])
    return True


def _is_open_already(connection: Connection, campaign_id: str, body: Json) -> bool:
    query = select(events.c.body).where(
        events.c.campaign_id == campaign_id, events.c.seq == 0
    )
    known = connection.execute(query).scalar_one_or_none()
    if known is not None and parse(known) != body:
        raise DuplicateError(
            "A campaign's name is its own for ever; there is another called "
            f"{campaign_id!r} with other settings. Choose a new name."
        )
    return known is not None
