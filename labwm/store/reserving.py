"""What must hold before a job may exist: approved, unchanged, and not sent already."""

from sqlalchemy import Connection, select

from labwm.errors import ConflictError
from labwm.schema import Job, Need
from labwm.store.content import Draft, Reservation
from labwm.store.machines import APPROVAL, SUBMISSION, ApprovalState, SubmissionState
from labwm.store.moves import standings
from labwm.store.tables import batches, jobs

_WITHOUT_DATA = {SubmissionState.FAILED, SubmissionState.CANCELLED}


def reservation_for(connection: Connection, batch_id: str, job: Job) -> Reservation:
    """Return the reservation of a job that may be sent for a stored batch.

    Raises:
        ConflictError: If the batch is not approved, if the job is not what was
            approved, or if an earlier job for it has not failed or been cancelled.
    """
    _refuse_other_content(connection, batch_id, job)
    return Reservation(
        batch_id=batch_id,
        attempt=_attempt(connection, batch_id, job.submission_key),
        approval_step=_approved_step(connection, batch_id),
        job=job,
    )


def _refuse_other_content(connection: Connection, batch_id: str, job: Job) -> None:
    query = select(batches.c.content_sha256).where(batches.c.batch_id == batch_id)
    drafted = connection.execute(query).scalar_one()
    if drafted != job.content_sha256:
        raise ConflictError(
            "A job is exactly what was approved; the content of "
            f"{job.submission_key!r} is {job.content_sha256[:12]}, that of batch "
            f"{batch_id!r} {drafted[:12]}. Draft a new batch."
        )


def _approved_step(connection: Connection, batch_id: str) -> int:
    standing = standings(connection, APPROVAL, batch_id)[batch_id,]
    if standing.state != ApprovalState.APPROVED:
        raise ConflictError(
            f"Only an approved batch is sent; {batch_id!r} is {standing.state}. Have "
            "it approved."
        )
    return standing.step


def _attempt(connection: Connection, batch_id: str, submission_key: str) -> int:
    query = (
        select(jobs.c.submission_key, jobs.c.attempt)
        .where(jobs.c.batch_id == batch_id)
        .order_by(jobs.c.attempt)
    )
    earlier = connection.execute(query).all()
    for key, attempt in earlier:
        if key == submission_key:
            return attempt
    for key, _ in earlier:
        state = standings(connection, SUBMISSION, key)[key,].state
        if state not in _WITHOUT_DATA:
            raise ConflictError(
                "A batch is sent again only after each earlier job failed or was "
                f"cancelled; job {key!r} of batch {batch_id!r} is {state}. Settle it "
                "first."
            )
    return len(earlier)


def needs_of(connection: Connection, batch_id: str) -> tuple[Need, ...]:
    """Return what a stored batch takes from accounts."""
    query = select(batches.c.body).where(batches.c.batch_id == batch_id)
    body = connection.execute(query).scalar_one()
    return Draft.model_validate_json(body).needs


def attempt_of(connection: Connection, submission_key: str) -> tuple[str, int]:
    """Return the batch of a job, and which of its attempts the job is."""
    query = select(jobs.c.batch_id, jobs.c.attempt).where(
        jobs.c.submission_key == submission_key
    )
    batch_id, attempt = connection.execute(query).one()
    return batch_id, attempt
