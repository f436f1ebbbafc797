"""Reading single results and what counts; in the transaction of the connection."""

from collections.abc import Collection

from sqlalchemy import Connection, func, select

from labwm.schema import Conditions, Measurement, sha256_of
from labwm.store.queries import last_event
from labwm.store.tables import jobs, observation_slots, observations
from labwm.store.views import Revision


def counting(
    connection: Connection, campaign_id: str
) -> tuple[int, tuple[tuple[Revision, Measurement], ...]]:
    """Return the last event's number and what counts then, as one moment saw it."""
    query = (
        select(observations)
        .join(
            observation_slots,
            (observation_slots.c.campaign_id == observations.c.campaign_id)
            & (observation_slots.c.observation_id == observations.c.id),
        )
        .outerjoin(jobs, jobs.c.submission_key == observations.c.job_key)
        .where(observations.c.campaign_id == campaign_id)
        .order_by(func.coalesce(jobs.c.round, -1), observations.c.slot)
    )
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
