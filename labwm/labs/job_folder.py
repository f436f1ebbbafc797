"""One job in a spool: a folder whose name is the submission key.

    KEY/job.json        the job, as accepted; or `refused`, and there is no job
    KEY/instrument      digest of the instrument that it was accepted for
    KEY/lease           locked while somebody works on it
    KEY/cancelled       somebody asked to stop
    KEY/results/00007   result of the well at place 7

The folder appears with its first two files in one atomic step, and a refusal is such a
folder too: whoever gets the name first decides between job and refusal.
"""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pydantic import ValidationError

from labwm.errors import IntegrityError
from labwm.labs import durable
from labwm.labs.lab import Keep, name_only
from labwm.labs.lease import is_held, lease
from labwm.schema import Job, JobState, JobStatus, WellResult


@dataclass(frozen=True)
class JobFolder:
    """Where one submission key lies, whether or not anything is there yet."""

    path: Path

    def accept(self, job: Job, instrument_digest: str) -> bool:
        """Store a job; False if the key was taken before."""
        files = {
            "job.json": job.canonical_json(),
            "instrument": instrument_digest.encode(),
        }
        return durable.claim_folder(self.path, files)

    def refuse(self) -> bool:
        """Store that no job may have this key; False if the key was taken before."""
        return durable.claim_folder(self.path, {"refused": b""})

    @property
    def is_refused(self) -> bool:
        """Was this key refused for ever?"""
        return (self.path / "refused").exists()

    @property
    def has_job(self) -> bool:
        """Was a job accepted?"""
        return (self.path / "job.json").exists()

    @cached_property
    def job(self) -> Job:
        """The job as it was accepted."""
        path = self.path / "job.json"
        try:
            return Job.model_validate_json(path.read_bytes())
        except ValidationError as error:
            raise _changed(path) from error

    @property
    def instrument_digest(self) -> str:
        """Digest of the instrument that the job was accepted for."""
        return (self.path / "instrument").read_text()

    @property
    def accepted_at(self) -> float:
        """Time of acceptance, seconds since 1970."""
        return (self.path / "job.json").stat().st_mtime

    def lease(self) -> AbstractContextManager[bool]:
        """Try to become the only worker on this job."""
        return lease(self.path / "lease")

    def cancel(self) -> None:
        """Ask whoever works on it to stop, now and later."""
        durable.publish(self.path / "cancelled", b"")

    @property
    def is_cancelled(self) -> bool:
        """Did somebody ask to stop?"""
        return (self.path / "cancelled").exists()

    @property
    def done(self) -> frozenset[int]:
        """Places of the wells that have a result."""
        folder = self.path / "results"
        if not folder.exists():
            return frozenset()
        names = [path.name for path in folder.iterdir()]
        return frozenset(int(name) for name in names if name.isdigit())

    def publish(self, place: int, result: WellResult) -> bool:
        """Store the result of the well at a place; False if it has one."""
        folder = self.path / "results"
        folder.mkdir(exist_ok=True)
        return durable.publish(folder / f"{place:05d}", result.canonical_json())

    def results(self, keep: Keep = name_only) -> tuple[WellResult, ...]:
        """Return the results so far, in the order of the wells; keep their bytes.

        Raises:
            IntegrityError: If a result cannot be read back.
        """
        results: list[WellResult] = []
        for place in sorted(self.done):
            path = self.path / "results" / f"{place:05d}"
            raw = path.read_bytes()
            try:
                result = WellResult.model_validate_json(raw)
            except ValidationError as error:
                raise _changed(path) from error
            results.append(result.model_copy(update={"raw_sha256": keep(raw)}))
        return tuple(results)

    def status(self) -> JobStatus:
        """Say how the job stands; a cancelled job is one that nobody works on."""
        # In this order: who takes the lease later sees the mark and starts nothing, and
        # a job without worker is seen with all its results.
        is_cancelled = self.is_cancelled
        is_running = is_held(self.path / "lease")
        n_done, n_wells = len(self.done), len(self.job.wells)
        message = ""
        if n_done == n_wells:
            state = JobState.FINISHED
        elif is_cancelled:
            state = JobState.RUNNING if is_running else JobState.CANCELLED
            message = "cancelled; the well in work is being finished"
        else:
            state = JobState.RUNNING if is_running else JobState.ACCEPTED
        return JobStatus(
            submission_key=self.path.name,
            state=state,
            n_done=n_done,
            n_wells=n_wells,
            message=message if state is JobState.RUNNING else "",
        )

    def sweep(self) -> None:
        """Remove what a killed worker left half written; only under the lease."""
        durable.sweep(self.path / "results", older_than=0.0)


def _changed(path: Path) -> IntegrityError:
    return IntegrityError(
        f"A file of the spool is never changed once it is written; got {path}, which "
        "cannot be read back. Restore it from a backup."
    )
