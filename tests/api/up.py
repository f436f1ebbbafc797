"""A real `labwm up`, and what its servers say over HTTP."""

import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import httpx

from labwm import campaign
from labwm.api.children import MARK
from labwm.api.ports import LOOPBACK
from tests.api.site import Site, free_port, until


@dataclass
class Launched:
    """A running `labwm up` and what it has said so far."""

    site: Site
    process: subprocess.Popen[str]
    ports: tuple[int, int]
    said: list[str] = field(default_factory=list)

    def listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said.append(line)

    @property
    def text(self) -> str:
        return "".join(self.said)

    @property
    def api(self) -> str:
        return f"http://{LOOPBACK}:{self.ports[0]}"

    @property
    def prefect(self) -> str:
        return f"http://{LOOPBACK}:{self.ports[1]}"

    @property
    def is_running(self) -> bool:
        return self.process.poll() is None

    def wait_until_ready(self) -> None:
        until(
            lambda: "Ready" in self.text or not self.is_running,
            seconds=240,
            what="labwm up",
        )
        assert "Ready" in self.text, self.text

    def descendants(self) -> set[int]:
        """Return every living process that carries the mark of this launcher."""
        found = set()
        for path in Path("/proc").glob("[0-9]*"):
            try:
                environment = (path / "environ").read_bytes()
                state = (path / "stat").read_text().rpartition(")")[2].split()[0]
            except OSError:
                continue
            own = f"LABWM_PUBLIC_URL={self.api}\0".encode()
            if MARK.encode() in environment and own in environment and state != "Z":
                found.add(int(path.name))
        return found

    def runs_of(self, *words: str) -> list[int]:
        """Return the descendants whose command line holds all these words."""
        found = []
        for pid in self.descendants():
            try:
                command = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
            except OSError:
                continue
            if set(words) <= set(command):
                found.append(pid)
        return found

    def flow_processes(self) -> list[int]:
        """Return the processes that execute flow runs."""
        return self.runs_of("-m", "prefect.engine")

    def kill(self, victim: str) -> None:
        """Kill -9 the flow's process, the runner, or Prefect's server."""
        commands = {
            "flow": ("-m", "prefect.engine"),
            "runner": ("-m", "flows.serve"),
            "server": ("-m", "prefect", "server", "start"),
        }
        found = self.runs_of(*commands[victim])
        assert found, victim
        for pid in found:
            # The server is a group: what it starts is part of it.
            (os.killpg if victim == "server" else os.kill)(pid, signal.SIGKILL)

    @contextmanager
    def while_the_supervisor_sleeps(self) -> Iterator[None]:
        """Do several things before the supervisor can see the first of them."""
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)

    def wipe_prefect(self) -> None:
        shutil.rmtree(self.site.folder / "home" / "prefect")

    def ring(self) -> None:
        """Ring the doorbell, as whoever takes in results does."""
        with patch.dict(os.environ, self.site.environment):
            campaign.ring()

    # Prefect's REST

    def ask(self, path: str, body: dict[str, Any] | None = None) -> Any:
        """Post to Prefect; where SQLite is busy for too long it says 503: ask again."""
        address = f"{self.prefect}/api{path}"
        for _ in range(5):
            answer = httpx.post(address, json=body or {}, timeout=60)
            if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                break
            time.sleep(1)
        assert answer.is_success, answer.text
        return answer.json()

    def deployment(self, name: str) -> dict[str, Any]:
        found = self.ask(
            "/deployments/filter", {"deployments": {"name": {"any_": [name]}}}
        )
        return found[0]

    def start(self, deployment: str, **parameters: Any) -> str:
        """Start a run as the form in the UI does, and return its identifier."""
        place = f"/deployments/{self.deployment(deployment)['id']}/create_flow_run"
        return self.ask(place, {"parameters": parameters})["id"]

    def state(self, run: str) -> dict[str, Any]:
        answer = httpx.get(f"{self.prefect}/api/flow_runs/{run}", timeout=30)
        return answer.json()["state"]

    def ended(self, run: str, *, seconds: float = 120) -> dict[str, Any]:
        """Wait until a run has ended, and return its last state."""
        final = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}
        until(lambda: self.state(run)["type"] in final, seconds=seconds, what=run)
        return self.state(run)

    def artifacts(self, key: str) -> list[dict[str, Any]]:
        return self.ask("/artifacts/filter", {"artifacts": {"key": {"any_": [key]}}})

    def runs(self, deployment: str, *states: str) -> list[dict[str, Any]]:
        body = {
            "deployments": {"name": {"any_": [deployment]}},
            "flow_runs": {"state": {"type": {"any_": list(states)}}},
        }
        return self.ask("/flow_runs/filter", body)

    def runs_named(self, name: str) -> list[dict[str, Any]]:
        return self.ask("/flow_runs/filter", {"flow_runs": {"name": {"any_": [name]}}})


@contextmanager
def launched_in(site: Site, *prefix: str, **settings: str) -> Iterator[Launched]:
    """Start `labwm up` in a folder, and stop it if nobody else did.

    Args:
        site: The folder with its home.
        prefix: Command that runs it, for example in another network.
        settings: Further environment variables.
    """
    ports = free_port(), free_port()
    process = subprocess.Popen(
        [*prefix, *site.command("up", "--port", ports[0], "--prefect-port", ports[1])],
        cwd=site.folder,
        # Runs start a second sooner than by default; what is tested is the same.
        env=site.environment | {"PREFECT_RUNNER_POLL_FREQUENCY": "1"} | settings,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    here = Launched(site, process, ports)
    listener = threading.Thread(target=here.listen)
    listener.start()
    try:
        yield here
    finally:
        process.terminate()
        process.wait(60)
        listener.join()
        assert process.stdout is not None
        process.stdout.close()
