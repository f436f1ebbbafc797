"""The right to move a campaign: one holder at a time, fenced by a token."""

import os
import socket
import uuid
from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

from labwm.campaign.books import Books
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

    Raises:
        LeaseHeldError: If somebody else who may be alive holds it.
    """
    ledger = books.ledger
    lease = ledger.lease(campaign_id)
    if lease.holder is not None and _is_dead(lease.holder):
        # The token fences: were the holder alive after all, its next write is refused.
        ledger.release_lease(campaign_id, token=lease.token)
    holder = f"{_place()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
    with ledger.hold_lease(campaign_id, holder=holder, ttl_s=TTL) as token:
        yield Lease(campaign_id, token, actor)


def _place() -> str:
    """Name this machine, and where process numbers are counted on it."""
    try:
        numbers = os.readlink("/proc/self/ns/pid")
    except OSError:
        numbers = "whole"
    return f"{socket.gethostname()}/{numbers.replace(':', '')}"


def _is_dead(holder: str) -> bool:
    """Is the holder a process of this machine that no longer runs?

    A recycled process number makes a dead holder look alive: then time frees the lease.
    """
    place, _, rest = holder.partition(":")
    pid = rest.partition(":")[0]
    if place != _place() or not pid.isdigit():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False
