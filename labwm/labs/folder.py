"""The lab of people and robots: worklists out of a folder, results back into it.

    outbox/KEY.worklist.csv   to be done; whoever starts moves it to taken/
    taken/                    worklists that somebody works on
    withdrawn/                worklists that a person took back: their jobs are off
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
from labwm.labs.lab import Keep, name_only
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
            message=self._message(submission_key),
        )

    def collect(
        self, submission_key: str, *, keep: Keep = name_only
    ) -> tuple[WellResult, ...]:
        """Return every result so far with all its revisions, in the order of the wells.

        Raw bytes of a result are those of the file that it was read from.

        Raises:
            NotFoundError: If no job has this key.
        """
        folder = self._known(submission_key)
        self._receive()
        return _files(folder).results(keep)

    def cancel(self, submission_key: str) -> JobStatus:
        """Refuse: nobody can stop a person who has the worklist in her hand.

        A person who moves it from `outbox/` to `withdrawn/` cancels the job.

        Raises:
            NotFoundError: If no job has this key.
            UnsupportedError: If one has.
        """
        self._known(submission_key)
        instead = (
            f"If nobody took {submission_key}.worklist.csv, move it from outbox to "
            "withdrawn; else tell whoever did."
        )
        raise admission.undeclared("cancel", lab=self.name, instead=instead)

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
        if self._worklist("withdrawn", folder.path.name).exists():
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

    def _receive(self) -> None:
        self._inbox.receive(self._take)

    def _take(self, content: bytes, path: Path, name: str) -> None:
        folder = self._folder(_key_of(name))
        if not folder.has_job:
            raise TableError(
                f"Results are named by the key of their job, KEY.results.csv; got "
                f"{name!r}. Rename the file and put it into the inbox again."
            )
        rows = read_results(content, path, folder.job, self._followed(folder.job))
        _files(folder).store(rows, self.origin, raw=content)

    def _followed(self, job: Job) -> Protocol:
        """Return the version of the protocol that a job follows."""
        known = {version.digest(): version for version in self.versions}
        return known.get(job.protocol_sha256, self.protocol)

    def _message(self, key: str) -> str:
        """Say what of this job, or of no job at all, a person must look after."""
        aside, torn = self._inbox.put_aside(), self._inbox.torn()
        lost = [name for name in aside if not self._folder(_key_of(name)).has_job]
        counts = {
            "files in quarantine": sum(_key_of(name) == key for name in aside),
            "files of no known job in quarantine": len(lost),
            "files that end within a line": sum(_key_of(name) == key for name in torn),
        }
        return ", ".join(f"{n} {what}" for what, n in counts.items() if n)

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


def _key_of(name: str) -> str:
    return name.split(".", maxsplit=1)[0]


def _files(folder: JobFolder) -> ResultFiles:
    return ResultFiles(folder.path / "results", folder.job)
