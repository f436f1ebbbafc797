"""`labwm up`: real servers, really stopped, nothing left behind."""

import os
import re
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from labwm.api.children import MARK
from tests.api.site import Site, until

pytestmark = [pytest.mark.timeout(300)]


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


@dataclass
class Launched:
    """A running `labwm up` and what it has said so far."""

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

    def descendants(self) -> set[int]:
        """Return every living process that carries the mark of this launcher."""
        found = set()
        for path in Path("/proc").glob("[0-9]*"):
            try:
                environment = (path / "environ").read_bytes()
                state = (path / "stat").read_text().rpartition(")")[2].split()[0]
            except OSError:
                continue
            own = f"LABWM_PUBLIC_URL=http://127.0.0.1:{self.ports[0]}\0".encode()
            if MARK.encode() in environment and own in environment and state != "Z":
                found.add(int(path.name))
        return found


@pytest.fixture
def launched(desk: Site) -> Iterator[Launched]:
    ports = free_port(), free_port()
    process = subprocess.Popen(
        desk.command("up", "--port", ports[0], "--prefect-port", ports[1]),
        cwd=desk.folder,
        env=desk.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    here = Launched(process, ports)
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


@pytest.mark.prefect
@pytest.mark.xdist_group("prefect")
def test_up_starts_revives_and_stops_everything(launched: Launched, desk: Site):
    until(
        lambda: "Ready" in launched.text or launched.process.poll() is not None,
        seconds=240,
        what="labwm up",
    )
    assert "Ready" in launched.text, launched.text
    api, prefect = (f"http://127.0.0.1:{port}" for port in launched.ports)
    for address in (api, prefect):
        assert re.search(rf"{address}\s", launched.text)
    assert httpx.get(f"{api}/v1/health").json()["status"] == "ok"
    assert httpx.get(f"{prefect}/api/health").json() is True
    served = httpx.post(f"{prefect}/api/deployments/filter", json={}, timeout=20).json()
    assert {"campaign", "advance"} <= {one["name"] for one in served}
    assert (desk.folder / "home" / "prefect").is_dir()

    second = desk.run("up", "--port", free_port(), "--prefect-port", free_port())
    assert second.returncode == 4
    assert str(launched.process.pid) in second.stderr
    assert api in second.stderr

    before = launched.descendants()
    server = next(pid for pid in before if is_server(pid))
    os.kill(server, signal.SIGKILL)
    until(
        lambda: launched.text.count(f"(/mcp): {api}\n") == 2,
        seconds=60,
        what=launched.text,
    )
    assert "api ended with -9" in launched.text
    assert httpx.get(f"{api}/v1/health").json()["status"] == "ok"

    launched.process.send_signal(signal.SIGTERM)
    assert launched.process.wait(60) == 0
    assert launched.descendants() == set()
    for port in launched.ports:
        with socket.socket() as again:
            again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            again.bind(("127.0.0.1", port))


def is_server(pid: int) -> bool:
    words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    return b"labwm.api.cli" in words and b"serve" in words


def test_up_says_which_port_is_taken(desk: Site):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = desk.run("up", "--port", free_port(), "--prefect-port", port)
    assert done.returncode == 8
    assert f"127.0.0.1:{port} for Prefect" in done.stderr
    assert "Ready" not in done.stdout
