"""Reading the ledger. Each function runs in the transaction of its connection."""

from collections.abc import Collection
from typing import Any

from sqlalchemy import Connection, Row, Select, Table, func, literal, select

from labwm.errors import NotFoundError, suggest
from labwm.schema import (
    CampaignSpec,
    CampaignState,
    Measurement,
    ModelCard,
    Origin,
    Proposal,
    Protocol,
    StoredPrediction,
)
from labwm.store.chain import BLOCK
from labwm.store.datasets import admitted, admitted_by_each
from labwm.store.machine_tables import moves, states
from labwm.store.machines import (
    APPROVAL,
    SUBMISSION,
    ApprovalState,
    SubmissionState,
    WellState,
)
from labwm.store.moves import parse
from labwm.store.tables import (
    batches,
    campaigns,
    events,
    jobs,
    model_cards,
    observation_slots,
    observations,
    predictions,
    proposals,
    protocols,
)
from labwm.store.views import BatchView, CampaignView, EventView, JobView, Revision

_standing = states["campaign"]


def _campaigns() -> Select[Any]:
    return select(campaigns, _standing.c.state, _standing.c.detail).join(
        _standing, _standing.c.campaign_id == campaigns.c.id
    )


def campaign(connection: Connection, campaign_id: str) -> CampaignView:
    """Return one campaign, or raise NotFoundError."""
    row = connection.execute(_campaigns().where(campaigns.c.id == campaign_id)).first()
    if row is None:
        known = connection.scalars(select(campaigns.c.id)).all()
        raise NotFoundError(
            f"No campaign is called {campaign_id!r}. {suggest(campaign_id, known)}"
        )
    return _campaign_view(row, admitted(connection, campaign_id))


def all_campaigns(connection: Connection) -> tuple[CampaignView, ...]:
    """Return every campaign, the oldest first."""
    query = _campaigns().order_by(campaigns.c.opened_at, campaigns.c.id)
    origins = admitted_by_each(connection)
    return tuple(
        _campaign_view(row, origins.get(row.id, frozenset()))
        for row in connection.execute(query)
    )


def _campaign_view(row: Row[Any], origins: frozenset[Origin]) -> CampaignView:
    return CampaignView(
        id=row.id,
        spec=CampaignSpec.model_validate_json(row.spec),
        protocol_name=row.protocol_name,
        protocol_version=row.protocol_version,
        protocol_sha256=row.protocol_sha256,
        origins=origins,
        state=CampaignState(row.state),
        detail=parse(row.detail),
        opened_at=row.opened_at,
        opened_by=row.opened_by,
    )


def protocol(connection: Connection, name: str, version: int) -> Protocol:
    """Return a stored protocol, or raise NotFoundError."""
    query = select(protocols.c.body).where(
        protocols.c.name == name, protocols.c.version == version
    )
    body = connection.execute(query).scalar_one_or_none()
    if body is None:
        known = connection.execute(select(protocols.c.name, protocols.c.version))
        raise NotFoundError(
            f"No protocol {name!r} of version {version} is stored. "
            + suggest(f"{name} {version}", [f"{n} {v}" for n, v in known])
        )
    return Protocol.model_validate_json(body)


def campaign_events(
    connection: Connection,
    campaign_id: str,
    *,
    kind: str | Collection[str] | None,
    after: int,
) -> tuple[EventView, ...]:
    """Return events numbered above `after`, in order, of some kinds or of all."""
    query = select(events).where(
        events.c.campaign_id == campaign_id, events.c.seq > after
    )
    if kind is not None:
        kinds = [kind] if isinstance(kind, str) else list(kind)
        query = query.where(events.c.kind.in_(kinds))
    rows = connection.execute(query.order_by(events.c.seq))
    return tuple(event_view(row) for row in rows)


def event_view(row: Row[Any]) -> EventView:
    """Return an event from its row."""
    return EventView(
        seq=row.seq,
        kind=row.kind,
        body=parse(row.body),
        at=row.at,
        actor=row.actor,
        token=row.token,
        sha256=row.sha256,
    )


def last_event(connection: Connection, campaign_id: str) -> int:
    """Return the number of the last event, -1 where there is none."""
    query = select(func.max(events.c.seq)).where(events.c.campaign_id == campaign_id)
    found = connection.execute(query).scalar_one()
    return -1 if found is None else found


def head_sha256(connection: Connection, campaign_id: str) -> str:
    """Return the digest of the last event."""
    query = (
        select(events.c.sha256)
        .where(events.c.campaign_id == campaign_id)
        .order_by(events.c.seq.desc())
        .limit(1)
    )
    return connection.execute(query).scalar_one()


