"""The lab of people and robots: worklists out of a folder, results back into it.

    outbox/KEY.worklist.csv   to be done; whoever starts moves it to taken/
    taken/                    worklists that somebody works on
    withdrawn/                worklists that were cancelled before somebody took them
    inbox/KEY.*.csv           results, also some of them, also corrected ones
    keys/KEY/                 the job as accepted, or its refusal; its results

A worklist is moved, never deleted: where it lies says whether it was offered. One host,
or a shared disk on which `link` and `rename` are atomic.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from labwm.errors import InDoubtError, LabError, TableError
from labwm.labs import admission, durable
from labwm.labs.inbox import Inbox
from labwm.labs.job_folder import JobFolder
from labwm.labs.result_files import ResultFiles
from labwm.labs.worklist import check_protocol, read_results, worklist_bytes
from labwm.schema import (
    Acknowledgement,
    Capabilities,
    Job,
    JobState,
    JobStatus,
    Origin,
    Protocol,
    WellResult,
)

CAPABILITIES: Final = Capabilities(
    dedup_by_key=True,
    query_by_key=True,
    refuse_key=True,
    cancel=False,  # nobody can stop a person who has the worklist in her hand
    partial_results=True,
    push=False,
    computes=False,
)
SETTLE_SECONDS: Final = 3.0
_PLACES = ("outbox", "taken", "withdrawn")


@dataclass(frozen=True)
class FolderLab:
    """A lab whose workers read and write files.

    Attributes:
        folder: Holds the folders above; made with the first job.
        protocol: Says which columns there are, in which units.
        settle_seconds: How long a results file must have been left alone.
        name: Name under which jobs address it.
    """

    folder: Path
    protocol: Protocol
    settle_seconds: float = SETTLE_SECONDS
    name: str = "folder"
    versions: tuple[Protocol, ...] = ()
    """Versions of the protocol that earlier jobs follow, besides `protocol`."""

    def __post_init__(self) -> None:
        """Refuse a protocol that no worklist can hold."""
        check_protocol(self.protocol)

    @property
    def origin(self) -> Origin:
        """Somebody measured it."""
        return Origin.MEASURED

    @property
    def capabilities(self) -> Capabilities:
        """Everything that files can do."""
        return CAPABILITIES

    def submit(self, job: Job) -> Acknowledgement:
        """Accept a job and offer its worklist once.

        Raises:
            LabError: If the job is for another lab or protocol, a condition is unknown,
                or the key was refused.
            DuplicateError: If the key is known with another content.
            InDoubtError: If the disk failed: send the same key again.
        """
        self._check(job)
        folder = self._folder(job.submission_key)
        try:
            self._prepare()
            is_new = folder.accept(job, self.protocol.digest())
            if folder.is_refused:
                raise admission.refused(job.submission_key)
            if folder.job != job:
                raise admission.other_content(job.submission_key)
            self._offer(folder)
        except OSError as error:
            raise InDoubtError(
                f"A job is accepted once it is on disk; got {error} for "
                f"{job.submission_key!r}. Submit the same key again."
            ) from error
        return Acknowledgement(
            submission_key=job.submission_key,
            external_id=f"{self.name}/{job.submission_key}",
            is_duplicate=not is_new,
        )

    def status(self, submission_key: str) -> JobStatus:
        """Take what came in, then say how a job stands; `unknown` if never accepted."""
        folder = self._folder(submission_key)
        if not folder.has_job:
            return JobStatus(
                submission_key=submission_key,
                state=JobState.UNKNOWN,
                message="refused for ever" if folder.is_refused else "",
            )
        self._offer(folder)
        self._receive()
        n_done, n_wells = len(_files(folder).done), len(folder.job.wells)
        return JobStatus(
            submission_key=submission_key,
            state=self._state(folder, n_done, n_wells),
            n_done=n_done,
            n_wells=n_wells,
            message=self._put_aside(submission_key),
        )

    def collect(self, submission_key: str) -> tuple[WellResult, ...]:
        """Return every result so far with all its revisions, in the order of the wells.

        Raises:
            NotFoundError: If no job has this key.
        """
        folder = self._known(submission_key)
        self._receive()
        return _files(folder).results()

    def cancel(self, submission_key: str) -> JobStatus:
        """Withdraw the worklist; results that come nevertheless are taken.

        Whoever took the worklist before is not stopped by it: tell her.

        Raises:
            NotFoundError: If no job has this key.
        """
        folder = self._known(submission_key)
        self._offer(folder)
        if self.status(submission_key).state is not JobState.FINISHED:
            folder.cancel()
            self._withdraw(submission_key)
        return self.status(submission_key)

    def refuse(self, submission_key: str) -> JobStatus:
        """Never accept this key from now on; a job that exists is left as it is.

        Raises:
            LabError: If this could not be a submission key.
        """
        admission.check_key(submission_key)
        self._prepare()
        self._folder(submission_key).refuse()
        return self.status(submission_key)

    def _state(self, folder: JobFolder, n_done: int, n_wells: int) -> JobState:
        if n_done == n_wells:
            return JobState.FINISHED
        if folder.is_cancelled:
            return JobState.CANCELLED
        is_taken = self._worklist("taken", folder.path.name).exists()
        return JobState.RUNNING if n_done or is_taken else JobState.ACCEPTED

    def _offer(self, folder: JobFolder) -> None:
        """Put the worklist into the outbox, once; killed anywhere, the next goes on."""
        offered = folder.path / "offered"
        if offered.exists():
            return
        with folder.lease() as is_mine:
            if not is_mine or offered.exists():
                return  # who holds the lease is offering it now
            key = folder.path.name
            # A worklist only moves on: this order misses none that is being moved.
            if not any(self._worklist(place, key).exists() for place in _PLACES):
                content = worklist_bytes(folder.job, self._followed(folder.job))
                durable.publish(self._worklist("outbox", key), content)
            durable.publish(offered, b"")

    def _withdraw(self, key: str) -> None:
        try:
            self._worklist("outbox", key).rename(self._worklist("withdrawn", key))
        except FileNotFoundError:
            return  # taken, or withdrawn before

    def _receive(self) -> None:
        self._inbox.receive(self._take)

    def _take(self, path: Path, name: str) -> None:
        key = name.split(".", maxsplit=1)[0]
        folder = self._folder(key)
        if not folder.has_job:
            raise TableError(
                f"Results are named by the key of their job, KEY.results.csv; got "
                f"{name!r}. Rename the file and put it into the inbox again."
            )
        rows = read_results(path, folder.job, self._followed(folder.job))
        _files(folder).store(rows, self.origin)

    def _followed(self, job: Job) -> Protocol:
        """Return the version of the protocol that a job follows."""
        known = {version.digest(): version for version in self.versions}
        return known.get(job.protocol_sha256, self.protocol)

    def _put_aside(self, key: str) -> str:
        found = (self.folder / "quarantine").glob(f"*-{key}.*")
        n_files = sum(not path.name.endswith(".reason.txt") for path in found)
        return f"{n_files} files in quarantine" if n_files else ""

    def _prepare(self) -> None:
        for name in ("keys", *_PLACES):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        self._inbox.prepare()
        durable.sweep(self.folder / "outbox", older_than=3600.0)

    def _check(self, job: Job) -> None:
        digest = self.protocol.digest()
        admission.check_address(job, lab=self.name, protocol_sha256=digest)
        for well in job.wells:
            if unknown := set(well.conditions) - set(self.protocol.condition_names):
                raise LabError(
                    f"Conditions name parameters of the protocol; got {sorted(unknown)}"
                    f" in well {well.name!r}. Known: "
                    f"{list(self.protocol.condition_names)}."
                )

    @property
    def _inbox(self) -> Inbox:
        return Inbox(self.folder, self.settle_seconds)

    def _worklist(self, place: str, key: str) -> Path:
        return self.folder / place / f"{key}.worklist.csv"

    def _folder(self, submission_key: str) -> JobFolder:
        name = submission_key if admission.is_key(submission_key) else ".no-such-job"
        return JobFolder(self.folder / "keys" / name)

    def _known(self, submission_key: str) -> JobFolder:
        folder = self._folder(submission_key)
        if not folder.has_job:
            raise admission.unknown(submission_key, lab=self.name)
        return folder


def _files(folder: JobFolder) -> ResultFiles:
    return ResultFiles(folder.path / "results", folder.job)
