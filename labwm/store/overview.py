"""How campaigns stand, in a few queries however many there are and whatever they hold.

Nothing here reads a measurement: counts come from `tallies`, states from the states.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Subquery,
    and_,
    exists,
    func,
    select,
    true,
)

from labwm.schema import CampaignState
from labwm.store.machine_tables import states
from labwm.store.machines import APPROVAL, SUBMISSION
from labwm.store.queries import batch_view, event_view, job_view, last_moves
from labwm.store.tables import batches, campaigns, events, jobs
from labwm.store.tallies import read_tallies
from labwm.store.views import BatchView, EventView, JobView, Overview


def overviews(
    connection: Connection,
    campaign_id: str | None = None,
    *,
    last: Collection[str],
    since: Collection[str] | None,
) -> tuple[Overview, ...]:
    """Return how one campaign stands, or every one, the oldest first.

    Args:
        connection: In whose transaction to read.
        campaign_id: Of one campaign; None for all.
        last: Kinds of events of which the last one is told.
        since: Kinds of events that are told if they came after the last batch; None
            where nothing of that batch is wanted.
    """
    tallies = read_tallies(connection, campaign_id)
    events_of = _last_events(connection, campaign_id, last)
    batch_of: Mapping[str, BatchView] = {}
    job_of: Mapping[str, JobView] = {}
    since_of: Mapping[str, Sequence[EventView]] = {}
    if since is not None:
        batch_of, job_of = _last_batches(connection, campaign_id)
        since_of = _since_last_batch(connection, campaign_id, since)
    state = states["campaign"].c
    head = (
        select(events.c.at)
        .where(events.c.campaign_id == campaigns.c.id)
        .order_by(events.c.seq.desc())
        .limit(1)
        .scalar_subquery()
    )
    has_jobs = exists().where(jobs.c.campaign_id == campaigns.c.id)
    query = (
        select(
            campaigns.c.id,
            state.state,
            head.label("head_at"),
            has_jobs.label("has_jobs"),
        )
        .join(states["campaign"], state.campaign_id == campaigns.c.id)
        .where(_of(campaigns.c.id, campaign_id))
        .order_by(campaigns.c.opened_at, campaigns.c.id)
    )
    return tuple(
        Overview(
            id=row.id,
            state=CampaignState(row.state),
            head_at=row.head_at,
            has_jobs=row.has_jobs,
            tally=tallies.get(row.id, {}),
            last=events_of.get(row.id, {}),
            batch=batch_of.get(row.id),
            job=job_of.get(row.id),
            since=tuple(since_of.get(row.id, ())),
        )
        for row in connection.execute(query)
    )


def _of(column: ColumnElement[str], campaign_id: str | None) -> ColumnElement[bool]:
    return true() if campaign_id is None else column == campaign_id


def _last_events(
    connection: Connection, campaign_id: str | None, kinds: Collection[str]
) -> dict[str, dict[str, EventView]]:
    newest = (
        select(events.c.campaign_id, func.max(events.c.seq).label("seq"))
        .where(events.c.kind.in_(list(kinds)), _of(events.c.campaign_id, campaign_id))
        .group_by(events.c.kind, events.c.campaign_id)
        .subquery()
    )
    query = select(events).join(newest, _is_row(newest))
    found: dict[str, dict[str, EventView]] = {}
    for row in connection.execute(query):
        found.setdefault(row.campaign_id, {})[row.kind] = event_view(row)
    return found


def _is_row(found: Subquery) -> ColumnElement[bool]:
    return and_(
        events.c.campaign_id == found.c.campaign_id, events.c.seq == found.c.seq
    )


def _newest_batches(campaign_id: str | None) -> Subquery:
    return (
        select(batches.c.campaign_id, func.max(batches.c.event_seq).label("seq"))
        .where(_of(batches.c.campaign_id, campaign_id))
        .group_by(batches.c.campaign_id)
        .subquery()
    )


def _last_batches(
    connection: Connection, campaign_id: str | None
) -> tuple[Mapping[str, BatchView], Mapping[str, JobView]]:
    newest = _newest_batches(campaign_id)
    is_newest = and_(
        batches.c.campaign_id == newest.c.campaign_id,
        batches.c.event_seq == newest.c.seq,
    )
    light = last_moves(batches, APPROVAL.name, "batch_id", with_body=False)
    found = {
        row.campaign_id: batch_view(row)
        for row in connection.execute(light.join(newest, is_newest))
    }
    light = last_moves(jobs, SUBMISSION.name, "submission_key", with_body=False)
    query = (
        light.join(batches, batches.c.batch_id == jobs.c.batch_id)
        .join(newest, is_newest)
        .order_by(jobs.c.attempt)
    )
    sent: dict[str, JobView] = {}
    for row in connection.execute(query):
        sent[row.campaign_id] = job_view(row)
    return found, sent


def with_bodies(
    connection: Connection, seen: Collection[Overview]
) -> dict[str, Overview]:
    """Return overviews whose last batch and job can be read, by campaign."""
    batch_ids = [one.batch.id for one in seen if one.batch is not None]
    keys = [one.job.submission_key for one in seen if one.job is not None]
    query = last_moves(batches, APPROVAL.name, "batch_id")
    rows = connection.execute(query.where(batches.c.batch_id.in_(batch_ids)))
    batch_of = {row.campaign_id: batch_view(row) for row in rows}
    query = last_moves(jobs, SUBMISSION.name, "submission_key")
    rows = connection.execute(query.where(jobs.c.submission_key.in_(keys)))
    job_of = {row.campaign_id: job_view(row) for row in rows}
    return {
        one.id: replace(one, batch=batch_of.get(one.id), job=job_of.get(one.id))
        for one in seen
    }


def open_campaigns(connection: Connection) -> tuple[str, ...]:
    """Return the campaigns that are open, the oldest first."""
    state = states["campaign"].c
    query = (
        select(campaigns.c.id)
        .join(states["campaign"], state.campaign_id == campaigns.c.id)
        .where(state.state == CampaignState.OPEN.value)
        .order_by(campaigns.c.opened_at, campaigns.c.id)
    )
    return tuple(connection.scalars(query))


def _since_last_batch(
    connection: Connection, campaign_id: str | None, kinds: Collection[str]
) -> dict[str, list[EventView]]:
    newest = _newest_batches(campaign_id)
    query: Any = (
        select(events)
        .join(
            newest,
            and_(
                events.c.campaign_id == newest.c.campaign_id,
                events.c.seq > newest.c.seq,
            ),
        )
        .where(events.c.kind.in_(list(kinds)))
        .order_by(events.c.seq)
    )
    found: dict[str, list[EventView]] = {}
    for row in connection.execute(query):
        found.setdefault(row.campaign_id, []).append(event_view(row))
    return found
