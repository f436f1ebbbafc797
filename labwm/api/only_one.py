"""One launcher per home, by a lock that the operating system drops with its holder."""

import fcntl
import os
import uuid
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from labwm.api.children import kill_marked
from labwm.errors import ConflictError


@contextmanager
def only_one(lock: Path, address: str) -> Generator[str]:
    """Hold the lock, and yield the mark that this launcher's descendants carry.

    What an earlier launcher left behind because it was killed is killed first.

    Args:
        lock: File that says who holds it.
        address: Where the holder answers, for whoever comes second.

    Raises:
        ConflictError: If another process holds it.
    """
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("a+") as file:
        file.seek(0)
        told = file.read().split()
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConflictError(_already_up(lock.parent, told)) from None
        if len(told) == 3:
            kill_marked(told[2])
        mark = uuid.uuid4().hex
        file.truncate(0)
        file.write(f"{os.getpid()} {address} {mark}\n")
        file.flush()
        yield mark
        file.truncate(0)


def _already_up(home: Path, told: list[str]) -> str:
    pid, address = told[:2] if len(told) == 3 else ("unknown", "an unknown address")
    return (
        f"One `labwm up` runs per home; {home} is up already as process {pid} at "
        f"{address}. Use that one, stop it with Ctrl-C, or set LABWM_HOME to another "
        "folder."
    )
