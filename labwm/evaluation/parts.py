"""A bench in independent parts: run here or in several processes, kept or not."""

import json
import multiprocessing
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from labwm.evaluation.machine import labwm_sha256
from labwm.schema.record import sha256_of

Key = tuple[int, ...]
Content = dict[str, object]
"""What a part found: what JSON can hold."""
Progress = Callable[[str, int, int], None]
"""Called with what is done, how much of it is, and how much there is."""


@dataclass(frozen=True)
class Parts:
    """Work that falls into parts.

    Attributes:
        work: Does one part; a function of a module or `partial` of one, since it is
            sent to each process, once.
        decided_by: All that decides a part besides its key, to name its file.
        jobs: Processes; 1 stays in this one.
        keep: Folder of kept parts: what lies there is not run again.
    """

    work: Callable[[Key], Content]
    decided_by: Mapping[str, object]
    jobs: int = 1
    keep: Path | None = None


def run_parts(
    parts: Parts, wanted: Sequence[Key], progress: Progress | None
) -> dict[Key, Content]:
    """Return what each part found, by its key."""
    files = {key: _file(parts, key) for key in wanted}
    done = {key: kept for key, path in files.items() if (kept := _kept(path))}
    missing = [key for key in wanted if key not in done]
    for key, content in _run(parts, missing):
        done[key] = content
        _keep(files[key], content)
        if progress:
            label = ", ".join(str(one) for one in key)
            progress(label, len(done), len(wanted))
    return {key: done[key] for key in wanted}


def _run(parts: Parts, wanted: Sequence[Key]) -> Iterator[tuple[Key, Content]]:
    if parts.jobs == 1 or not wanted:
        for key in wanted:
            yield key, parts.work(key)
        return
    # Forking a process that has started torch's threads can lock it up.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(
        parts.jobs, context, initializer=_start, initargs=(parts,)
    ) as pool:
        futures = {pool.submit(_part, key): key for key in wanted}
        for future in as_completed(futures):
            yield futures[future], future.result()


_given: dict[str, Parts] = {}
"""The work of this worker process: sent once, not with every part."""


def _start(parts: Parts) -> None:
    from threadpoolctl import threadpool_limits

    # One core each: the processes share the machine already.
    threadpool_limits(1)
    _given["parts"] = parts


def _part(key: Key) -> Content:
    parts = _given["parts"]
    return parts.work(key)


def _file(parts: Parts, key: Key) -> Path | None:
    if parts.keep is None:
        return None
    decided = {**parts.decided_by, "key": list(key), "code": labwm_sha256()}
    label = "-".join(f"{one:04d}" for one in key)
    return parts.keep / f"{label}-{sha256_of(decided)[:24]}.json"


def _kept(path: Path | None) -> Content | None:
    if path is None or not path.is_file():
        return None
    return json.loads(path.read_text(encoding="utf-8"))


def _keep(path: Path | None, content: Content) -> None:
    """Write one part; whoever reads it sees all of it or nothing."""
    if path is None:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    temporary.write_text(json.dumps(content), encoding="utf-8")
    temporary.replace(path)
