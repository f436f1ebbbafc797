"""Keep services up: start, revive, reap what died, answer the doorbell, stop."""

import signal
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from types import FrameType
from typing import Final

from labwm.api.children import Child, Service, kill_marked, stop_all, values_of
from labwm.api.flow_runs import RUN_ID, FlowRuns
from labwm.campaign.doorbell import rung_at
from labwm.errors import UnavailableError

START_SECONDS: Final = 180.0
MOST_RESTARTS: Final = 5
RESTART_WINDOW_S: Final = 600.0
"""A service that ends more than `MOST_RESTARTS` times in this time ends everything."""
LOOK_S: Final = 5.0
"""Seconds between two looks for runs whose process is gone."""
BELL_S: Final = 1.0
"""Seconds between two looks at the doorbell."""
Say = Callable[[str], None]


@dataclass
class Supervisor:
    """The services of one `labwm up`, while it runs."""

    servers: Sequence[Service]
    """Started first, in this order; Prefect's among them."""
    runner: Service
    """What executes flow runs; started when the servers answer."""
    runs: FlowRuns
    mark: str
    say: Say
    children: list[Child] = field(default_factory=list[Child])
    is_stopping: bool = False
    ended_at: dict[str, list[float]] = field(default_factory=dict[str, list[float]])
    answered: int = 0
    """The ring of the doorbell that was answered last."""
    due: dict[str, float] = field(default_factory=dict[str, float])

    def run(self) -> None:
        """Start everything, keep it up until told to stop, and stop it."""
        started = time.monotonic()
        try:
            for service in self.servers:
                self._start(service)
            self._wait_for_all()
            self._crash_runs("labwm was stopped while this ran")
            self._start(self.runner)
            self._wait_for_all()
            if not self.is_stopping:
                seconds = time.monotonic() - started
                self.say(f"Ready after {seconds:.0f} s. Ctrl-C stops everything.")
            while not self.is_stopping:
                time.sleep(0.3)
                self._revive()
                self._look_after()
        finally:
            self._stop()

    @contextmanager
    def listening(self) -> Generator[None]:
        """Turn SIGINT and SIGTERM into the wish to stop."""

        def ask_to_stop(number: int, frame: FrameType | None) -> None:
            self.is_stopping = True

        before = {
            number: signal.signal(number, ask_to_stop)
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        }
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _start(self, service: Service) -> None:
        if not self.is_stopping:
            self.children.append(Child.start(service))

    def _wait_for_all(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        for child in self.children:
            while not (child.is_ready or self.is_stopping):
                if child.is_dead or time.monotonic() > deadline:
                    raise UnavailableError(_last_words(child))
                if child.service.answers(child.started_at):
                    child.is_ready = True
                    self.say(f"{child.service.title}: {child.service.address}")
                time.sleep(0.2)

    def _revive(self) -> None:
        # In the order of starting: the runner finds the servers up again.
        for i, child in enumerate(self.children):
            if not child.is_dead or self.is_stopping:
                continue
            now, name = time.monotonic(), child.service.name
            recent = [
                at for at in self.ended_at.get(name, []) if now - at < RESTART_WINDOW_S
            ]
            self.ended_at[name] = [*recent, now]
            if len(recent) >= MOST_RESTARTS:
                raise UnavailableError(_last_words(child))
            self.say(f"{_last_words(child)}\nStarting it again.")
            self._restart(i)

    def _restart(self, i: int) -> None:
        child = self.children[i]
        child.stop()
        if child.service is self.runner:
            self._crash_runs("the process that runs flows ended")
        self.children[i] = Child.start(child.service)
        self._wait_for_all()

    def _crash_runs(self, why: str) -> None:
        """End what still executes runs, and let no run say that it is running.

        Where the server does not answer, the next look or the next start does it.
        """
        kill_marked(self.mark, having=RUN_ID)
        with suppress(UnavailableError):
            self.runs.crash_all(why)

    def _look_after(self) -> None:
        with suppress(UnavailableError):
            if self._is_due("runs", LOOK_S):
                self._look_at_runs()
            if self._is_due("bell", BELL_S):
                self._answer_the_bell()

    def _look_at_runs(self) -> None:
        if not self.runs.are_deployed():
            self.say("Prefect's database is new; its deployments are made again.")
            (i,) = (i for i, c in enumerate(self.children) if c.service is self.runner)
            self._restart(i)
        living = values_of(RUN_ID, self.mark)
        if living is not None and (n_lost := self.runs.reap(living)):
            self.say(f"{n_lost} runs had lost their process; they say Crashed now.")

    def _answer_the_bell(self) -> None:
        # A run that is under way may have passed by what rang: then one more follows.
        if (rung := rung_at()) > self.answered and self.runs.start_if_idle("advance"):
            self.answered = rung

    def _is_due(self, what: str, seconds: float) -> bool:
        now = time.monotonic()
        if now < self.due.get(what, 0.0):
            return False
        self.due[what] = now + seconds
        return True

    def _stop(self) -> None:
        self.say("Stopping …")
        runners = [c for c in self.children if c.service is self.runner]
        stop_all(runners)
        self._crash_runs("labwm was stopped")
        stop_all([child for child in reversed(self.children) if child not in runners])
        kill_marked(self.mark)
        self.say("Stopped; nothing is left running.")


def _last_words(child: Child) -> str:
    status = child.process.returncode
    state = "did not answer in time" if status is None else f"ended with {status}"
    return (
        f"Every service stays up while `labwm up` runs; {child.service.name} {state}. "
        f"The end of {child.log}:\n{child.tail()}"
    )
