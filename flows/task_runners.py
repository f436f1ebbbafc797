"""Task runners by name: what runs the parts of one flow at the same time."""

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any

from prefect import Task
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

from labwm.errors import InvalidInputError, UnavailableError
from labwm.schema.flow_forms import RunnerName


def task_runner(
    name: RunnerName, *, workers: int, address: str | None = None
) -> TaskRunner[Any]:
    """Return a task runner.

    Args:
        name: `threads` share this process; `dask` and `ray` are clusters.
        workers: Threads, or processes of a local cluster.
        address: Of a cluster that runs already.

    Raises:
        InvalidInputError: If threads are to have an address.
        UnavailableError: If the package of a cluster is not installed.
    """
    if name == "threads":
        if address is not None:
            raise InvalidInputError(
                "Threads belong to one process and have no address; got "
                f"{address!r}. Choose dask or ray, or leave the address out."
            )
        return ThreadPoolTaskRunner(max_workers=workers)
    return _dask(workers, address) if name == "dask" else _ray(workers, address)


def run_all(
    work: Task[..., Any],
    runner: TaskRunner[Any],
    parts: Iterable[dict[str, Any]],
    *,
    at_once: int,
) -> Iterator[Any]:
    """Submit a task once per part, and yield the results in the order of the parts.

    Args:
        work: The task.
        runner: What runs it.
        parts: Arguments of each call; taken when their turn comes.
        at_once: Parts that are submitted and not yet yielded, so that memory does not
            grow with their number.
    """
    waiting: deque[Any] = deque()
    with runner as started:
        for part in parts:
            waiting.append(started.submit(work, parameters=part))
            if len(waiting) >= at_once:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _dask(workers: int, address: str | None) -> TaskRunner[Any]:
    try:
        from prefect_dask.task_runners import DaskTaskRunner
    except ImportError as error:
        raise _absent("dask", error) from error
    if address is not None:
        return DaskTaskRunner(address=address)
    # One thread each: torch brings its own, and Python's lock would serialise ours.
    local: dict[str, Any] = {"n_workers": workers, "threads_per_worker": 1}
    return DaskTaskRunner(cluster_kwargs=local | {"dashboard_address": None})


def _ray(workers: int, address: str | None) -> TaskRunner[Any]:
    try:
        from prefect_ray import (  # pyright: ignore[reportMissingImports] an extra
            RayTaskRunner,
        )
    except ImportError as error:
        raise _absent("ray", error) from error
    if address is not None:
        return RayTaskRunner(address=address)
    return RayTaskRunner(init_kwargs={"num_cpus": workers})


def _absent(name: str, error: ImportError) -> UnavailableError:
    return UnavailableError(
        f"The task runner {name!r} needs the package prefect-{name}; {error}. "
        f"Install it with `pip install labwm[{name}]`, or choose threads."
    )
