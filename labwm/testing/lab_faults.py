"""A lab behind which everything goes wrong that can go wrong between two machines.

The lab itself is the real one; what is harmed is the way there and back.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Final

from labwm.errors import InDoubtError, UnavailableError
from labwm.labs import ComputingLab, Lab
from labwm.labs.lab import Keep, Progress, name_only
from labwm.schema import (
    Acknowledgement,
    Capabilities,
    Job,
    JobState,
    JobStatus,
    Origin,
    WellResult,
)

FAULTS: Final = (
    "drop",  # it arrived and was done; the answer is lost
    "refuse",  # 5xx: it did not arrive
    "duplicate",  # it arrived twice
    "reorder",  # results in any order, some of them twice
    "partial",  # only some of the results that there are
    "slow",  # nothing has happened yet, it says
    "restart",  # whoever answers has just been started
)
CALM: Final = "calm"


@dataclass
class FaultyLab:
    """Any lab, reached through faults chosen at random by a seed.

    Attributes:
        open: Opens the lab; called again for each restart.
        faults: Which of `FAULTS` happen.
        seed: Of the choice.
        share: Part of the calls to which something happens.
    """

    open: Callable[[], Lab]
    faults: tuple[str, ...] = FAULTS
    seed: int = 0
    share: float = 0.6
    n_done: dict[str, int] = field(default_factory=dict[str, int])
    """How often each fault happened."""

    def __post_init__(self) -> None:
        """Open the lab for the first time."""
        self._inner, self._random = self.open(), Random(self.seed)

    @property
    def name(self) -> str:
        """That of the lab."""
        return self._inner.name

    @property
    def origin(self) -> Origin:
        """That of the lab."""
        return self._inner.origin

    @property
    def capabilities(self) -> Capabilities:
        """Those of the lab."""
        return self._inner.capabilities

    def submit(self, job: Job) -> Acknowledgement:
        """Submit a job; the answer may be lost on either way."""
        fault = self._fault("drop", "refuse", "duplicate", "restart")
        if fault == "refuse":
            raise InDoubtError("A submission ends with an answer; got 503.")
        answer = self._inner.submit(job)
        if fault == "drop":
            raise InDoubtError("A submission ends with an answer; got none.")
        return self._inner.submit(job) if fault == "duplicate" else answer

    def status(self, submission_key: str) -> JobStatus:
        """Say how a job stands, or that nothing happened since it was accepted."""
        fault = self._fault("drop", "refuse", "slow", "restart")
        if fault in {"drop", "refuse"}:
            raise UnavailableError("A lab answers when it is asked; got 502.")
        status = self._inner.status(submission_key)
        if fault == "slow" and status.state is not JobState.UNKNOWN:
            update = {"state": JobState.RUNNING, "n_done": 0}
            return status.model_copy(update=update)
        return status

    def collect(
        self, submission_key: str, *, keep: Keep = name_only
    ) -> tuple[WellResult, ...]:
        """Return results: in any order, some twice, or not all of them."""
        fault = self._fault("drop", "refuse", "reorder", "partial", "restart")
        if fault == "refuse":
            raise UnavailableError("A lab answers when it is asked; got 502.")
        results = list(self._inner.collect(submission_key, keep=keep))
        if fault == "drop":
            raise UnavailableError("A lab answers when it is asked; got nothing.")
        if fault == "reorder":
            results += self._random.choices(results, k=len(results)) if results else []
            self._random.shuffle(results)
        if fault == "partial":
            results = [r for r in results if self._random.random() < 0.5]
        return tuple(results)

    def cancel(self, submission_key: str) -> JobStatus:
        """Ask to stop."""
        return self._inner.cancel(submission_key)

    def refuse(self, submission_key: str) -> JobStatus:
        """Have the lab never accept this key."""
        return self._inner.refuse(submission_key)

    def _fault(self, *possible: str) -> str:
        chosen = [fault for fault in possible if fault in self.faults]
        if not chosen or self._random.random() >= self.share:
            return CALM
        fault = self._random.choice(chosen)
        self.n_done[fault] = self.n_done.get(fault, 0) + 1
        if fault == "restart":
            self._inner = self.open()
        return fault


def carry_through(
    lab: Lab, job: Job, *, work: Callable[[], object], most_tries: int = 400
) -> dict[tuple[str, int], WellResult]:
    """Take a job through a lab as a dispatcher does, until all its wells are there.

    Args:
        lab: Deduplicates by key; anything may go wrong on the way to it.
        job: Is submitted until it is acknowledged, always under its one key.
        work: Has some of what waits in the lab done.
        most_tries: Calls of each kind.

    Returns:
        Results by well and revision.

    Raises:
        AssertionError: If one of them changed, or it was not done after so many calls.
    """
    for _ in range(most_tries):
        try:
            lab.submit(job)
            break
        except (InDoubtError, UnavailableError):
            continue
    known: dict[tuple[str, int], WellResult] = {}
    for _ in range(most_tries):
        work()
        try:
            state = lab.status(job.submission_key).state
            for result in lab.collect(job.submission_key):
                first = known.setdefault((result.well, result.revision), result)
                assert first == result, f"{first} became {result}"
        except UnavailableError:
            continue
        if state is JobState.FINISHED and {w for w, _ in known} == _names(job):
            return known
    raise AssertionError(f"{sorted(known)} after {most_tries} tries")


def _names(job: Job) -> set[str]:
    return {well.name for well in job.wells}


@dataclass
class FaultyComputingLab(FaultyLab):
    """A lab of this machine: what goes wrong between two machines does not."""

    faults: tuple[str, ...] = ("drop", "duplicate", "reorder", "partial", "restart")

    def status(self, submission_key: str) -> JobStatus:
        """Say how a job stands."""
        return self._inner.status(submission_key)

    def collect(
        self, submission_key: str, *, keep: Keep = name_only
    ) -> tuple[WellResult, ...]:
        """Return results: in any order, some twice, or not all of them."""
        try:
            return super().collect(submission_key, keep=keep)
        except UnavailableError:
            return ()

    def work(
        self, *, limit: float | None = None, progress: Progress | None = None
    ) -> int:
        """Have it work."""
        assert isinstance(self._inner, ComputingLab)
        return self._inner.work(limit=limit, progress=progress)
