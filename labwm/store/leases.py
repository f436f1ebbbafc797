"""Leases: at most one mover for each campaign, fenced by a rising token."""

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, Row, select, update

from labwm.errors import (
    InvalidInputError,
    LeaseHeldError,
    NotFoundError,
    StaleTokenError,
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
    engine: Engine,
    campaign_id: str,
    holder: str,
    *,
    ttl: float,
    is_dead: Callable[[str], bool],
) -> int:
    """Take a free lease and return its token, higher than any before.

    Free is a lease that was released, has expired, or whose holder is dead.

    Raises:
        NotFoundError: If there is no such campaign.
        LeaseHeldError: If another holder has it; the same holder is refused as well.
        InvalidInputError: If the time to live is not positive.
    """
    if not ttl > 0:
        raise InvalidInputError(f"A lease lives for more than 0 s; got {ttl}.")
    with writing(engine).begin() as connection:
        lock_campaign(connection, campaign_id)
        lease = read_lease(connection, campaign_id)
        if lease.holder is not None and not is_dead(lease.holder):
            raise LeaseHeldError(
                f"One holder at a time moves a campaign; {campaign_id!r} is held by "
                f"{lease.holder!r} for another {lease.seconds_left:.1f} s. Wait, or "
                "end that process: its lease then expires."
            )
        connection.execute(
            update(leases)
            .where(leases.c.campaign_id == campaign_id)
            .values(
                holder=holder,
                token=lease.token + 1,
                expires_ms=database_ms() + round(ttl * 1000),
            )
        )
    return lease.token + 1


def renew_lease(engine: Engine, campaign_id: str, token: int, *, ttl: float) -> None:
    """Let the lease live `ttl` seconds from now.

    Raises:
        StaleTokenError: If it was released or another holder took over.
    """
    with writing(engine).begin() as connection:
        refuse_stale_token(connection, campaign_id, token)
        connection.execute(
            update(leases)
            .where(leases.c.campaign_id == campaign_id)
            .values(expires_ms=database_ms() + round(ttl * 1000))
        )


def release_lease(engine: Engine, campaign_id: str, token: int) -> None:
    """Give the lease back; without effect where it was lost before."""
    with writing(engine).begin() as connection:
        connection.execute(
            update(leases)
            .where(leases.c.campaign_id == campaign_id, leases.c.token == token)
            .values(holder=None)
        )


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
