"""Taking results in: any order and duplication of a stream gives the same data set."""

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select

from labwm.errors import DuplicateError, InvalidInputError, NotFoundError
from labwm.schema import Measurement, Status, sha256_of
from labwm.store import datasets
from labwm.store.chain import BLOCK, Author
from labwm.store.content import (
    OBSERVATIONS,
    Columns,
    Retraction,
    append_new,
    digest_of_records,
)
from labwm.store.machines import WELL, WellState
from labwm.store.moves import move, standings
from labwm.store.tables import (
    jobs,
    observation_slots,
    observations,
    retractions,
    wells,
)
from labwm.store.tallies import keeping_tally, with_experiments

_NO_VALUE = {Status.MISSING, Status.FAILED, Status.UNREADABLE}


@dataclass(frozen=True)
class Added:
    """What came of taking results in."""

    n_new: int
    n_known: int
    """Results that were stored before, to the byte."""


def add_observations(
    connection: Connection, author: Author, measurements: Sequence[Measurement]
) -> Added:
    """Append what is new, renew the data set's rows, and step the wells.

    Raises:
        InvalidInputError: If a measurement names a job without a well.
        NotFoundError: If it answers a job or well that this campaign never had.
        ConflictError: If its origin is not admitted to the campaign's data set.
        DuplicateError: If two without a job contradict each other.
    """
    _refuse_unknown_wells(connection, author.campaign_id, measurements)
    datasets.refuse_origins(
        connection, author.campaign_id, {str(m.origin) for m in measurements}
    )
    fresh = append_new(connection, author, OBSERVATIONS, measurements)
    if fresh:
        datasets.add_rows(connection, author.campaign_id, fresh)
        slots = {row["slot"] for row in fresh}
        current = renew_slots(connection, author.campaign_id, slots)
        _step_wells(connection, author, current)
    return Added(len(fresh), len(measurements) - len(fresh))


def dataset_sha256(connection: Connection, campaign_id: str) -> str:
    """Return the identity of the present data: the digest of what it says, sorted.

    The same result read from another file is the same data.
    """
    query = (
        select(observations.c.id, observations.c.raw_sha256, observations.c.body)
        .join(
            observation_slots,
            (observation_slots.c.campaign_id == observations.c.campaign_id)
            & (observation_slots.c.observation_id == observations.c.id),
        )
        .where(observation_slots.c.campaign_id == campaign_id)
    )
    rows = connection.execute(query).mappings()
    return digest_of_records(said_sha256(row) for row in rows)


def said_sha256(row: Mapping[Any, Any]) -> str:
    """Return the digest of what an observation says, wherever it was written."""
    if row["raw_sha256"] is None:
        return row["id"]
    return sha256_of(json.loads(row["body"]) | {"raw_sha256": None})


def has_results(connection: Connection, submission_key: str) -> bool:
    """Did any well of a job give a result, even that it failed?"""
    query = select(observations.c.id).where(observations.c.job_key == submission_key)
    return connection.execute(query.limit(1)).first() is not None


def latest(rows: Iterable[Any]) -> Any:
    """Return the row that counts among revisions of one slot, whatever their order.

    The lab's own revision number decides, then the time of measuring; a lab that
    contradicts itself under one number and time is settled by the digest of what it
    says, so that neither the order of arrival matters nor the file that came first.
    """
    return max(rows, key=_precedence)


def _precedence(row: Mapping[Any, Any]) -> tuple[int, str, str, str]:
    return (row["revision"], row["measured_at"], said_sha256(row), row["id"])


def _refuse_unknown_wells(
    connection: Connection, campaign_id: str, measurements: Sequence[Measurement]
) -> None:
    known: dict[str, set[str]] = {}
    for measurement in measurements:
        key, well = measurement.job_key, measurement.well
        if (key is None) != (well is None):
            raise InvalidInputError(
                "A result names both its job and its well, or neither; got job "
                f"{key!r} and well {well!r}. Name both."
            )
        if key is None:
            continue
        if key not in known:
            known[key] = _wells_of(connection, campaign_id, key)
        if well not in known[key]:
            raise NotFoundError(
                f"A result answers a well of a job of campaign {campaign_id!r}; got "
                f"well {well!r} of job {key!r}. Keep the raw result and ask the lab."
            )


def _wells_of(connection: Connection, campaign_id: str, key: str) -> set[str]:
    return set(
        connection.scalars(
            select(wells.c.well)
            .join(jobs, jobs.c.submission_key == wells.c.submission_key)
            .where(wells.c.submission_key == key, jobs.c.campaign_id == campaign_id)
        )
    )


