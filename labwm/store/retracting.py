"""Retracting results: a person says that one does not count, or that it does again.

What was measured stays stored. A retraction concerns the slot (job, well, replicate),
so that a later export of the lab's cannot bring a retracted well back unnoticed.
"""

from typing import Any

from sqlalchemy import Connection, func, select

from labwm.errors import ConflictError, NotFoundError
from labwm.store.chain import Author
from labwm.store.content import RETRACTIONS, Retraction, append_new
from labwm.store.machines import WELL, WellState
from labwm.store.moves import move, standings
from labwm.store.observations import outcomes, renew_slots, retracted_slots
from labwm.store.tables import observation_slots, observations, retractions


def retract(
    connection: Connection, author: Author, observation_id: str, *, reason: str
) -> None:
    """Let the slot of a counting observation count no longer; its well is excluded.

    Raises:
        NotFoundError: If the campaign has no such observation.
        ConflictError: If it does not count now.
    """
    row = _observation(connection, author.campaign_id, observation_id)
    slot = row["slot"]
    if (current := _current(connection, author.campaign_id, slot)) != observation_id:
        why = f"{current} counts instead" if current else "it was retracted before"
        raise ConflictError(
            f"Only a result that counts can be retracted; of {observation_id[:12]}: "
            f"{why}. Look at `labwm trace {observation_id[:12]}`."
        )
    _append(connection, author, row, reason, is_retracted=True)
    renew_slots(connection, author.campaign_id, [slot])
    _step_well(connection, author, row)


def reinstate(
    connection: Connection, author: Author, observation_id: str, *, reason: str
) -> None:
    """Lift the retraction of an observation's slot, if there is one.

    Raises:
        NotFoundError: If the campaign has no such observation.
    """
    row = _observation(connection, author.campaign_id, observation_id)
    slot = row["slot"]
    if slot not in retracted_slots(connection, [author.campaign_id], [slot]):
        return
    _append(connection, author, row, reason, is_retracted=False)
    renew_slots(connection, author.campaign_id, [slot])
    _step_well(connection, author, row)


def _observation(connection: Connection, campaign_id: str, name: str) -> Any:
    query = select(observations).where(
        observations.c.campaign_id == campaign_id, observations.c.id == name
    )
    row = connection.execute(query).mappings().first()
    if row is None:
        raise NotFoundError(
            f"A result is known by its digest; {campaign_id!r} has none called "
            f"{name[:80]!r}. Find it with `labwm trace JOB/WELL`."
        )
    return row


def _current(connection: Connection, campaign_id: str, slot: str) -> str | None:
    query = select(observation_slots.c.observation_id).where(
        observation_slots.c.campaign_id == campaign_id,
        observation_slots.c.slot == slot,
    )
    return connection.execute(query).scalar_one_or_none()


def _append(
    connection: Connection, author: Author, row: Any, reason: str, *, is_retracted: bool
) -> None:
    query = select(func.count()).where(
        retractions.c.campaign_id == author.campaign_id,
        retractions.c.slot == row["slot"],
    )
    said = Retraction(
        slot=row["slot"],
        number=connection.execute(query).scalar_one(),
        observation_id=row["id"],
        is_retracted=is_retracted,
        reason=reason,
        by=author.actor,
    )
    append_new(connection, author, RETRACTIONS, [said])


def _step_well(connection: Connection, author: Author, row: Any) -> None:
    """Exclude a well without a counting result; else let it say what counts."""
    key, well = row["job_key"], row["well"]
    if key is None:
        return
    found = outcomes(connection, author.campaign_id, key, {well})
    wanted = found.get(well, WellState.EXCLUDED)
    if standings(connection, WELL, key)[key, well].state != wanted:
        move(connection, author, WELL, {(key, well): wanted}, {})