def round_proposals(
    connection: Connection, campaign_id: str, round_: int | None
) -> tuple[Proposal, ...]:
    """Return proposals by round and rank, of one round or of all."""
    query = select(proposals.c.body).where(proposals.c.campaign_id == campaign_id)
    if round_ is not None:
        query = query.where(proposals.c.round == round_)
    query = query.order_by(proposals.c.round, proposals.c.rank, proposals.c.id)
    bodies = connection.scalars(query)
    return tuple(Proposal.model_validate_json(body) for body in bodies)


def named_proposals(
    connection: Connection, campaign_id: str, names: Collection[str]
) -> tuple[Proposal, ...]:
    """Return the proposals of these names, by round and rank."""
    wanted, found = sorted(names), list[Proposal]()
    for start in range(0, len(wanted), BLOCK):
        query = select(proposals.c.body).where(
            proposals.c.campaign_id == campaign_id,
            proposals.c.id.in_(wanted[start : start + BLOCK]),
        )
        bodies = connection.scalars(query)
        found += [Proposal.model_validate_json(body) for body in bodies]
    return tuple(sorted(found, key=lambda p: (p.round, p.rank, p.id)))


def all_predictions(
    connection: Connection, campaign_id: str
) -> tuple[StoredPrediction, ...]:
    """Return every stored prediction, in the order of storing."""
    query = (
        select(predictions.c.body)
        .where(predictions.c.campaign_id == campaign_id)
        .order_by(predictions.c.event_seq, predictions.c.id)
    )
    bodies = connection.scalars(query)
    return tuple(StoredPrediction.model_validate_json(body) for body in bodies)


def all_model_cards(
    connection: Connection, campaign_id: str
) -> tuple[tuple[str, ModelCard], ...]:
    """Return every model card with its digest, in the order of storing."""
    query = (
        select(model_cards.c.id, model_cards.c.body)
        .where(model_cards.c.campaign_id == campaign_id)
        .order_by(model_cards.c.event_seq)
    )
    rows = connection.execute(query)
    return tuple((id_, ModelCard.model_validate_json(body)) for id_, body in rows)


def last_model_card(connection: Connection, campaign_id: str) -> ModelCard | None:
    """Return the model card that was stored last, if there is one."""
    query = (
        select(model_cards.c.body)
        .where(model_cards.c.campaign_id == campaign_id)
        .order_by(model_cards.c.event_seq.desc())
        .limit(1)
    )
    body = connection.execute(query).scalar_one_or_none()
    return None if body is None else ModelCard.model_validate_json(body)


def last_moves(
    content: Table, machine_name: str, subject: str, *, with_body: bool = True
) -> Select[Any]:
    """Select content rows with present state, and who took the last step, when.

    Without bodies, which are most of what is stored, they are empty.
    """
    state, step = states[machine_name], moves[machine_name]
    columns: list[Any] = [column for column in content.c if column.name != "body"]
    columns.append(content.c.body if with_body else literal("").label("body"))
    return (
        select(*columns, state.c.state, state.c.detail, events.c.at, events.c.actor)
        .join(state, state.c[subject] == content.c[subject])
        .join(
            step, (step.c[subject] == state.c[subject]) & (step.c.step == state.c.step)
        )
        .join(
            events,
            (events.c.campaign_id == step.c.campaign_id)
            & (events.c.seq == step.c.event_seq),
        )
    )


def campaign_batches(
    connection: Connection,
    campaign_id: str,
    wanted: Collection[ApprovalState],
    last: int | None = None,
) -> tuple[BatchView, ...]:
    """Return batches by round, in the states wanted or in any; the last ones or all."""
    query = last_moves(batches, APPROVAL.name, "batch_id")
    query = query.where(batches.c.campaign_id == campaign_id)
    if wanted:
        query = query.where(states[APPROVAL.name].c.state.in_(list(wanted)))
    latest = query.order_by(batches.c.round.desc(), batches.c.event_seq.desc())
    rows = connection.execute(latest.limit(last)).all()
    return tuple(batch_view(row) for row in reversed(rows))


def n_batches(connection: Connection, campaign_id: str) -> int:
    """Return how many batches a campaign put up for approval."""
    query = select(func.count()).select_from(batches)
    mine = batches.c.campaign_id == campaign_id
    return connection.execute(query.where(mine)).scalar_one()


