"""Real lab servers in processes of their own, and a proxy that does them harm."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import uvicorn
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from labwm.api.ports import listen
from labwm.campaign.webhooks import check_signature, secrets_in
from labwm.schema import Notice

KEY = "a-key-for-tests"
HOOK_SECRET = "whsec_" + "dGVz" * 12


@dataclass
class LabServer:
    """`labwm lab serve` as a process that can be killed and started again.

    Attributes:
        words: Arguments of the command, without the port.
        port: 0 takes a free one at the first start and keeps it.
    """

    words: Sequence[object]
    port: int = 0
    process: subprocess.Popen[str] | None = field(default=None, init=False)

    @property
    def url(self) -> str:
        """Address of the server."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> "LabServer":
        """Start it and wait until it answers."""
        words = [sys.executable, "-m", "labwm.api.cli", "lab", "serve"]
        words += [*map(str, self.words), "--port", str(self.port)]
        self.process = subprocess.Popen(
            words,
            env=os.environ | {"LABWM_LAB_KEY": KEY, "OMP_NUM_THREADS": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        found = re.search(r"http://127\.0\.0\.1:(\d+)", line)
        assert found, line + self.process.stdout.read()
        self.port = int(found[1])
        return self

    def end(self, how: signal.Signals = signal.SIGKILL) -> None:
        """End it with a signal; with SIGKILL it cannot clean up."""
        if self.process is not None:
            self.process.send_signal(how)
            self.process.communicate(timeout=20)
            self.process = None


@contextmanager
def serving(app: ASGIApp) -> Iterator[str]:
    """Serve an application from a thread of this process; yields its address."""
    bound = listen(0, "a test")
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]})
    thread.start()
    try:
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        bound.close()


def serve_table(protocol: Path, data: Path, folder: Path, *more: str) -> LabServer:
    """Start a reference server that plays a table."""
    words = (protocol, "--data", data, "--folder", folder, *more)
    return LabServer(words).start()


@dataclass
class Ear:
    """Hears signed notices, as labwm does; an application to be served.

    Attributes:
        heard: Jobs that notices named, in their order.
    """

    heard: list[str] = field(default_factory=list[str])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take a notice, or refuse what is not signed."""
        if scope["type"] != "http":
            raise RuntimeError("An ear hears requests only.")  # uvicorn goes on
        request = Request(scope, receive)
        body = await request.body()
        secrets = secrets_in(HOOK_SECRET)
        check_signature(body, request.headers, secrets=secrets, now=time.time())
        self.heard.append(Notice.model_validate_json(body).submission_key)
        await Response(status_code=202)(scope, receive, send)
