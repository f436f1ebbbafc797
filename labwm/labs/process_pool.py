"""Measure wells in processes that can be killed, each within a time limit."""

import os
import pickle
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, Pipe, wait
from typing import IO

from labwm.errors import UnavailableError
from labwm.labs.instrument import Instrument, Outcome, Outcomes, failed
from labwm.schema import Well

_ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"
)
_SHOWN = 300


@dataclass(frozen=True)
class ProcessPool:
    """Measures up to `n_workers` wells at a time, each in a process of its own.

    A well over the limit, and one whose process dies twice, is a failed well. The
    processes end when this generator is closed, or with the process that called it.

    Attributes:
        n_workers: Processes; each computes on one thread.
        seconds_per_well: Limit of one well, start of the instrument excluded.
        seconds_to_start: Limit of the start.
    """

    n_workers: int
    seconds_per_well: float
    seconds_to_start: float = 120.0

    def __call__(self, instrument: Instrument, wells: Iterable[Well]) -> Outcomes:
        """Measure the wells; yields them as they finish.

        Raises:
            UnavailableError: If the instrument cannot start.
        """
        team = _Team(self, instrument, iter(wells))
        try:
            while team.fill():
                yield from team.finished()
        finally:
            team.end()


@dataclass
class _Worker:
    process: subprocess.Popen[bytes]
    connection: Connection
    log: IO[bytes]
    is_ready: bool = False
    well: Well | None = None
    began: float = 0.0

    def begin(self, well: Well) -> None:
        self.well, self.began = well, time.monotonic()
        # A process that died while idle is found dead by the next `wait`.
        with suppress(BrokenPipeError, ConnectionResetError):
            self.connection.send(well)

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.began

    def end(self) -> str:
        """Kill the process; returns how it ended and the last that it said."""
        died = self.process.poll()
        self.process.kill()
        self.process.wait()
        self.connection.close()
        self.log.seek(0)
        said = self.log.read().decode(errors="replace").strip()[-_SHOWN:]
        self.log.close()
        return f"exit status {died}" + (f", {said}" if said else "")


@dataclass
class _Team:
    pool: ProcessPool
    instrument: Instrument
    wells: Iterator[Well]
    idle: list[_Worker] = field(default_factory=list)
    busy: list[_Worker] = field(default_factory=list)
    again: list[Well] = field(default_factory=list)
    """Wells whose process died once: an outage says nothing about the well."""
    died: set[str] = field(default_factory=set)

    def fill(self) -> bool:
        """Give every free worker a well; False when nothing is left to wait for."""
        while len(self.busy) < self.pool.n_workers:
            well = self.again.pop() if self.again else next(self.wells, None)
            if well is None:
                break
            worker = self.idle.pop() if self.idle else _start(self.instrument)
            # In the team before it begins: whatever happens then, it is ended.
            self.busy.append(worker)
            worker.begin(well)
        return bool(self.busy)

    def finished(self) -> Iterator[tuple[Well, Outcome]]:
        """Wait for the next that finish, die or run out of time."""
        left = min(self._limit(worker) - worker.seconds for worker in self.busy)
        ready = wait([worker.connection for worker in self.busy], max(left, 0.0))
        for worker in list(self.busy):
            if worker.connection in ready:
                yield from self._answer(worker)
            elif worker.seconds >= self._limit(worker):
                yield from self._overdue(worker)

    def _answer(self, worker: _Worker) -> Iterator[tuple[Well, Outcome]]:
        well = _in_work(worker)
        try:
            answer: Outcome | Exception | None = worker.connection.recv()
        except (EOFError, ConnectionResetError):
            yield from self._dead(worker, well)
            return
        if answer is None:
            worker.is_ready, worker.began = True, time.monotonic()
            return
        if isinstance(answer, Exception):
            raise _unavailable(str(answer)) from answer
        self.busy.remove(worker)
        self.idle.append(worker)
        yield well, answer

    def _dead(self, worker: _Worker, well: Well) -> Iterator[tuple[Well, Outcome]]:
        self.busy.remove(worker)
        seconds = worker.seconds
        worker.process.wait()
        how = worker.end()
        if not worker.is_ready:
            raise _unavailable(how)
        if well.name not in self.died:
            self.died.add(well.name)
            self.again.append(well)
            return
        reason = f"The instrument's process died twice on this well: {how}."
        yield well, failed(self.instrument, reason, duration=seconds)

    def _overdue(self, worker: _Worker) -> Iterator[tuple[Well, Outcome]]:
        self.busy.remove(worker)
        seconds = worker.seconds
        how = worker.end()
        if not worker.is_ready:
            raise _unavailable(f"no start within {seconds:.0f} s, {how}")
        limit = self.pool.seconds_per_well
        reason = f"A well takes at most {limit:g} s; it was stopped."
        yield _in_work(worker), failed(self.instrument, reason, duration=seconds)

    def _limit(self, worker: _Worker) -> float:
        if worker.is_ready:
            return self.pool.seconds_per_well
        return self.pool.seconds_to_start

    def end(self) -> None:
        for worker in self.idle + self.busy:
            worker.end()


def _in_work(worker: _Worker) -> Well:
    assert worker.well is not None  # only busy workers are asked
    return worker.well


def _start(instrument: Instrument) -> _Worker:
    """Start a process; it answers None when the instrument is ready.

    A program of its own and not a fork: forks inherit threads in an unknown state, and
    `multiprocessing` would run the caller's main module again.
    """
    here, there = Pipe()
    log = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `_Worker.end`
    program = [sys.executable, "-P", "-m", "labwm.labs.instrument_process"]
    process = subprocess.Popen(
        [*program, str(there.fileno())],
        pass_fds=[there.fileno()],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=log,
        env={**os.environ, **_ONE_THREAD, "PYTHONPATH": _path()},
        # Ctrl-C in a terminal ends the caller, which ends this; no well fails by it.
        start_new_session=True,
    )
    there.close()
    worker = _Worker(process, here, log)
    try:
        with suppress(BrokenPipeError, ConnectionResetError):
            here.send_bytes(pickle.dumps(instrument))
    except BaseException:
        worker.end()
        raise
    return worker


def _path() -> str:
    return os.pathsep.join(entry for entry in sys.path if entry)


def _unavailable(how: str) -> UnavailableError:
    return UnavailableError(
        f"A lab needs its instrument; got: {how}. Install what is missing and go on: "
        "no well was lost."
    )
