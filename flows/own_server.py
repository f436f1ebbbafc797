"""A Prefect server for as long as one command runs; Ctrl-C does not reach it."""

import os
import signal
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

from labwm import settings
from labwm.api.children import Child, Service
from labwm.api.ports import listen
from labwm.api.prefect_server import PrefectServer
from labwm.errors import UnavailableError

START_SECONDS: Final = 180.0
SEND_SECONDS: Final = 5.0
TERMINATED: Final = 143


@contextmanager
def own_server() -> Generator[PrefectServer]:
    """Start a server, point this process's Prefect at it, and stop it at the end.

    Prefect's own temporary server is in the group that Ctrl-C interrupts: it dies
    before the flow, whose end then cannot be told to anybody. Call this before
    Prefect is imported.

    Raises:
        UnavailableError: If the server does not answer.
    """
    with listen(0, "Prefect") as free:
        server = PrefectServer(free.getsockname()[1])
    environment = {**server.environment(), **os.environ, **server.url()}
    service = Service(
        name="demo-prefect",
        title="Prefect",
        command=server.command,
        environment=environment,
        address=server.address,
        answers=lambda _: server.answers(),
    )
    settings.home().mkdir(parents=True, exist_ok=True)
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(TERMINATED))
    child = Child.start(service)
    try:
        _wait(child)
        os.environ.update({**server.environment(), **os.environ, **server.url()})
        yield server
        _send_logs()
    except KeyboardInterrupt:
        _send_logs()
        raise
    finally:
        # A second Ctrl-C does not leave the server behind.
        impatient = signal.signal(signal.SIGINT, signal.SIG_IGN)
        child.stop()
        signal.signal(signal.SIGINT, impatient)
        signal.signal(signal.SIGTERM, before)


def _send_logs() -> None:
    # What is still queued when the server is gone is complained about at exit.
    from prefect.logging.handlers import APILogWorker

    APILogWorker.drain_all(timeout=SEND_SECONDS)


def _wait(child: Child) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not child.service.answers(child.started_at):
        if child.is_dead or time.monotonic() > deadline:
            raise UnavailableError(
                f"The demo needs a Prefect server; it did not start. The end of "
                f"{child.log}:\n{child.tail()}"
            )
        time.sleep(0.2)
