"""Records that the ledger keeps for ever, and how each becomes a row.

Every column of a row follows from its record alone, so that verifying the ledger
means building the row again and comparing. An event holds the digest of all records
that were appended together.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC
from typing import Any, Final

from pydantic import Field
from sqlalchemy import Connection, Table, insert, select

from labwm.errors import DuplicateError
from labwm.schema import (
    Job,
    Measurement,
    ModelCard,
    Need,
    Proposal,
    Record,
    StoredPrediction,
    sha256_of,
)
from labwm.schema.stock import is_empty
from labwm.store import tables
from labwm.store.accounts import Entry
from labwm.store.chain import BLOCK, Author, append_event
from labwm.store.tallies import CONTROL

Columns = dict[str, Any]


class Draft(Record):
    """A batch put up for approval: exactly what would be sent."""

    batch_id: str
    proposer: str
    job: Job
    needs: tuple[Need, ...] = Field(default=(), exclude_if=is_empty)
    """What its approval reserves."""


class Reservation(Record):
    """A job under its submission key, and the approval that it rests on."""

    batch_id: str
    attempt: int
    approval_step: int
    job: Job


class Retraction(Record):
    """That a slot counts no longer, or again: what a person said of its results."""

    slot: str
    number: int
    """Of the retractions and their lifting of one slot, from 0; the last one holds."""
    observation_id: str
    """What counted when it was retracted; what counts again when it was lifted."""
    is_retracted: bool
    reason: str
    by: str


class Training(Record):
    """What a model was fitted to: what counted right after an event."""

    model_id: str
    as_of: int
    """Number of the campaign's last event when its results were read."""


@dataclass(frozen=True)
class Content:
    """One kind of record: the event that covers it, its table, and its columns."""

    kind: str
    table: Table
    record: type[Record]
    key: str
    """Column that names one record."""
    columns: Callable[[Any], Columns]
    is_per_campaign: bool = True
    """Is the name one within its campaign only?"""

    def row(self, campaign_id: str, seq: int, record: Record) -> Columns:
        """Return the row of a record."""
        return {
            "campaign_id": campaign_id,
            "event_seq": seq,
            "sha256": record.digest(),
            "body": record.canonical_json().decode(),
            **self.columns(record),
        }


def slot_of(measurement: Measurement) -> str:
    """Return what revisions of one measurement share: job, well and replicate.

    Without a job it is the conditions and the replicate.
    """
    if measurement.job_key is not None:
        return f"{measurement.job_key}/{measurement.well}/{measurement.replicate}"
    return f"-/{sha256_of(measurement.conditions)}/{measurement.replicate}"


def _observation(measurement: Measurement) -> Columns:
    at = measurement.measured_at
    return {
        "id": measurement.digest(),
        "slot": slot_of(measurement),
        "revision": measurement.revision,
        "measured_at": at.astimezone(UTC).isoformat("T", "microseconds") if at else "",
        "origin": str(measurement.origin),
        "job_key": measurement.job_key,
        "well": measurement.well,
        "proposal_id": measurement.proposal_id,
        "raw_sha256": measurement.raw_sha256,
    }


def _proposal(proposal: Proposal) -> Columns:
    return {
        "id": proposal.id,
        "round": proposal.round,
        "rank": proposal.rank,
        "proposer": proposal.proposer,
        "prediction_id": proposal.prediction_id,
    }


def _prediction(prediction: StoredPrediction) -> Columns:
    return {"id": prediction.id}


def _model_card(card: ModelCard) -> Columns:
    return {"id": card.digest()}


def _batch(draft: Draft) -> Columns:
    return {
        "batch_id": draft.batch_id,
        "round": draft.job.round,
        "content_sha256": draft.job.content_sha256,
        "proposer": draft.proposer,
    }


def _job(reservation: Reservation) -> Columns:
    return {
        "submission_key": reservation.job.submission_key,
        "batch_id": reservation.batch_id,
        "attempt": reservation.attempt,
        "content_sha256": reservation.job.content_sha256,
        "approval_step": reservation.approval_step,
        "approval": "approved",
        "round": reservation.job.round,
        "lab": reservation.job.lab,
    }


