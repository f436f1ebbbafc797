"""Reading single results and what counts; in the transaction of the connection."""

import math
from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import (
    JSON,
    ColumnElement,
    Connection,
    Select,
    cast,
    func,
    select,
    type_coerce,
)

from labwm.schema import Conditions, Measurement, Status, sha256_of
from labwm.store.chain import BLOCK
from labwm.store.queries import last_event
from labwm.store.tables import jobs, observation_slots, observations
from labwm.store.views import Revision

_IN_ORDER = (func.coalesce(jobs.c.round, -1), observation_slots.c.slot)
"""By round and place: an order that arrival cannot change."""


def _counting(campaign_id: str, *columns: Any) -> Select[Any]:
    """Select of the observations that count."""
    return (
        select(*columns)
        .select_from(observation_slots)
        .join(
            observations,
            (observation_slots.c.campaign_id == observations.c.campaign_id)
            & (observation_slots.c.observation_id == observations.c.id),
        )
        .outerjoin(jobs, jobs.c.submission_key == observations.c.job_key)
        .where(observation_slots.c.campaign_id == campaign_id)
    )


def page(
    connection: Connection, campaign_id: str, *, offset: int, limit: int
) -> tuple[int, tuple[Measurement, ...]]:
    """Return how many measurements count, and some of them in order."""
    mine = observation_slots.c.campaign_id == campaign_id
    query = select(func.count()).select_from(observation_slots).where(mine)
    total = connection.execute(query).scalar_one()
    # Sorted without their bodies: only those of the page are read.
    names = (
        _counting(campaign_id, observations.c.id)
        .order_by(*_IN_ORDER)
        .offset(offset)
        .limit(limit)
    )
    ids = list(connection.scalars(names))
    found = select(observations.c.id, observations.c.body).where(
        observations.c.campaign_id == campaign_id, observations.c.id.in_(ids)
    )
    bodies = {row.id: row.body for row in connection.execute(found)}
    return total, tuple(Measurement.model_validate_json(bodies[id_]) for id_ in ids)


def nearest(
    connection: Connection, campaign_id: str, readout: str, *, to: float
) -> tuple[float, Measurement] | None:
    """Return the plain number of a readout that is nearest to another, with its result.

    Results that count are looked at, but for controls; the first of equals is returned.

    Args:
        connection: In whose transaction to read.
        campaign_id: Of the campaign.
        readout: Its name.
        to: The number; infinite for the largest or smallest.
    """
    readouts = _json_of_body(connection)
    value = readouts["readouts", readout, "value"].as_float()
    status = readouts["readouts", readout, "status"].as_string()
    by: ColumnElement[Any] = func.abs(value - to)
    if math.isinf(to):
        by = value.desc() if to > 0 else value.asc()
    slots = observation_slots.c
    query = (
        _counting(campaign_id, value.label("value"), observations.c.body)
        .where(
            slots.experiment.is_not(None) | slots.slot.startswith("-/"),
            status == Status.OK.value,
            value.is_not(None),
        )
        .order_by(by, *_IN_ORDER)
        .limit(1)
    )
    row = connection.execute(query).first()
    if row is None:
        return None
    return row.value, Measurement.model_validate_json(row.body)


def _json_of_body(connection: Connection) -> Any:
    """Return the body as JSON: PostgreSQL needs a cast, SQLite's would spoil it."""
    if connection.dialect.name == "sqlite":
        return type_coerce(observations.c.body, JSON)
    return cast(observations.c.body, JSON)


def answered(
    connection: Connection, names: Mapping[str, Collection[str]]
) -> frozenset[str]:
    """Return which proposals, by campaign, have a result that counts."""
    pairs = sorted((owner, name) for owner, own in names.items() for name in own)
    slot = observation_slots.c
    found: set[str] = set()
    for start in range(0, len(pairs), BLOCK):
        part = pairs[start : start + BLOCK]
        query = select(slot.experiment).where(
            slot.campaign_id.in_(sorted({owner for owner, _ in part})),
            slot.experiment.in_([name for _, name in part]),
        )
        found.update(connection.scalars(query))
    return frozenset(found)


def counting(
    connection: Connection, campaign_id: str
) -> tuple[int, tuple[tuple[Revision, Measurement], ...]]:
    """Return the last event's number and what counts then, as one moment saw it."""
    query = _counting(campaign_id, observations).order_by(*_IN_ORDER)
    last = last_event(connection, campaign_id)
    return last, tuple(
        (
            Revision(row.id, row.slot, True, row.event_seq),
            Measurement.model_validate_json(row.body),
        )
        for row in connection.execute(query)
    )


def observations_named(
    connection: Connection, campaign_ids: Collection[str], prefix: str
) -> tuple[tuple[Revision, Measurement], ...]:
    """Return observations whose digest begins so, at most three of them."""
    query = (
        select(observations, observation_slots.c.observation_id.label("current"))
        .outerjoin(
            observation_slots,
            (observation_slots.c.campaign_id == observations.c.campaign_id)
            & (observation_slots.c.slot == observations.c.slot),
        )
        .where(
            observations.c.campaign_id.in_(list(campaign_ids)),
            observations.c.id >= prefix,
            # Digests are hexadecimal: `g` is behind every letter of them.
            observations.c.id < f"{prefix}g",
        )
        .limit(3)
    )
    return tuple(
        (
            Revision(row.id, row.slot, row.current == row.id, row.event_seq),
            Measurement.model_validate_json(row.body),
        )
        for row in connection.execute(query)
    )


def last_of_well(
    connection: Connection, campaign_id: str, submission_key: str, well: str
) -> tuple[tuple[Revision, Measurement], ...]:
    """Return the last revision of each replicate of a well, counting or not."""
    query = (
        select(observations, observation_slots.c.observation_id.label("current"))
        .outerjoin(
            observation_slots,
            (observation_slots.c.campaign_id == observations.c.campaign_id)
            & (observation_slots.c.slot == observations.c.slot),
        )
        .where(
            observations.c.campaign_id == campaign_id,
            observations.c.job_key == submission_key,
            observations.c.well == well,
        )
        .order_by(
            observations.c.revision, observations.c.measured_at, observations.c.id
        )
    )
    last = {row.slot: row for row in connection.execute(query)}
    return tuple(
        (
            Revision(row.id, row.slot, row.current == row.id, row.event_seq),
            Measurement.model_validate_json(row.body),
        )
        for row in last.values()
    )


def highest_revision(
    connection: Connection, campaign_id: str, observation_id: str
) -> int:
    """Return the largest revision number of an observation's slot."""
    slot = (
        select(observations.c.slot)
        .where(
            observations.c.campaign_id == campaign_id,
            observations.c.id == observation_id,
        )
        .scalar_subquery()
    )
    query = select(func.max(observations.c.revision)).where(
        observations.c.campaign_id == campaign_id, observations.c.slot == slot
    )
    return connection.execute(query).scalar_one()


def next_replicate(
    connection: Connection, campaign_id: str, conditions: Conditions
) -> int:
    """Return the replicate number of the next result without a job."""
    number = 0
    while connection.execute(
        select(observations.c.id)
        .where(
            observations.c.campaign_id == campaign_id,
            observations.c.slot == f"-/{sha256_of(conditions)}/{number}",
        )
        .limit(1)
    ).first():
        number += 1
    return number
