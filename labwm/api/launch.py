"""`labwm up`: Prefect's server, the deployments and labwm's own server, supervised."""

import os
import signal
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Final

from labwm import settings
from labwm.api.children import MARK, Child, Service, kill_marked, stop_all
from labwm.api.only_one import only_one
from labwm.api.ports import LOOPBACK, refuse_taken
from labwm.api.prefect_server import PrefectServer
from labwm.errors import UnavailableError

START_SECONDS: Final = 180.0
MOST_RESTARTS: Final = 3
Say = Callable[[str], None]


@dataclass(frozen=True)
class Ports:
    """Where the servers listen, on loopback."""

    api: int = 8300
    prefect: int = 4200


def up(ports: Ports, *, say: Say) -> None:
    """Start everything, say where it answers, and keep it up until told to stop.

    Ctrl-C and SIGTERM stop it; no child outlives it.

    Args:
        ports: Where to listen.
        say: Told each address when it answers, and what happens later.

    Raises:
        ConflictError: If this home is up already.
        UnavailableError: If a port is taken, or a service does not stay alive.
    """
    with only_one(
        settings.home() / "up.lock", f"http://{LOOPBACK}:{ports.api}"
    ) as mark:
        for name, port in (("the API", ports.api), ("Prefect", ports.prefect)):
            refuse_taken(port, name)
        supervisor = _Supervisor(PrefectServer(ports.prefect), ports, mark, say)
        with supervisor.listening():
            supervisor.run()


@dataclass
class _Supervisor:
    prefect: PrefectServer
    ports: Ports
    mark: str
    say: Say
    children: list[Child] = field(default_factory=list[Child])
    is_stopping: bool = False
    restarts: dict[str, int] = field(default_factory=dict[str, int])

    def run(self) -> None:
        try:
            self._start(self._server())
            self._start(self._api())
            self._wait_for_all()
            self.prefect.crash_running("labwm was stopped while this ran")
            self._start(self._deployments())
            self._wait_for_all()
            if not self.is_stopping:
                self.say("Ready. Ctrl-C stops everything.")
            while not self.is_stopping:
                time.sleep(0.3)
                self._revive()
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
        for i, child in enumerate(self.children):
            if not child.is_dead:
                continue
            name = child.service.name
            self.restarts[name] = self.restarts.get(name, 0) + 1
            if self.restarts[name] > MOST_RESTARTS:
                raise UnavailableError(_last_words(child))
            self.say(f"{_last_words(child)}\nStarting it again.")
            child.stop()
            self.children[i] = Child.start(child.service)
            self._wait_for_all()

    def _stop(self) -> None:
        self.say("Stopping …")
        runners = [child for child in self.children if child.service.runs_flows]
        stop_all(runners)
        self.prefect.crash_running("labwm was stopped")
        stop_all([child for child in reversed(self.children) if child not in runners])
        kill_marked(self.mark)
        self.say("Stopped; nothing is left running.")

    def _server(self) -> Service:
        return Service(
            name="prefect",
            title="Prefect (runs, schedules, artifacts)",
            command=self.prefect.command,
            environment=self._environment(),
            address=self.prefect.address,
            answers=lambda _: self.prefect.answers(),
        )

    def _deployments(self) -> Service:
        return Service(
            name="deployments",
            title="Deployments",
            command=(sys.executable, "-m", "flows.serve"),
            environment=self._environment(),
            address=f"{self.prefect.address}/deployments",
            answers=self.prefect.are_deployments_polled,
            runs_flows=True,
        )

    def _api(self) -> Service:
        address = f"http://{LOOPBACK}:{self.ports.api}"
        door = [sys.executable, "-m", "labwm.api.cli", "serve", "--port"]
        return Service(
            name="api",
            title="Campaigns, approvals, REST (/v1) and MCP (/mcp)",
            command=(*door, str(self.ports.api)),
            environment=self._environment(),
            address=address,
            answers=lambda _: PrefectServer.is_ok(f"{address}/v1/health"),
        )

    def _environment(self) -> dict[str, str]:
        own = {
            "LABWM_HOME": str(settings.home()),
            "LABWM_PUBLIC_URL": f"http://{LOOPBACK}:{self.ports.api}",
            "PYTHONUNBUFFERED": "1",
            MARK: self.mark,
        }
        return {**self.prefect.environment(), **os.environ, **own, **self.prefect.url()}


def _last_words(child: Child) -> str:
    status = child.process.returncode
    state = "did not answer in time" if status is None else f"ended with {status}"
    return (
        f"Every service stays up while `labwm up` runs; {child.service.name} {state}. "
        f"The end of {child.log}:\n{child.tail()}"
    )