def _retraction(retraction: Retraction) -> Columns:
    return {
        "id": f"{retraction.slot}#{retraction.number}",
        "slot": retraction.slot,
        "number": retraction.number,
        "observation_id": retraction.observation_id,
    }


def _training(training: Training) -> Columns:
    return {"model_id": training.model_id, "as_of": training.as_of}


def _entry(entry: Entry) -> Columns:
    return entry.model_dump(exclude={"note"})


PREDICTIONS: Final = Content(
    "predicted", tables.predictions, StoredPrediction, "id", _prediction
)
PROPOSALS: Final = Content("proposed", tables.proposals, Proposal, "id", _proposal)
MODEL_CARDS: Final = Content(
    "modelled", tables.model_cards, ModelCard, "id", _model_card
)
OBSERVATIONS: Final = Content(
    "observed", tables.observations, Measurement, "id", _observation
)
BATCHES: Final = Content(
    "drafted", tables.batches, Draft, "batch_id", _batch, is_per_campaign=False
)
JOBS: Final = Content(
    "reserved", tables.jobs, Reservation, "submission_key", _job, is_per_campaign=False
)
RETRACTIONS: Final = Content(
    "retracted", tables.retractions, Retraction, "id", _retraction
)
TRAININGS: Final = Content("trained", tables.trainings, Training, "model_id", _training)
ENTRIES: Final = Content("booked", tables.account_entries, Entry, "id", _entry)
CONTENTS: Final = (
    PREDICTIONS,
    PROPOSALS,
    MODEL_CARDS,
    TRAININGS,
    BATCHES,
    JOBS,
    OBSERVATIONS,
    RETRACTIONS,
    ENTRIES,
)

OWN_KINDS: Final = frozenset({c.kind for c in CONTENTS} | {"opened", "moved", "added"})
"""Kinds of event that only the store itself appends."""


def well_rows(job: Job) -> list[Columns]:
    """Return the rows of a job's wells."""
    return [
        {
            "submission_key": job.submission_key,
            "well": well.name,
            "proposal_id": well.proposal_id or f"{CONTROL}{well.control}",
            "replicate": well.replicate,
        }
        for well in job.wells
    ]


def digest_of_records(digests: Iterable[str]) -> str:
    """Return the digest of some records, whatever their order."""
    return sha256_of(sorted(digests))


def append_new(
    connection: Connection, author: Author, content: Content, records: Sequence[Record]
) -> list[Columns]:
    """Append what is not stored yet, under one event, and return the new rows.

    Raises:
        DuplicateError: If a name is taken by another record.
    """
    by_name: dict[str, Columns] = {}
    for record in records:
        row = content.row(author.campaign_id, -1, record)
        known = by_name.setdefault(row[content.key], row)
        _refuse_other(content, row, known["sha256"])
    stored = _stored_digests(connection, author.campaign_id, content, list(by_name))
    for name, sha256 in stored.items():
        _refuse_other(content, by_name[name], sha256)
    fresh = [row for name, row in by_name.items() if name not in stored]
    if fresh:
        digest = digest_of_records(row["sha256"] for row in fresh)
        seq = append_event(
            connection, author, content.kind, {"n": len(fresh), "sha256": digest}
        )
        for row in fresh:
            row["event_seq"] = seq
        connection.execute(insert(content.table), fresh)
    return fresh


def _stored_digests(
    connection: Connection, campaign_id: str, content: Content, names: list[str]
) -> dict[str, str]:
    key, found = content.table.c[content.key], dict[str, str]()
    for start in range(0, len(names), BLOCK):
        query = select(key, content.table.c.sha256).where(
            key.in_(names[start : start + BLOCK])
        )
        if content.is_per_campaign:
            query = query.where(content.table.c.campaign_id == campaign_id)
        found |= {row[0]: row[1] for row in connection.execute(query)}
    return found


def _refuse_other(content: Content, row: Columns, sha256: str) -> None:
    if row["sha256"] != sha256:
        raise DuplicateError(
            f"A name in {content.table.name!r} means one record for ever; "
            f"{row[content.key]!r} was stored with other content. Choose a new name."
        )
