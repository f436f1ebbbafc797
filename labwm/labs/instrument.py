"""What a computed lab measures with: one well in, values or a reasoned failure out."""

import time
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, replace
from typing import Protocol

from labwm.errors import UnavailableError
from labwm.schema import Status, Value, Well


@dataclass(frozen=True)
class Outcome:
    """What one well gave."""

    readouts: dict[str, Value]
    duration: float | None = None
    """Seconds of work; the time that passed, where the instrument does not know."""


class Instrument(Protocol):
    """Measures wells; equal conditions and replicate give an equal outcome.

    It may be sent to another process: it is picklable, and fit to be rebuilt from the
    same inputs after a crash.
    """

    @property
    def readouts(self) -> tuple[str, ...]:
        """Names of what it measures."""
        ...

    @property
    def digest(self) -> str:
        """Changes whenever an outcome could; a job stays with its instrument."""
        ...

    def check(self, well: Well) -> None:
        """Refuse a well that it can never measure.

        Raises:
            LabError: If its conditions are not those of this instrument.
        """
        ...

    def prepare(self) -> None:
        """Get ready, in the process that measures; no well fails by what fails here.

        Raises:
            LabwmError: If it cannot measure anything now.
        """
        ...

    def measure(self, well: Well) -> Outcome:
        """Measure one well; what an experiment can suffer is a failed value.

        Raises:
            UnavailableError: If the instrument itself is not there.
        """
        ...


Outcomes = Generator[tuple[Well, Outcome], None, None]
Runner = Callable[[Instrument, Iterable[Well]], Outcomes]
"""Measures wells in any order; takes the next well only when it can start on it."""


def run_in_process(instrument: Instrument, wells: Iterable[Well]) -> Outcomes:
    """Measure one well after another, here: for instruments that take no time.

    Raises:
        LabwmError: If the instrument cannot get ready.
    """
    is_ready = False
    for well in wells:
        if not is_ready:
            instrument.prepare()
            is_ready = True
        yield well, measured(instrument, well)


def measured(instrument: Instrument, well: Well) -> Outcome:
    """Measure a well; what the instrument did not foresee becomes a failed outcome.

    Raises:
        UnavailableError: If the instrument itself is not there.
    """
    started = time.perf_counter()
    try:
        outcome = instrument.measure(well)
    except (UnavailableError, ImportError, MemoryError):
        raise  # says nothing about the well: it must not cost an experiment
    except Exception as error:  # noqa: BLE001 - one well never stops a job
        outcome = failed(instrument, f"{type(error).__name__}: {error}")
    if set(outcome.readouts) != set(instrument.readouts):
        outcome = failed(
            instrument,
            f"The instrument measures {list(instrument.readouts)}; "
            f"got {list(outcome.readouts)}.",
        )
    if outcome.duration is None:
        return replace(outcome, duration=time.perf_counter() - started)
    return outcome


def failed(
    instrument: Instrument, reason: str, *, duration: float | None = None
) -> Outcome:
    """Return an outcome whose every readout failed for one reason."""
    value = Value(status=Status.FAILED, reason=reason)
    return Outcome(dict.fromkeys(instrument.readouts, value), duration)
