"""Checking what stands beside a chain: the protocol, the opener, the data sets."""

import hashlib
from collections import Counter

from sqlalchemy import Connection, select

from labwm.store.moves import parse
from labwm.store.tables import (
    campaigns,
    dataset_origins,
    dataset_rows,
    events,
    observations,
    protocols,
)


def fault_beside(connection: Connection, campaign_id: str) -> str | None:
    """Return what does not match a verified chain, or None.

    Checked: the protocol against the digest that the chain binds; who opened the
    campaign and when; that its own data set holds each of its observations once, under
    its own origin; and that other data sets got as many as the chain says.
    """
    if not _protocol_matches(connection, campaign_id):
        return "the protocol"
    if not _opener_matches(connection, campaign_id):
        return "who opened it, or when,"
    return _data_set_fault(connection, campaign_id)


def _protocol_matches(connection: Connection, campaign_id: str) -> bool:
    query = (
        select(protocols.c.body, protocols.c.sha256)
        .join(
            campaigns,
            (protocols.c.name == campaigns.c.protocol_name)
            & (protocols.c.version == campaigns.c.protocol_version)
            & (protocols.c.sha256 == campaigns.c.protocol_sha256),
        )
        .where(campaigns.c.id == campaign_id)
    )
    row = connection.execute(query).first()
    return row is not None and _sha256(row.body) == row.sha256


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _opener_matches(connection: Connection, campaign_id: str) -> bool:
    first = (events.c.campaign_id == campaigns.c.id) & (events.c.seq == 0)
    query = (
        select(
            campaigns.c.opened_at, campaigns.c.opened_by, events.c.at, events.c.actor
        )
        .join(events, first)
        .where(campaigns.c.id == campaign_id)
    )
    row = connection.execute(query).one()
    return (row.opened_at, row.opened_by) == (row.at, row.actor)


def _data_set_fault(connection: Connection, campaign_id: str) -> str | None:
    query = select(observations.c.id, observations.c.origin).where(
        observations.c.campaign_id == campaign_id
    )
    origin_of = {row.id: row.origin for row in connection.execute(query)}
    query = select(
        dataset_rows.c.dataset_id, dataset_rows.c.observation_id, dataset_rows.c.origin
    ).where(dataset_rows.c.campaign_id == campaign_id)
    admitted = _admitted(connection)
    held: Counter[str] = Counter()
    for dataset_id, observation_id, origin in connection.execute(query):
        is_own_origin = origin_of.get(observation_id) == origin
        if not is_own_origin or (dataset_id, origin) not in admitted:
            return f"an origin in data set {dataset_id!r}"
        held[dataset_id] += 1
    claimed = _added(connection, campaign_id)
    if origin_of:
        claimed[campaign_id] += len(origin_of)
    wrong = sorted(name for name in held | claimed if held[name] != claimed[name])
    return f"data set {wrong[0]!r}" if wrong else None


def _admitted(connection: Connection) -> set[tuple[str, str]]:
    rows = connection.execute(select(dataset_origins))
    return {(row.dataset_id, row.origin) for row in rows}


def _added(connection: Connection, campaign_id: str) -> Counter[str]:
    query = select(events.c.body).where(
        events.c.campaign_id == campaign_id, events.c.kind == "added"
    )
    added: Counter[str] = Counter()
    for body in map(parse, connection.scalars(query)):
        added[str(body["dataset"])] += int(body["n"])
    return added
