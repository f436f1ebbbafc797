"""A third party's lab: a queue in one SQLite file, and whoever works it off.

It knows its jobs and can refuse a key. It cannot be cancelled, and gives its results
all at once: it declares neither, and says so when it is asked.
"""

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from labwm.errors import DuplicateError, LabError, NotFoundError, UnsupportedError
from labwm.labs import Adapter, Lab
from labwm.labs.lab import Keep, name_only
from labwm.schema import (
    Acknowledgement,
    Capabilities,
    Job,
    JobState,
    JobStatus,
    Measurement,
    Origin,
    Protocol,
    Value,
    WellResult,
)

CAPABILITIES = Capabilities(
    dedup_by_key=True,
    query_by_key=True,
    refuse_key=False,
    cancel=False,
    partial_results=False,
    push=False,
    computes=False,
)
_TABLES = """
CREATE TABLE IF NOT EXISTS jobs (key TEXT PRIMARY KEY, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS results (
  key TEXT, place INTEGER, body BLOB NOT NULL, PRIMARY KEY (key, place));
"""


@dataclass(frozen=True)
class BenchLab:
    """A balance that measures the mass of a solution of two components."""

    folder: Path
    protocol: Protocol
    name: str = "bench"

    @property
    def origin(self) -> Origin:
        """It computes; a balance with a cable would measure."""
        return Origin.COMPUTED

    @property
    def capabilities(self) -> Capabilities:
        """No more than it does."""
        return CAPABILITIES

    def submit(self, job: Job) -> Acknowledgement:
        """Put a job into the queue; the same key again changes nothing."""
        if job.lab != self.name:
            raise LabError(f"A job names its lab; got {job.lab!r}. Send it there.")
        if job.protocol_sha256 != self.protocol.digest():
            raise LabError("A job follows the lab's protocol; got another. Open anew.")
        for well in job.wells:
            if set(well.conditions) != set(self.protocol.condition_names):
                raise LabError(f"A well has all conditions; got {well.conditions}.")
        with self._open() as base:
            cursor = base.execute(
                "INSERT OR IGNORE INTO jobs VALUES (?, ?)",
                (job.submission_key, job.canonical_json()),
            )
            is_new = cursor.rowcount == 1
        if self._job(job.submission_key) != job:
            raise DuplicateError(
                f"A key stands for one job; {job.submission_key!r} has another content."
            )
        return Acknowledgement(
            submission_key=job.submission_key,
            external_id=f"bench:{job.submission_key}",
            is_duplicate=not is_new,
        )

    def status(self, submission_key: str) -> JobStatus:
        """Say how a job stands."""
        job = self._job(submission_key)
        if job is None:
            return JobStatus(submission_key=submission_key, state=JobState.UNKNOWN)
        n_done, n_wells = len(self._bodies(submission_key)), len(job.wells)
        state = JobState.FINISHED if n_done == n_wells else JobState.ACCEPTED
        return JobStatus(
            submission_key=submission_key,
            state=state,
            n_done=n_done if state is JobState.FINISHED else 0,
            n_wells=n_wells,
        )

    def collect(
        self, submission_key: str, *, keep: Keep = name_only
    ) -> tuple[WellResult, ...]:
        """Return all results once there are all."""
        if self._job(submission_key) is None:
            raise NotFoundError(f"A job is known by its key; got {submission_key!r}.")
        if self.status(submission_key).state is not JobState.FINISHED:
            return ()
        return tuple(
            WellResult.model_validate_json(body).model_copy(
                update={"raw_sha256": keep(body)}
            )
            for body in self._bodies(submission_key)
        )

    def cancel(self, submission_key: str) -> JobStatus:
        """Refuse: it does not declare this."""
        raise _undeclared("cancel", submission_key)

    def refuse(self, submission_key: str) -> JobStatus:
        """Refuse: it does not declare this."""
        raise _undeclared("refuse_key", submission_key)

    def weigh(self, n_wells: int | None) -> int:
        """Do what waits: the work of whoever stands at the bench."""
        n_done = 0
        with self._open() as base:
            for key, body in base.execute("SELECT key, body FROM jobs").fetchall():
                done = base.execute(
                    "SELECT place FROM results WHERE key = ?", (key,)
                ).fetchall()
                for place, well in enumerate(json.loads(body)["wells"]):
                    if (place,) in done or n_done == n_wells:
                        continue
                    row = (key, place, self._weighed(key, well))
                    base.execute("INSERT INTO results VALUES (?, ?, ?)", row)
                    n_done += 1
        return n_done

    def _weighed(self, key: str, well: dict[str, object]) -> bytes:
        conditions = well["conditions"]
        assert isinstance(conditions, dict)
        mass = 1.0 * float(conditions["water"]) + 0.789 * float(conditions["ethanol"])
        result = WellResult(
            submission_key=key,
            well=str(well["name"]),
            readouts={"mass": Value(value=mass)},
            origin=self.origin,
            measured_at=datetime.now(UTC),
        )
        return result.canonical_json()

    def _job(self, key: str) -> Job | None:
        with self._open() as base:
            query = "SELECT body FROM jobs WHERE key = ?"
            row = base.execute(query, (key,)).fetchone()
        return Job.model_validate_json(row[0]) if row else None

    def _bodies(self, key: str) -> list[bytes]:
        with self._open() as base:
            query = "SELECT body FROM results WHERE key = ? ORDER BY place"
            return [row[0] for row in base.execute(query, (key,))]

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        self.folder.mkdir(parents=True, exist_ok=True)
        base = sqlite3.connect(self.folder / "bench.db", timeout=30)
        try:
            base.executescript(_TABLES)
            with base:
                yield base
        finally:
            base.close()


def _undeclared(capability: str, key: str) -> UnsupportedError:
    return UnsupportedError(
        f"The lab 'bench' does not declare {capability!r}; asked for {key!r}. Ask "
        "whoever stands there."
    )


def _build(folder: Path, protocol: Protocol, table: Sequence[Measurement]) -> Lab:
    del table
    return BenchLab(folder, protocol)


ADAPTER = Adapter(Origin.COMPUTED, CAPABILITIES, _build)