def batch(connection: Connection, batch_id: str) -> BatchView:
    """Return the batch of one name, of whatever campaign, or raise NotFoundError."""
    query = last_moves(batches, APPROVAL.name, "batch_id")
    row = connection.execute(query.where(batches.c.batch_id == batch_id)).first()
    if row is None:
        raise NotFoundError(
            f"No batch is called {batch_id!r}. List them with `labwm campaign status`."
        )
    return batch_view(row)


def batch_view(row: Row[Any]) -> BatchView:
    """Return a batch from its row of `last_moves`."""
    return BatchView(
        id=row.batch_id,
        campaign_id=row.campaign_id,
        round=row.round,
        proposer=row.proposer,
        body=row.body,
        content_sha256=row.content_sha256,
        state=ApprovalState(row.state),
        detail=parse(row.detail),
        moved_by=row.actor,
        moved_at=row.at,
    )


def campaign_jobs(
    connection: Connection,
    campaign_id: str,
    wanted: Collection[SubmissionState],
    batch_ids: Collection[str] | None = None,
) -> tuple[JobView, ...]:
    """Return jobs by round, in the states wanted or in any; of some batches or all."""
    query = last_moves(jobs, SUBMISSION.name, "submission_key")
    query = query.where(jobs.c.campaign_id == campaign_id)
    if batch_ids is not None:
        query = query.where(jobs.c.batch_id.in_(list(batch_ids)))
    if wanted:
        query = query.where(states[SUBMISSION.name].c.state.in_(list(wanted)))
    query = query.order_by(jobs.c.round, jobs.c.event_seq)
    return tuple(job_view(row) for row in connection.execute(query))


def job(connection: Connection, submission_key: str) -> JobView:
    """Return the job of one key, of whatever campaign, or raise NotFoundError."""
    query = last_moves(jobs, SUBMISSION.name, "submission_key")
    query = query.where(jobs.c.submission_key == submission_key)
    row = connection.execute(query).first()
    if row is None:
        raise NotFoundError(
            f"No job has the submission key {submission_key!r}. List them with "
            "`labwm campaign status`."
        )
    return job_view(row)


def job_view(row: Row[Any]) -> JobView:
    """Return a job from its row of `last_moves`."""
    return JobView(
        submission_key=row.submission_key,
        batch_id=row.batch_id,
        attempt=row.attempt,
        body=row.body,
        state=SubmissionState(row.state),
        detail=parse(row.detail),
        moved_at=row.at,
    )


def well_states(connection: Connection, submission_key: str) -> dict[str, WellState]:
    """Return the state of each well of a job."""
    table = states["well"]
    query = select(table.c.well, table.c.state).where(
        table.c.submission_key == submission_key
    )
    return {row.well: WellState(row.state) for row in connection.execute(query)}


def current_measurements(
    connection: Connection, campaign_id: str
) -> tuple[Measurement, ...]:
    """Return the measurements that count, in an order that arrival cannot change."""
    query = (
        select(observations.c.body)
        .join(
            observation_slots,
            (observation_slots.c.campaign_id == observations.c.campaign_id)
            & (observation_slots.c.observation_id == observations.c.id),
        )
        .outerjoin(jobs, jobs.c.submission_key == observations.c.job_key)
        .where(observations.c.campaign_id == campaign_id)
        .order_by(func.coalesce(jobs.c.round, -1), observations.c.slot)
    )
    bodies = connection.scalars(query)
    return tuple(Measurement.model_validate_json(body) for body in bodies)


def measurements_of_job(
    connection: Connection, submission_key: str
) -> tuple[Measurement, ...]:
    """Return every observation that answers a job, superseded ones too."""
    query = (
        select(observations.c.body)
        .where(observations.c.job_key == submission_key)
        .order_by(observations.c.slot, observations.c.revision, observations.c.id)
    )
    bodies = connection.scalars(query)
    return tuple(Measurement.model_validate_json(body) for body in bodies)


def revisions(
    connection: Connection, campaign_id: str
) -> tuple[tuple[Revision, Measurement], ...]:
    """Return every observation ever stored, superseded ones too, by slot."""
    query = (
        select(observations, observation_slots.c.observation_id.label("current"))
        .outerjoin(
            observation_slots,
            (observation_slots.c.campaign_id == observations.c.campaign_id)
            & (observation_slots.c.slot == observations.c.slot),
        )
        .where(observations.c.campaign_id == campaign_id)
        .order_by(observations.c.slot, observations.c.event_seq, observations.c.id)
    )
    return tuple(
        (
            Revision(row.id, row.slot, row.current == row.id, row.event_seq),
            Measurement.model_validate_json(row.body),
        )
        for row in connection.execute(query)
    )
