"""Real processes, really killed."""

import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from types import FrameType

_CHANGES = {"open", "os.mkdir", "os.rename", "os.link", "os.remove", "os.rmdir"}


def start(target: Callable[..., object], *args: object) -> ForkServerProcess:
    """Run a function of a module in a process that shares nothing with this one."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["labwm.labs", "labwm.testing.faults"])
    # The server of forks keeps the environment that it was started with.
    process = context.Process(target=_run_in, args=(dict(os.environ), target, args))
    process.start()
    return process


def _run_in(
    environment: dict[str, str], target: Callable[..., object], args: tuple[object, ...]
) -> None:
    os.environ.update(environment)
    target(*args)


def run(target: Callable[..., object], *args: object) -> int:
    """Run a function in a process of its own; returns its exit code."""
    process = start(target, *args)
    process.join()
    assert process.exitcode is not None
    return process.exitcode


def kill(process: ForkServerProcess) -> None:
    """End a process with SIGKILL: it cannot clean up."""
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()


def killed_at(
    n: int, folder: Path, target: Callable[..., object], *args: object
) -> bool:
    """Run a function in a process that is killed before its `n`-th step in a folder.

    Steps are what Python reports to audit hooks: opening, making, renaming, linking and
    removing files and folders.

    Returns:
        False if the function ended before it came to that step.
    """
    code = run(_die_at, n, str(folder), target, args)
    assert code in (0, -signal.SIGKILL), f"exit code {code}"
    return code != 0


def _die_at(
    n: int, folder: str, target: Callable[..., object], args: tuple[object, ...]
) -> None:
    n_left = n

    def hook(event: str, details: tuple[object, ...]) -> None:
        nonlocal n_left
        if event in _CHANGES and any(str(part).startswith(folder) for part in details):
            if n_left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            n_left -= 1

    sys.addaudithook(hook)
    target(*args)


def die_at_moment(moment: str, n: int) -> None:
    """Have this process killed when it reaches a moment of a round the `n`-th time.

    Args:
        moment: One of `labwm.campaign.moments.Moment`.
        n: From 1.
    """
    n_left = n

    def hook(event: str, details: tuple[object, ...]) -> None:
        nonlocal n_left
        if event == "labwm.moment" and details[0] == moment:
            n_left -= 1
            if n_left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


def die_at_call(n: int) -> None:
    """Have this process killed at the `n`-th call or return of its main thread.

    Calls of Python and of C count alike: the same `n` of the same work is the same
    moment again, also between a commit and what follows it.
    """
    n_left = n

    def profile(frame: FrameType, event: str, argument: object) -> None:
        nonlocal n_left
        n_left -= 1
        if n_left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.setprofile(profile)


def wait_until(is_so: Callable[[], bool], *, seconds: float = 30.0) -> None:
    """Wait for something that another process does.

    Raises:
        AssertionError: If it did not happen in time.
    """
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, f"did not happen within {seconds} s"
        time.sleep(0.01)
