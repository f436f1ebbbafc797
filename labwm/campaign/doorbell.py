"""The doorbell: something arrived, and whoever moves campaigns might look soon.

A ring moves nothing and may be lost without harm: the schedule looks every two minutes.
"""

from pathlib import Path

from labwm import settings
from labwm.errors import StoreError


def ring() -> None:
    """Say that results or a decision arrived.

    Raises:
        StoreError: If the home cannot be written.
    """
    path = _bell()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    except OSError as error:
        raise StoreError(
            f"The doorbell is a file that can be touched; {path}: {error.strerror}. "
            "Free space, or give the home back to its user."
        ) from error


def rung_at() -> int:
    """Return when it was rung last, in nanoseconds; 0 if never."""
    try:
        return _bell().stat().st_mtime_ns
    except OSError:
        return 0


def _bell() -> Path:
    return settings.home() / "doorbell"
