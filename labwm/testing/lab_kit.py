"""What the conformance suite is told of a lab, and how its work gets done."""

from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from labwm.labs import ComputingLab, Lab, SpoolLab
from labwm.schema import Conditions, Job, Protocol, Well, WellResult
from labwm.testing.instruments import counted

KEY = "conformance-0001"
SLOW = 0.15


@dataclass(frozen=True)
class LabKit:
    """A lab on a folder of its own, and what it can measure.

    Attributes:
        open: Opens the lab; every call, in any process, opens the same one. Picklable.
        protocol: What its jobs are about.
        conditions: At least five experiments that it can measure.
        impossible: Conditions that it must refuse at once.
        failing: Conditions that it accepts and cannot get a value for; or None.
        folder: Where it keeps its jobs, and a file for notes beside.
        work: Stands for whoever does the work: does as many wells as it is told, or
            all, and returns how many. None for labs that compute. Picklable.
        heard: Submission keys of the signed notices that came so far, for a lab that
            claims `push`.
    """

    open: Callable[[], Lab]
    protocol: Protocol
    conditions: tuple[Conditions, ...]
    impossible: Conditions
    failing: Conditions | None
    folder: Path
    work: Callable[[int | None], int] | None = None
    heard: Callable[[], list[str]] | None = None

    def work_off(self, n_wells: int | None = None) -> int:
        """Have wells that wait done, all or so many; returns how many were."""
        if self.work is not None:
            return self.work(n_wells)
        return work_some(computing(self), n_wells)

    @property
    def log(self) -> Path:
        """Where the starts and ends of measurements are noted."""
        return self.folder.with_suffix(".log")

    def slow(self) -> ComputingLab:
        """Open the lab with its measurements noted, and slow enough to be killed in."""
        lab = self.open()
        assert isinstance(lab, SpoolLab)
        return counted(lab, self.log, SLOW)

    def job(self, key: str = KEY, conditions: tuple[Conditions, ...] = ()) -> Job:
        """Return a job with one well for each of the conditions, or for all."""
        wells = [
            Well(name=f"A{i + 1}", proposal_id=f"proposal-{i}", conditions=row)
            for i, row in enumerate(conditions or self.conditions)
        ]
        return Job(
            submission_key=key,
            campaign_id="conformance",
            round=0,
            lab=self.open().name,
            protocol_name=self.protocol.name,
            protocol_version=self.protocol.version,
            protocol_sha256=self.protocol.digest(),
            wells=tuple(wells),
        )

    def noted(self, what: str) -> Counter[str]:
        """Count the notes of a kind, `start` or `end`, by well."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return Counter(x.split()[1] for x in lines if x.split()[0] == what)


class _EnoughError(Exception):
    """So many wells were wanted."""


def work_some(lab: ComputingLab, n_wells: int | None) -> int:
    """Let a computing lab finish so many wells, or all; returns how many it did."""
    n_done = 0

    def count(_: WellResult) -> None:
        nonlocal n_done
        n_done += 1
        if n_done == n_wells:
            raise _EnoughError

    with suppress(_EnoughError):
        lab.work(progress=count)
    return n_done


def computing(kit: LabKit) -> ComputingLab:
    """Open the lab as one that computes."""
    lab = kit.open()
    assert isinstance(lab, ComputingLab)
    return lab
