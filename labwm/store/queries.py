"""Reading the ledger. Each function runs in the transaction of its connection."""

from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, func, select

from labwm.errors import NotFoundError, suggest
from labwm.schema import (
    CampaignState,
    Measurement,
    ModelCard,
    Proposal,
    Protocol,
    StoredPrediction,
)
from labwm.store.content import Draft, Reservation
from labwm.store.datasets import admitted
from labwm.store.machine_tables import moves, states
from labwm.store.machines import (
    APPROVAL,
    CAMPAIGN,
    ROUND,
    SUBMISSION,
    WELL,
    ApprovalState,
    RoundState,
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
from labwm.store.views import (
    Revision,
    StoredBatch,
    StoredCampaign,
    StoredEvent,
    StoredJob,
)

_standing = states[CAMPAIGN.name]


def _campaigns() -> Select[Any]:
    return select(campaigns, _standing.c.state, _standing.c.detail).join(
        _standing, _standing.c.campaign_id == campaigns.c.id
    )


def campaign(connection: Connection, campaign_id: str) -> StoredCampaign:
    """Return one campaign, or raise NotFoundError."""
    row = connection.execute(_campaigns().where(campaigns.c.id == campaign_id)).first()
    if row is None:
        known = connection.scalars(select(campaigns.c.id)).all()
        raise NotFoundError(
            f"No campaign is called {campaign_id!r}. {suggest(campaign_id, known)}"
        )
    return _campaign_view(connection, row)


def all_campaigns(connection: Connection) -> tuple[StoredCampaign, ...]:
    """Return every campaign, the oldest first."""
    query = _campaigns().order_by(campaigns.c.opened_at, campaigns.c.id)
    return tuple(_campaign_view(connection, row) for row in connection.execute(query))


def _campaign_view(connection: Connection, row: Row[Any]) -> StoredCampaign:
    return StoredCampaign(
        id=row.id,
        body=parse(row.body),
        admits=admitted(connection, row.id),
        state=CampaignState(row.state),
        reason=parse(row.detail).get("reason"),
        opened_at=datetime.fromisoformat(row.opened_at),
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
    connection: Connection, campaign_id: str, *, kind: str | None, after: int
) -> tuple[StoredEvent, ...]:
    """Return events numbered above `after`, in order, of one kind or of all."""
    query = select(events).where(
        events.c.campaign_id == campaign_id, events.c.seq > after
    )
    if kind is not None:
        query = query.where(events.c.kind == kind)
    rows = connection.execute(query.order_by(events.c.seq))
    return tuple(
        StoredEvent(
            seq=row.seq,
            kind=row.kind,
            body=parse(row.body),
            at=datetime.fromisoformat(row.at),
            actor=row.actor,
            token=row.token,
            sha256=row.sha256,
        )
        for row in rows
    )


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


def latest_model_card(connection: Connection, campaign_id: str) -> ModelCard | None:
    """Return the model card that was stored last, if any."""
    query = (
        select(model_cards.c.body)
        .where(model_cards.c.campaign_id == campaign_id)
        .order_by(model_cards.c.event_seq.desc())
        .limit(1)
    )
    body = connection.execute(query).scalar_one_or_none()
    return None if body is None else ModelCard.model_validate_json(body)


def campaign_batches(
    connection: Connection, campaign_id: str
) -> tuple[StoredBatch, ...]:
    """Return every batch in the order of drafting, with approval and last job."""
    approval, step = states[APPROVAL.name], moves[APPROVAL.name]
    round_, name = states[ROUND.name], batches.c.batch_id
    query = (
        select(
            batches,
            approval.c.state.label("approval"),
            approval.c.detail.label("approval_detail"),
            round_.c.state.label("round_state"),
            events.c.actor,
        )
        .join(approval, approval.c.batch_id == name)
        .join(round_, round_.c.batch_id == name)
        .join(step, (step.c.batch_id == name) & (step.c.step == approval.c.step))
        .join(
            events,
            (events.c.campaign_id == step.c.campaign_id)
            & (events.c.seq == step.c.event_seq),
        )
        .where(batches.c.campaign_id == campaign_id)
        .order_by(batches.c.event_seq)
    )
    last = {job.batch_id: job for job in campaign_jobs(connection, campaign_id, ())}
    return tuple(
        _batch_view(row, last.get(row.batch_id)) for row in connection.execute(query)
    )


def _batch_view(row: Row[Any], last: StoredJob | None) -> StoredBatch:
    draft = Draft.model_validate_json(row.body)
    return StoredBatch(
        batch_id=row.batch_id,
        job=last.job if last else draft.job,
        proposal_ids=draft.proposal_ids,
        approval=ApprovalState(row.approval),
        approval_detail=parse(row.approval_detail),
        decided_by=row.actor,
        submission=last.state if last else None,
        submission_detail=last.detail if last else {},
        is_closed=row.round_state == RoundState.CLOSED,
    )


def _jobs() -> Select[Any]:
    state = states[SUBMISSION.name]
    return select(jobs, state.c.state, state.c.detail).join(
        state, state.c.submission_key == jobs.c.submission_key
    )


def campaign_jobs(
    connection: Connection, campaign_id: str, wanted: Collection[SubmissionState]
) -> tuple[StoredJob, ...]:
    """Return jobs in the order of reserving, in the states wanted or in any."""
    query = _jobs().where(jobs.c.campaign_id == campaign_id)
    if wanted:
        query = query.where(states[SUBMISSION.name].c.state.in_(list(wanted)))
    rows = connection.execute(query.order_by(jobs.c.event_seq))
    return tuple(_job_view(row) for row in rows)


def job(connection: Connection, submission_key: str) -> StoredJob:
    """Return the job of one key, of whatever campaign, or raise NotFoundError."""
    query = _jobs().where(jobs.c.submission_key == submission_key)
    row = connection.execute(query).first()
    if row is None:
        raise NotFoundError(
            f"No job has the submission key {submission_key!r}. List them with "
            "`labwm campaign status`."
        )
    return _job_view(row)


def _job_view(row: Row[Any]) -> StoredJob:
    return StoredJob(
        job=Reservation.model_validate_json(row.body).job,
        batch_id=row.batch_id,
        attempt=row.attempt,
        state=SubmissionState(row.state),
        detail=parse(row.detail),
    )


def well_states(connection: Connection, submission_key: str) -> dict[str, WellState]:
    """Return the state of each well of a job."""
    table = states[WELL.name]
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


def revisions(
    connection: Connection, campaign_id: str
) -> tuple[tuple[Revision, Measurement], ...]:
    """Return every observation ever stored, superseded ones too, by slot."""
    query = (
        select(observations, observation_slots.c.observation_id.label("current"))
        .join(
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
