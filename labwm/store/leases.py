"""Leases: at most one mover for each campaign, fenced by a rising token."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, Row, or_, select, update

from labwm.errors import (
    InvalidInputError,
    LeaseHeldError,
    NotFoundError,
    StaleTokenError,
    StoreError,
)
from labwm.store.engine import database_ms, writing
from labwm.store.tables import leases


@dataclass(frozen=True)
class Lease:
    """Who moves a campaign now; `holder` is None where nobody does."""

    holder: str | None
    token: int
    seconds_left: float


def acquire_lease(
    engine: Engine, campaign_id: str, *, holder: str, ttl_s: float
) -> int:
    """Take a free or expired lease and return its token, higher than any before.

    Raises:
        NotFoundError: If there is no such campaign.
        LeaseHeldError: If another holder has it; the same holder is refused as well.
        InvalidInputError: If the time to live is not positive.
    """
    if not ttl_s > 0:
        raise InvalidInputError(f"A lease lives for more than 0 s; got {ttl_s}.")
    with writing(engine).begin() as connection:
        free = or_(leases.c.holder.is_(None), leases.c.expires_ms <= database_ms())
        token = connection.execute(
            update(leases)
            .where(leases.c.campaign_id == campaign_id, free)
            .values(
                holder=holder,
                token=leases.c.token + 1,
                expires_ms=database_ms() + round(ttl_s * 1000),
            )
            .returning(leases.c.token)
        ).scalar_one_or_none()
        if token is None:
            lease = read_lease(connection, campaign_id)
            raise LeaseHeldError(
                f"One holder at a time moves a campaign; {campaign_id!r} is held by "
                f"{lease.holder!r} for another {lease.seconds_left:.1f} s. Wait, or "
                "end that process: its lease then expires."
            )
    return token


def renew_lease(engine: Engine, campaign_id: str, *, token: int, ttl_s: float) -> None:
    """Let the lease live `ttl_s` seconds from now.

    Raises:
        StaleTokenError: If it was released or another holder took over.
    """
    with writing(engine).begin() as connection:
        refuse_stale_token(connection, campaign_id, token)
        connection.execute(
            update(leases)
            .where(leases.c.campaign_id == campaign_id)
            .values(expires_ms=database_ms() + round(ttl_s * 1000))
        )


def release_lease(engine: Engine, campaign_id: str, *, token: int) -> None:
    """Give the lease back; without effect where it was lost before."""
    with writing(engine).begin() as connection:
        connection.execute(
            update(leases)
            .where(leases.c.campaign_id == campaign_id, leases.c.token == token)
            .values(holder=None)
        )


@contextmanager
def hold_lease(
    engine: Engine, campaign_id: str, *, holder: str, ttl_s: float
) -> Iterator[int]:
    """Hold the lease over a block of any length, renewed from a thread.

    A short `ttl_s` then lets the next process go on soon after a crash. Where the
    lease is lost all the same, the next write raises `StaleTokenError`.

    Raises:
        LeaseHeldError: If another holder has it.
    """
    token = acquire_lease(engine, campaign_id, holder=holder, ttl_s=ttl_s)
    left = threading.Event()
    renewer = threading.Thread(
        target=_renew_until, args=(engine, campaign_id, token, ttl_s, left), daemon=True
    )
    renewer.start()
    try:
        yield token
    finally:
        left.set()
        renewer.join()
        release_lease(engine, campaign_id, token=token)


def _renew_until(
    engine: Engine, campaign_id: str, token: int, ttl_s: float, left: threading.Event
) -> None:
    while not left.wait(ttl_s / 3):
        try:
            renew_lease(engine, campaign_id, token=token, ttl_s=ttl_s)
        except StaleTokenError:
            return
        except StoreError:
            continue  # a busy moment; the next third of the time tries again


def read_lease(connection: Connection, campaign_id: str) -> Lease:
    """Return the lease as it stands by the database's clock."""
    left_ms = (leases.c.expires_ms - database_ms()).label("left_ms")
    row = connection.execute(
        select(leases.c.holder, leases.c.token, left_ms).where(
            leases.c.campaign_id == campaign_id
        )
    ).first()
    if row is None:
        raise NotFoundError(
            f"A lease belongs to a campaign; none is called {campaign_id!r}. List "
            "them with `labwm campaign status`."
        )
    return Lease(_live_holder(row), row.token, max(0.0, row.left_ms / 1000))


def _live_holder(row: Row[tuple[str | None, int, int]]) -> str | None:
    return row.holder if row.left_ms > 0 else None


def lock_campaign(connection: Connection, campaign_id: str) -> Row[tuple[str, int]]:
    """Let no other write transaction on this campaign begin until this one ends.

    Raises:
        NotFoundError: If there is no such campaign.
    """
    row = connection.execute(
        select(leases.c.holder, leases.c.token)
        .where(leases.c.campaign_id == campaign_id)
        .with_for_update()
    ).first()
    if row is None:
        raise NotFoundError(
            f"Only an open campaign can be written to; none is called {campaign_id!r}. "
            "Start it with `labwm campaign start`."
        )
    return row


def refuse_stale_token(connection: Connection, campaign_id: str, token: int) -> None:
    """Lock the campaign for this transaction, under its newest token only.

    A lease that expired and that nobody took still counts: no other writer had one.

    Raises:
        StaleTokenError: If the lease was released or another holder took over.
    """
    row = lock_campaign(connection, campaign_id)
    if row.holder is None or row.token != token:
        raise StaleTokenError(
            f"Only the newest lease may write to {campaign_id!r}; got token {token}, "
            f"the newest is {row.token}{'' if row.holder else ', released'}. Nothing "
            "was written. Acquire the lease again and read the state."
        )