def renew_slots(
    connection: Connection, campaign_id: str, slots: Iterable[str]
) -> list[Columns]:
    """Point slots at the observations that count; return those.

    A slot that a person retracted points nowhere until she lifts it: a later revision
    of the lab's is stored and does not count by itself.
    """
    names = sorted(slots)
    revisions = _revisions(connection, campaign_id, names)
    _refuse_contradictions(revisions)
    retracted = retracted_slots(connection, [campaign_id], names)
    current = [
        latest(rows) for slot, rows in revisions.items() if slot not in retracted
    ]
    touched = {row["experiment"] for rows in revisions.values() for row in rows}
    with keeping_tally(connection, campaign_id, names, touched - {None}):
        _point(connection, campaign_id, names, current)
    return current


def _revisions(
    connection: Connection, campaign_id: str, slots: Sequence[str]
) -> dict[str, list[Columns]]:
    """Return every observation of some slots, by slot."""
    found: defaultdict[str, list[Columns]] = defaultdict(list)
    for start in range(0, len(slots), BLOCK):
        query = select(observations).where(
            observations.c.campaign_id == campaign_id,
            observations.c.slot.in_(slots[start : start + BLOCK]),
        )
        rows = connection.execute(query).mappings().all()
        for row in with_experiments(connection, rows):
            found[row["slot"]].append(row)
    return found


def _point(
    connection: Connection,
    campaign_id: str,
    slots: Sequence[str],
    current: Sequence[Columns],
) -> None:
    """Point slots at some observations, and those without any nowhere."""
    for start in range(0, len(slots), BLOCK):
        connection.execute(
            delete(observation_slots).where(
                observation_slots.c.campaign_id == campaign_id,
                observation_slots.c.slot.in_(slots[start : start + BLOCK]),
            )
        )
    if current:
        connection.execute(
            insert(observation_slots),
            [
                {
                    "campaign_id": campaign_id,
                    "slot": row["slot"],
                    "observation_id": row["id"],
                    "experiment": row["experiment"],
                }
                for row in current
            ],
        )


def retracted_slots(
    connection: Connection,
    campaign_ids: Collection[str],
    slots: Sequence[str] | None = None,
) -> frozenset[str]:
    """Return the slots of campaigns that are retracted now, of some slots or of all."""
    table = retractions
    query = (
        select(table.c.slot, table.c.body)
        .where(table.c.campaign_id.in_(list(campaign_ids)))
        .order_by(table.c.number)
    )
    if slots is None:
        found = list(connection.execute(query))
    else:
        found = [
            row
            for start in range(0, len(slots), BLOCK)
            for row in connection.execute(
                query.where(table.c.slot.in_(slots[start : start + BLOCK]))
            )
        ]
    holds = {
        slot: Retraction.model_validate_json(body).is_retracted for slot, body in found
    }
    return frozenset(slot for slot, is_retracted in holds.items() if is_retracted)


def _refuse_contradictions(revisions: dict[str, list[Any]]) -> None:
    """Without a job nobody can tell a revision from a replicate left unnumbered."""
    for slot, rows in revisions.items():
        numbers = [row["revision"] for row in rows]
        if slot.startswith("-/") and len(set(numbers)) < len(numbers):
            raise DuplicateError(
                "Measurements of the same conditions without a job differ by "
                f"replicate or revision; got two of replicate {slot.split('/')[-1]} "
                f"and revision {max(numbers)}. Number them."
            )


def _step_wells(connection: Connection, author: Author, current: list[Columns]) -> None:
    """Set each touched well to what its counting results say; exclusions stay."""
    for key in sorted({row["job_key"] for row in current if row["job_key"]}):
        touched = {row["well"] for row in current if row["job_key"] == key}
        outcome = outcomes(connection, author.campaign_id, key, touched)
        standing = standings(connection, WELL, key)
        wanted = {
            (key, well): state
            for well, state in sorted(outcome.items())
            if standing[key, well].state not in {state, WellState.EXCLUDED}
        }
        move(connection, author, WELL, wanted, {})


def outcomes(
    connection: Connection, campaign_id: str, key: str, touched: set[str]
) -> dict[str, str]:
    """Return what the results that count say of some wells; others are left out."""
    query = (
        select(observations.c.well, observations.c.body)
        .join(
            observation_slots,
            (observation_slots.c.campaign_id == observations.c.campaign_id)
            & (observation_slots.c.observation_id == observations.c.id),
        )
        .where(
            observations.c.campaign_id == campaign_id,
            observations.c.job_key == key,
            observations.c.well.in_(touched),
        )
    )
    outcome: dict[str, str] = {}
    for well, body in connection.execute(query):
        values = Measurement.model_validate_json(body).readouts.values()
        if any(value.status not in _NO_VALUE for value in values):
            outcome[well] = WellState.MEASURED
        else:
            outcome.setdefault(well, WellState.FAILED)
    return outcome


def n_measured(connection: Connection, campaign_id: str) -> int:
    """Return how many measurements count, failures included."""
    return connection.execute(
        select(func.count())
        .select_from(observation_slots)
        .where(observation_slots.c.campaign_id == campaign_id)
    ).scalar_one()
