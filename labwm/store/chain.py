"""The event chain of a campaign: each event holds the digest of the one before.

The chain detects edits. It does not stop whoever owns the database: she can write a
new chain from the start.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import Connection, insert, select

from labwm.errors import IntegrityError
from labwm.schema import canonical_json, sha256_of
from labwm.store.engine import database_ms
from labwm.store.tables import events

GENESIS: Final = "0" * 64
"""What the first event of a chain follows."""

Json = dict[str, Any]
_HASHED = ("campaign_id", "seq", "kind", "body", "at", "actor", "token", "prev_sha256")


@dataclass(frozen=True)
class Author:
    """Who writes, under which lease, and when by the database's clock."""

    campaign_id: str
    actor: str
    token: int | None
    at: str


def text_of(value: Any) -> str:
    """Return a JSON value's canonical text, as the ledger keeps it."""
    return canonical_json(value).decode()


def utc_now(connection: Connection) -> str:
    """Return the database's time as ISO 8601 in UTC, to the millisecond."""
    milliseconds = connection.execute(select(database_ms())).scalar_one()
    moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return moment.isoformat(timespec="milliseconds")


def append_event(
    connection: Connection, author: Author, kind: str, body: Mapping[str, Any]
) -> int:
    """Append to the author's chain and return the event's number, from 0.

    The caller's transaction must hold the write lock of the campaign.
    """
    last = connection.execute(
        select(events.c.seq, events.c.sha256)
        .where(events.c.campaign_id == author.campaign_id)
        .order_by(events.c.seq.desc())
        .limit(1)
    ).first()
    event = {
        "campaign_id": author.campaign_id,
        "seq": last.seq + 1 if last else 0,
        "kind": kind,
        "body": text_of(dict(body)),
        "at": author.at,
        "actor": author.actor,
        "token": author.token,
        "prev_sha256": last.sha256 if last else GENESIS,
    }
    connection.execute(
        insert(events),
        event
        | {"previous_seq": last.seq if last else None, "sha256": event_sha256(event)},
    )
    return event["seq"]


def event_sha256(event: Mapping[str, Any]) -> str:
    """Return the digest of an event row, which the next event repeats."""
    return sha256_of({name: event[name] for name in _HASHED})


def walk_chain(
    connection: Connection, campaign_id: str
) -> Iterator[tuple[int, str, str]]:
    """Yield number, kind and body of each event after checking its place and digest.

    Raises:
        IntegrityError: At the first event that is missing, moved or altered.
    """
    expected, previous = 0, GENESIS
    rows = connection.execution_options(yield_per=1000).execute(
        select(events).where(events.c.campaign_id == campaign_id).order_by(events.c.seq)
    )
    for row in rows.mappings():
        whole = (
            row["seq"] == expected
            and row["prev_sha256"] == previous
            and row["sha256"] == event_sha256(dict(row))
        )
        if not whole:
            raise IntegrityError(
                "Each event follows the one before and matches its digest; event "
                f"{row['seq']} of {campaign_id!r} does not (expected number "
                f"{expected}). Restore a backup: the ledger was altered from outside."
            )
        yield row["seq"], row["kind"], row["body"]
        expected, previous = row["seq"] + 1, row["sha256"]
