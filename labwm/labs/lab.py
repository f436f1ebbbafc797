"""The seam behind which a real, computed, replayed or virtual lab stands."""

import hashlib
from collections.abc import Callable
from typing import Protocol, runtime_checkable

from labwm.schema import (
    Acknowledgement,
    Capabilities,
    Job,
    JobStatus,
    Origin,
    WellResult,
)

Progress = Callable[[WellResult], None]
"""Called after each well that a computed lab finished."""
Keep = Callable[[bytes], str]
"""Keeps raw bytes for ever and returns their sha256."""


def name_only(raw: bytes) -> str:
    """Return the sha256 of raw bytes and keep nothing."""
    return hashlib.sha256(raw).hexdigest()


class Lab(Protocol):
    """Where jobs are done. Safe to call again: keys make every call repeatable."""

    @property
    def name(self) -> str:
        """Name under which jobs address this lab."""
        ...

    @property
    def origin(self) -> Origin:
        """Origin of everything it returns; fixed."""
        ...

    @property
    def capabilities(self) -> Capabilities:
        """What it can do; proved by the conformance suite."""
        ...

    def submit(self, job: Job) -> Acknowledgement:
        """Accept a job; the same key again acknowledges without a second job.

        Raises:
            LabError: If it refuses: an unknown readout, a key that was refused before.
            DuplicateError: If the key is known with other wells.
            InDoubtError: If it is unknown whether the job was accepted.
        """
        ...

    def status(self, submission_key: str) -> JobStatus:
        """Say how a job stands; `unknown` for a key never accepted."""
        ...

    def collect(
        self, submission_key: str, *, keep: Keep = name_only
    ) -> tuple[WellResult, ...]:
        """Return every result so far, finished wells only; repeatable.

        The raw bytes that each result was read from are handed to `keep` before any is
        returned, and are named by its `raw_sha256`.

        Raises:
            NotFoundError: If no job has this key.
        """
        ...

    def cancel(self, submission_key: str) -> JobStatus:
        """Ask to stop; wells done before keep their results.

        Raises:
            NotFoundError: If no job has this key.
        """
        ...

    def refuse(self, submission_key: str) -> JobStatus:
        """Never accept this key from now on; a job that exists is left as it is."""
        ...


@runtime_checkable
class ComputingLab(Lab, Protocol):
    """A lab without an instrument of its own: somebody must call `work`."""

    def work(
        self, *, limit: float | None = None, progress: Progress | None = None
    ) -> int:
        """Run leased jobs until none is left or `limit` seconds passed.

        Returns:
            Number of wells finished now.
        """
        ...
