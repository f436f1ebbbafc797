"""A lease that ends with its holder: a lock of the kernel on a file.

The kernel releases it when the holder ends in whatever way, so a killed worker blocks
nobody and no clock decides. What is written in the file is for people.
"""

import fcntl
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from labwm.schema import canonical_json

_ATTEMPTS = 20
_PAUSE = 0.005


@contextmanager
def lease(path: Path) -> Iterator[bool]:
    """Try to take the lease; hold it until the block ends.

    Yields:
        False if somebody else holds it.
    """
    # Not inherited by programs that this process starts: they must not keep it.
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        if is_taken := _take(descriptor):
            os.ftruncate(descriptor, 0)
            os.write(descriptor, _holder())
        yield is_taken
    finally:
        os.close(descriptor)


def is_held(path: Path) -> bool:
    """Is a living process holding the lease?"""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _take(descriptor: int) -> bool:
    # `is_held` of another process locks for microseconds: one refusal is no answer.
    for _ in range(_ATTEMPTS):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(_PAUSE)
        else:
            return True
    return False


def _holder() -> bytes:
    return canonical_json(
        {
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "since": datetime.now(UTC).isoformat(timespec="seconds"),
        }
    )
