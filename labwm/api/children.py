"""Child processes of the launcher: each in its own group, none left behind."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from labwm import settings

GRACE_SECONDS: Final = 10.0
MARK: Final = "_LABWM_UP"
"""Environment variable that every descendant inherits, so that none is forgotten."""


@dataclass(frozen=True)
class Service:
    """A program that is to run, and how to tell that it answers."""

    name: str
    title: str
    command: Sequence[str]
    environment: dict[str, str]
    address: str
    answers: Callable[[datetime], bool]
    """Given when it was started: does it answer now?"""


@dataclass
class Child:
    """A running service."""

    service: Service
    process: subprocess.Popen[bytes]
    log: Path
    started_at: datetime
    is_ready: bool = False

    @classmethod
    def start(cls, service: Service) -> "Child":
        """Start a service as the leader of its own group, its output in a log."""
        log = settings.home() / "logs" / f"{service.name}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        started_at = datetime.now(UTC)
        with log.open("ab") as output:
            output.write(f"--- {started_at.isoformat(timespec='seconds')}\n".encode())
            output.flush()
            process = subprocess.Popen(
                service.command,
                env=service.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C reaches the supervisor only
            )
        return cls(service, process, log, started_at)

    @property
    def is_dead(self) -> bool:
        """Did it end?"""
        return self.process.poll() is not None

    def tail(self, n_lines: int = 12) -> str:
        """Return the end of its log."""
        lines = self.log.read_text("utf-8", "replace").splitlines()
        return "\n".join(f"  {line}" for line in lines[-n_lines:])

    def signal_group(self, number: int) -> bool:
        """Send a signal to all of its group; false when nobody is left in it."""
        try:
            os.killpg(self.process.pid, number)
        except ProcessLookupError:
            return False
        return True

    def stop(self) -> None:
        """Ask it to end, wait, then kill what is left of its group."""
        stop_all([self])


def stop_all(children: Sequence[Child]) -> None:
    """Stop children together: SIGTERM, up to `GRACE_SECONDS`, then SIGKILL."""
    for child in children:
        child.signal_group(signal.SIGTERM)
    deadline = time.monotonic() + GRACE_SECONDS
    while time.monotonic() < deadline and any(map(_is_left, children)):
        time.sleep(0.1)
    for child in children:
        child.signal_group(signal.SIGKILL)
        child.process.wait()


def _is_left(child: Child) -> bool:
    # Reaping the leader first: a zombie still counts as a member of its group.
    child.process.poll()
    return child.signal_group(0)  # 0 asks, and does nothing


def kill_marked(mark: str, *, having: str | None = None) -> int:
    """Kill the processes that inherited a mark, this one excepted, and see them end.

    They left their group, or their supervisor was killed. Only Linux tells them.

    Args:
        mark: What they inherited.
        having: Only those that have this environment variable too.

    Returns:
        How many there were.
    """
    found = [
        pid
        for pid, environment in _marked(mark).items()
        if having is None or having in environment
    ]
    for pid in found:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    deadline = time.monotonic() + GRACE_SECONDS
    while any(map(_holds_ports, found)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return len(found)


def values_of(variable: str, mark: str) -> set[str] | None:
    """Return what the living processes with a mark hold in an environment variable.

    Returns:
        None where the system does not tell processes' environments.
    """
    if not Path("/proc/self/environ").exists():
        return None
    return {
        environment[variable]
        for pid, environment in _marked(mark).items()
        if variable in environment and _holds_ports(pid)
    }


def _marked(mark: str) -> dict[int, dict[str, str]]:
    every = {pid: _environment(pid) for pid in _processes()}
    return {pid: found for pid, found in every.items() if found.get(MARK) == mark}


def _processes() -> set[int]:
    found = {int(path.name) for path in Path("/proc").glob("[0-9]*")}
    return found - {os.getpid()}


def _holds_ports(pid: int) -> bool:
    # A dying process loses its memory first and its sockets later; a zombie has none.
    try:
        stat = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in {"Z", "X"}


def _environment(pid: int) -> dict[str, str]:
    try:
        entries = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:  # it ended meanwhile, or is somebody else's
        return {}
    pairs = (entry.decode("utf-8", "replace").partition("=") for entry in entries)
    return {name: value for name, _, value in pairs if name}
