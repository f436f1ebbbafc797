"""A lab of the crash tests: it counts what it really did, whoever is killed.

Its whole state is one file to which each call appends one line in one write: like a
lab in another building, it has done a thing or it has not. What it may be asked is set
by its capabilities; what it *did* is read from the file, past every claim of labwm.
"""

import fcntl
import json
import os
import random
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labwm.errors import InDoubtError, LabError, NotFoundError
from labwm.labs.registry import ADAPTERS, Adapter
from labwm.schema import (
    Acknowledgement,
    Capabilities,
    Job,
    JobState,
    JobStatus,
    Origin,
    Value,
    WellResult,
)


def _can(*, dedup: bool = False, query: bool = False, refuse: bool = False):
    return Capabilities(
        dedup_by_key=dedup,
        query_by_key=query,
        refuse_key=refuse,
        cancel=False,
        partial_results=True,
        push=False,
        computes=False,
    )


KINDS = {
    "deduplicates": _can(dedup=True, query=True),
    "refuses": _can(query=True, refuse=True),
    "answers": _can(query=True),
    "mute": _can(),
}
"""The labs by name: how a lost acknowledgement can be settled differs."""


@dataclass(frozen=True)
class Station:
    """A lab whose every effect is a line of a file."""

    name: str
    capabilities: Capabilities
    folder: Path
    origin: Origin = Origin.MEASURED

    def submit(self, job: Job) -> Acknowledgement:
        """Do a job; every third one is done and its acknowledgement lost."""
        key = job.submission_key
        with self._lines() as lines:
            if any(line["what"] == "refused" and line["key"] == key for line in lines):
                raise LabError(f"A refused key is never accepted; got {key!r}.")
            is_known = key in jobs_of(lines)
            if not (is_known and self.capabilities.dedup_by_key):
                # Not told apart by this lab: it would really be done a second time.
                body = job.model_dump(mode="json")
                self._append({"what": "accepted", "key": key, "job": body})
            n_accepted = len(jobs_of(lines)) + (not is_known)
        if n_accepted % 3 == 2 and not is_known:
            raise InDoubtError(f"The line went dead; {key!r} may have arrived.")
        return Acknowledgement(
            submission_key=key, external_id=f"{self.name}-{key}", is_duplicate=is_known
        )

    def status(self, submission_key: str) -> JobStatus:
        """Say how a job stands; each question lets it work on."""
        with self._lines() as lines:
            job = jobs_of(lines).get(submission_key)
            if job is None:
                state = JobState.UNKNOWN
                return JobStatus(submission_key=submission_key, state=state)
            self._append({"what": "asked", "key": submission_key})
            n_wells = len(job.wells)
            n_done = self._n_done(lines, job)
        is_finished = n_done == n_wells
        return JobStatus(
            submission_key=submission_key,
            state=JobState.FINISHED if is_finished else JobState.RUNNING,
            n_done=n_done,
            n_wells=n_wells,
        )

    def collect(self, submission_key: str, **_: object) -> tuple[WellResult, ...]:
        """Return results so far: shuffled, some twice, corrected ones beside old."""
        with self._lines() as lines:
            job = jobs_of(lines).get(submission_key)
            if job is None:
                raise NotFoundError(f"No job is called {submission_key!r}.")
            n_done, n_asked = self._n_done(lines, job), len(lines)
        results = [result_of(job, i) for i in range(n_done)]
        results += [result_of(job, i, revision=1) for i in range(0, n_done, 3)]
        rng = random.Random(n_asked)
        return tuple(rng.sample(results * 2, k=2 * len(results)))

    def cancel(self, submission_key: str) -> JobStatus:
        """Cancelling is not offered."""
        return self.status(submission_key)

    def refuse(self, submission_key: str) -> JobStatus:
        """Never accept this key from now on."""
        with self._lines() as lines:
            if submission_key not in jobs_of(lines):
                self._append({"what": "refused", "key": submission_key})
        return self.status(submission_key)

    def _n_done(self, lines: list[dict[str, Any]], job: Job) -> int:
        key = job.submission_key
        n_asked = sum(1 for line in lines if line["key"] == key) - 1
        return min(len(job.wells), 2 * n_asked)

    @property
    def path(self) -> Path:
        """The file of all effects."""
        return self.folder / "effects.jsonl"

    def _append(self, line: dict[str, Any]) -> None:
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.write(descriptor, json.dumps(line).encode() + b"\n")
        os.close(descriptor)

    @contextmanager
    def _lines(self) -> Iterator[list[dict[str, Any]]]:
        """One caller at a time; the kernel frees the lock of a killed one."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "lock").open("wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield effects(self.path)


def effects(path: Path) -> list[dict[str, Any]]:
    """Return everything that a station did."""
    text = path.read_text() if path.exists() else ""
    return [json.loads(line) for line in text.splitlines()]


def jobs_of(lines: list[dict[str, Any]]) -> dict[str, Job]:
    """Return the jobs that a station did, by key."""
    accepted = [line for line in lines if line["what"] == "accepted"]
    return {line["key"]: Job.model_validate(line["job"]) for line in accepted}


def times_done(path: Path) -> Counter[str]:
    """Count how often each proposal was really measured, whatever the key."""
    return Counter(
        well["proposal_id"]
        for line in effects(path)
        if line["what"] == "accepted"
        for well in line["job"]["wells"]
    )


def result_of(job: Job, place: int, *, revision: int = 0) -> WellResult:
    """Return the result of a well; it follows from the well alone."""
    well = job.wells[place]
    value = float(sum(ord(c) for c in json.dumps(well.conditions))) + revision / 10
    return WellResult(
        submission_key=job.submission_key,
        well=well.name,
        readouts={"seconds": Value(value=value)},
        origin=Origin.MEASURED,
        revision=revision,
    )


def register() -> None:
    """Make the stations known in this process, as an adapter of its own would be."""
    for name, can in KINDS.items():
        ADAPTERS[name] = Adapter(  # type: ignore[index]
            Origin.MEASURED,
            can,
            lambda folder, protocol, table, name=name, can=can: Station(
                name, can, folder
            ),
        )
