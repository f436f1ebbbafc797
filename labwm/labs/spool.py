"""The lab of whoever computes: jobs lie in a folder until somebody works them off.

Killed at any moment it loses no job and no finished well, and `work` goes on with the
wells that lack a result. One host, local disk.
"""

import time
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from labwm.errors import InDoubtError
from labwm.labs import admission, durable
from labwm.labs.instrument import Instrument, Outcome, Runner
from labwm.labs.job_folder import JobFolder
from labwm.labs.lab import Keep, Progress, name_only
from labwm.schema import (
    Acknowledgement,
    Capabilities,
    Job,
    JobState,
    JobStatus,
    Origin,
    Well,
    WellResult,
)

_STAGED_FOR = 3600.0
"""Seconds after which a submission that is still staged was given up."""
CAPABILITIES: Final = Capabilities(
    dedup_by_key=True,
    query_by_key=True,
    refuse_key=True,
    cancel=True,
    partial_results=True,
    push=False,
    computes=True,
)


@dataclass(frozen=True)
class SpoolLab:
    """A lab whose instrument is a function.

    Attributes:
        name: Name under which jobs address it.
        origin: Origin of everything it returns.
        folder: Holds one folder per submission key; made when first needed. Labs of the
            same name may share it: each works off the jobs sent to its own instrument.
        protocol_sha256: Of the protocol that the instrument follows.
        instrument: Measures one well.
        runner: Measures many, here or in other processes.
    """

    name: str
    origin: Origin
    folder: Path
    protocol_sha256: str
    instrument: Instrument
    runner: Runner

    @property
    def capabilities(self) -> Capabilities:
        """Everything but calling back."""
        return CAPABILITIES

    def submit(self, job: Job) -> Acknowledgement:
        """Accept a job; the same key again acknowledges without a second job.

        Raises:
            LabError: If the job is for another lab or protocol, a well cannot be
                measured here, or the key was refused.
            DuplicateError: If the key is known with another content.
            InDoubtError: If the disk failed: send the same key again.
        """
        self._check(job)
        folder = self._folder(job.submission_key)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            is_new = folder.accept(job, self.instrument.digest)
        except OSError as error:
            raise InDoubtError(
                f"A job is accepted once it is on disk; got {error} for "
                f"{job.submission_key!r}. Submit the same key again."
            ) from error
        if folder.is_refused:
            raise admission.refused(job.submission_key)
        if folder.job != job:
            raise admission.other_content(job.submission_key)
        return Acknowledgement(
            submission_key=job.submission_key,
            external_id=f"{self.name}/{job.submission_key}",
            is_duplicate=not is_new,
        )

    def status(self, submission_key: str) -> JobStatus:
        """Say how a job stands; `unknown` for a key never accepted."""
        folder = self._folder(submission_key)
        if folder.has_job:
            return self._status(folder)
        return JobStatus(
            submission_key=submission_key,
            state=JobState.UNKNOWN,
            message="refused for ever" if folder.is_refused else "",
        )

    def collect(
        self, submission_key: str, *, keep: Keep = name_only
    ) -> tuple[WellResult, ...]:
        """Return every result so far, in the order of the wells; repeatable.

        Raw bytes of a result are those of its file in the spool.

        Raises:
            NotFoundError: If no job has this key.
        """
        return self._known(submission_key).results(keep)

    def cancel(self, submission_key: str) -> JobStatus:
        """Ask to stop: no further well is started; results stay.

        The job is `running` until the well in work is finished, then `cancelled`.

        Raises:
            NotFoundError: If no job has this key.
        """
        folder = self._known(submission_key)
        if len(folder.done) < len(folder.job.wells):
            folder.cancel()
        return self._status(folder)

    def refuse(self, submission_key: str) -> JobStatus:
        """Never accept this key from now on; a job that exists is left as it is.

        Raises:
            LabError: If this could not be a submission key.
        """
        admission.check_key(submission_key)
        self.folder.mkdir(parents=True, exist_ok=True)
        self._folder(submission_key).refuse()
        return self.status(submission_key)

    def work(
        self, *, limit: float | None = None, progress: Progress | None = None
    ) -> int:
        """Measure wells without a result until none is left or `limit` seconds passed.

        Jobs come in the order of acceptance. A job on which somebody else works, and
        one that was accepted for another instrument, is left to them. A well that was
        started before the limit is finished.

        Returns:
            Number of wells finished now.

        Raises:
            UnavailableError: If the instrument is not there; no well is lost by it.
        """
        deadline = float("inf") if limit is None else time.monotonic() + limit
        n_finished = 0
        for folder in self._open_jobs():
            if time.monotonic() >= deadline:
                break
            with folder.lease() as is_mine:
                if not is_mine:
                    continue
                folder.sweep()
                with closing(self._results(folder, deadline)) as results:
                    for result in results:
                        n_finished += 1
                        if progress is not None:
                            progress(result)
        return n_finished

    def _results(
        self, folder: JobFolder, deadline: float
    ) -> Generator[WellResult, None, None]:
        """Measure and store what is missing of one job; the lease is held."""
        done = folder.done
        places = {well.name: i for i, well in enumerate(folder.job.wells)}

        def missing() -> Iterator[Well]:
            for place, well in enumerate(folder.job.wells):
                if place in done:
                    continue
                if folder.is_cancelled or time.monotonic() >= deadline:
                    return
                yield well

        # Closed here and not by the garbage collector: no process outlives the lease.
        with closing(self.runner(self.instrument, missing())) as outcomes:
            for well, outcome in outcomes:
                result = self._result(folder.job, well, outcome)
                if folder.publish(places[well.name], result):
                    raw = name_only(result.canonical_json())
                    yield result.model_copy(update={"raw_sha256": raw})

    def _result(self, job: Job, well: Well, outcome: Outcome) -> WellResult:
        return WellResult(
            submission_key=job.submission_key,
            well=well.name,
            readouts=outcome.readouts,
            origin=self.origin,
            measured_at=datetime.now(UTC),
            duration=outcome.duration,
        )

    def _open_jobs(self) -> list[JobFolder]:
        if not self.folder.exists():
            return []
        durable.sweep(self.folder, older_than=_STAGED_FOR)
        # Only whole jobs: what is staged may get its name, and be gone, at any moment.
        found = [
            JobFolder(p) for p in self.folder.iterdir() if admission.is_key(p.name)
        ]
        mine = [
            folder
            for folder in found
            if folder.has_job
            and not folder.is_cancelled
            and folder.instrument_digest == self.instrument.digest
            and len(folder.done) < len(folder.job.wells)
        ]
        return sorted(mine, key=lambda folder: (folder.accepted_at, folder.path.name))

    def _status(self, folder: JobFolder) -> JobStatus:
        status = folder.status()
        is_elsewhere = folder.instrument_digest != self.instrument.digest
        if status.state is JobState.ACCEPTED and is_elsewhere:
            # It would wait for ever without anybody knowing why.
            waits = "accepted for an instrument with other settings, table or world"
            return status.model_copy(update={"message": waits})
        return status

    def _check(self, job: Job) -> None:
        admission.check_address(
            job, lab=self.name, protocol_sha256=self.protocol_sha256
        )
        for well in job.wells:
            self.instrument.check(well)

    def _folder(self, submission_key: str) -> JobFolder:
        # What is no key names no job, and never a path outside the lab's folder.
        is_key = admission.is_key(submission_key)
        return JobFolder(self.folder / (submission_key if is_key else ".no-such-job"))

    def _known(self, submission_key: str) -> JobFolder:
        folder = self._folder(submission_key)
        if not folder.has_job:
            raise admission.unknown(submission_key, lab=self.name)
        return folder
