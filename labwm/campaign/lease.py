"""The right to move a campaign: one holder, renewed while it works, fenced by a token."""

import os
import socket
import threading
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

from labwm.campaign.books import Books
from labwm.errors import LabwmError
from labwm.store import Writer

TTL = 30.0
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
def held(books: Books, campaign_id: str, *, actor: str) -> Iterator[Lease]:
    """Hold the lease of a campaign, renewed every third of its time.

    Raises:
        LeaseHeldError: If somebody else who is alive holds it.
    """
    holder = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
    token = books.ledger.acquire_lease(campaign_id, holder, ttl=TTL, is_dead=_is_dead)
    done = threading.Event()

    def renew() -> None:
        while not done.wait(TTL / 3):
            try:
                books.ledger.renew_lease(campaign_id, token, ttl=TTL)
            except LabwmError:
                return  # The next write is refused by its token and says so.

    renewer = threading.Thread(target=renew, name=f"lease-{campaign_id}", daemon=True)
    renewer.start()
    try:
        yield Lease(campaign_id, token, actor)
    finally:
        done.set()
        renewer.join()
        books.ledger.release_lease(campaign_id, token)


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
