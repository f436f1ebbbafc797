"""Instruments for tests: they count, they are slow, they break."""

import os
import signal
import time
from dataclasses import dataclass, replace
from pathlib import Path

from labwm.errors import UnavailableError
from labwm.labs import Instrument, Outcome, SpoolLab
from labwm.schema import Value, Well


@dataclass(frozen=True)
class Counting:
    """Writes `start` and `end` of each measurement to a file, and takes its time."""

    inner: Instrument
    log: Path
    seconds: float

    @property
    def readouts(self) -> tuple[str, ...]:
        """Those of the instrument that is counted."""
        return self.inner.readouts

    @property
    def digest(self) -> str:
        """That of the instrument that is counted: it works off the same jobs."""
        return self.inner.digest

    def check(self, well: Well) -> None:
        """Refuse what the instrument refuses."""
        self.inner.check(well)

    def prepare(self) -> None:
        """Prepare the instrument that is counted."""
        self.inner.prepare()

    def measure(self, well: Well) -> Outcome:
        """Measure, slowly, and leave a trace."""
        self._note(f"start {well.name}\n")
        time.sleep(self.seconds)
        outcome = self.inner.measure(well)
        self._note(f"end {well.name}\n")
        return outcome

    def _note(self, line: str) -> None:
        descriptor = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.write(descriptor, line.encode())
        os.close(descriptor)


def counted(lab: SpoolLab, log: Path, seconds: float) -> SpoolLab:
    """Return the lab with its measurements counted in a file."""
    return replace(lab, instrument=Counting(lab.instrument, log, seconds))


@dataclass(frozen=True)
class Square:
    """Measures `y = x**2`; some values of `x` break it on purpose."""

    readouts: tuple[str, ...] = ("y",)
    digest: str = "square"
    is_broken: bool = False

    def check(self, well: Well) -> None:
        """Refuse nothing."""

    def prepare(self) -> None:
        """Break on purpose if asked to."""
        if self.is_broken:
            raise UnavailableError("An instrument must start; got one that does not.")

    def measure(self, well: Well) -> Outcome:
        """Return the square of `x`, unless it is one of the values that break it."""
        x = float(well.conditions["x"])
        if x == RAISES:
            raise ZeroDivisionError("as asked")
        if x == DIES:
            os.kill(os.getpid(), signal.SIGSEGV)
        if x == HANGS:
            time.sleep(3600)
        if x == IS_ABSENT:
            raise UnavailableError("An instrument must be there; got none.")
        if x == FORGETS:
            return Outcome({})
        if x == COUNTS_THREADS:
            return Outcome({"y": Value(value=float(os.environ["OMP_NUM_THREADS"]))})
        return Outcome({"y": Value(value=x * x)}, duration=0.5)


RAISES, DIES, HANGS, IS_ABSENT, FORGETS = -1.0, -2.0, -3.0, -4.0, -5.0
COUNTS_THREADS = -6.0


@dataclass(frozen=True)
class Meeting:
    """Measures how many wells are in work at once: each waits until `n` are."""

    folder: Path
    n: int
    readouts: tuple[str, ...] = ("y",)
    digest: str = "meeting"

    def check(self, well: Well) -> None:
        """Refuse nothing."""

    def prepare(self) -> None:
        """Nothing to prepare."""

    def measure(self, well: Well) -> Outcome:
        """Come to the meeting and wait for the others."""
        (self.folder / well.name).touch()
        deadline = time.monotonic() + 20.0
        while len(list(self.folder.iterdir())) < self.n and time.monotonic() < deadline:
            time.sleep(0.01)
        n_met = len(list(self.folder.iterdir()))
        return Outcome({"y": Value(value=float(n_met))})
