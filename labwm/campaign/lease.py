"""The right to move a campaign: one holder at a time, fenced by a token."""

import os
import socket
import time
import uuid
from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

from labwm.campaign.books import Books
from labwm.errors import LeaseHeldError
from labwm.store import Writer

TTL = 5.0
"""Seconds after which the lease of a holder that went silent is free."""


@dataclass(frozen=True)
class Lease:
    """A held lease; every write carries its token, and a stale one is refused."""

    campaign_id: str
    token: int
    actor: str

    def write(self, books: Books) -> AbstractContextManager[Writer]:
        """Open one transaction of this campaign.

        Raises:
            StaleTokenError: If the lease was lost meanwhile; nothing is written.
        """
        return books.ledger.write(self.campaign_id, token=self.token, actor=self.actor)


@contextmanager
def held(books: Books, campaign_id: str, *, actor: str) -> Generator[Lease]:
    """Hold the lease of a campaign over a block, renewed by a thread.

    Where a process of this machine died holding it, wait until it expires.

    Raises:
        LeaseHeldError: If somebody else who is alive holds it.
    """
    holder = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
    _wait_for_the_dead(books, campaign_id)
    ledger = books.ledger
    with ledger.hold_lease(campaign_id, holder=holder, ttl_s=TTL) as token:
        yield Lease(campaign_id, token, actor)


def _wait_for_the_dead(books: Books, campaign_id: str) -> None:
    deadline = time.monotonic() + TTL + 1
    while (lease := books.ledger.lease(campaign_id)).holder is not None:
        if not _is_dead(lease.holder) or time.monotonic() > deadline:
            raise LeaseHeldError(
                f"One holder at a time moves a campaign; {campaign_id!r} is held by "
                f"{lease.holder!r}. Wait until it is done, or stop that process."
            )
        time.sleep(min(0.1, lease.seconds_left) + 0.01)


def _is_dead(holder: str) -> bool:
    """Is the holder a process of this machine that no longer runs?

    A recycled process number makes a dead holder look alive: then time frees the lease.
    """
    host, _, rest = holder.partition(":")
    pid = rest.partition(":")[0]
    if host != socket.gethostname() or not pid.isdigit():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False
