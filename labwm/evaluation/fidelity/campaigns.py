"""Play the panel in both labs: blocks of seeds, in processes, kept or not.

Shapes: `e` seeds.
"""

import json
import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from labwm.evaluation.fidelity.arena import Arena, LogPlan, WorldPlan, build_arena
from labwm.evaluation.lookup import Lookup
from labwm.evaluation.machine import labwm_sha256
from labwm.evaluation.runs import Progress
from labwm.schema.record import sha256_of

Floats = NDArray[np.float64]

SIDES: Final = ("virtual", "real")
BLOCK: Final = 20
"""Campaigns of a policy that are played and kept together."""


@dataclass(frozen=True)
class Match:
    """What is played on one table with one log.

    Attributes:
        lookup: The table.
        log: Which log the model learns from.
        world: Which model.
        policies: Of the panel.
        seeds: Campaigns of each policy in each lab.
        budget: Experiments of a campaign.
        n_initial: The first of them, drawn at random.
        jobs: Processes; 1 stays in this one.
        keep: Folder of kept campaigns: what lies there is not played again.
    """

    lookup: Lookup
    log: LogPlan
    world: WorldPlan
    policies: tuple[str, ...]
    seeds: int
    budget: int
    n_initial: int
    jobs: int = 1
    keep: Path | None = None

    def build(self) -> Arena:
        """Fit the model and prepare both labs."""
        return build_arena(
            self.lookup,
            self.log,
            self.world,
            budget=self.budget,
            n_initial=self.n_initial,
        )


@dataclass(frozen=True)
class _Part:
    """Some policies' campaigns of one block of seeds in one lab."""

    side: str
    seeds: tuple[int, ...]
    policies: tuple[str, ...]


Curves = dict[str, dict[str, Floats]]
"""Side to policy to the best utility so far, `e x budget`."""


def play_match(match: Match, progress: Progress | None) -> Curves:
    """Play every policy with every seed in both labs.

    Raises:
        NotEnoughDataError: If the log holds too few numbers.
        InvalidInputError: If the behaviour cannot choose so many rows.
    """
    files = _Files(match)
    blocks = [
        tuple(range(i, min(i + BLOCK, match.seeds)))
        for i in range(0, match.seeds, BLOCK)
    ]
    done: dict[tuple[str, str, int], Floats] = {}
    missing: list[_Part] = []
    for side in SIDES:
        for block in blocks:
            kept = {p: files.kept(side, p, block) for p in match.policies}
            done |= {(side, p, block[0]): c for p, c in kept.items() if c is not None}
            absent = tuple(p for p, curves in kept.items() if curves is None)
            if absent:
                missing.append(_Part(side, block, absent))
    n_all = len(SIDES) * len(match.policies) * match.seeds
    for part, curves in _played(match, missing):
        for policy, found in curves.items():
            done[part.side, policy, part.seeds[0]] = found
            files.keep(part.side, policy, part.seeds, found)
        if progress:
            n_done = sum(len(c) for c in done.values())
            progress(f"{part.side}, seeds from {part.seeds[0]}", n_done, n_all)
    return {
        side: {
            policy: np.concatenate([done[side, policy, b[0]] for b in blocks])
            for policy in match.policies
        }
        for side in SIDES
    }


class _Files:
    """Kept blocks: a name follows from all that decides what is in the file."""

    def __init__(self, match: Match) -> None:
        self._folder = match.keep
        self._decided_by = {
            "data": match.lookup.sha256,
            "protocol": match.lookup.protocol.digest(),
            "log": asdict(match.log),
            "world": asdict(match.world),
            "budget": match.budget,
            "n_initial": match.n_initial,
            "labwm": labwm_sha256() if match.keep is not None else "",
        }

    def kept(self, side: str, policy: str, seeds: Sequence[int]) -> Floats | None:
        """Return a kept block, if there is one."""
        if self._folder is None:
            return None
        path = self._path(self._folder, side, policy, seeds)
        if not path.is_file():
            return None
        return np.array(json.loads(path.read_text(encoding="utf-8")), dtype=float)

    def keep(
        self, side: str, policy: str, seeds: Sequence[int], curves: Floats
    ) -> None:
        """Write a block; whoever reads it sees all of it or nothing."""
        if self._folder is None:
            return
        path = self._path(self._folder, side, policy, seeds)
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(f".{os.getpid()}.tmp")
        temporary.write_text(json.dumps(curves.tolist()), encoding="utf-8")
        temporary.replace(path)

    def _path(self, folder: Path, side: str, policy: str, seeds: Sequence[int]) -> Path:
        own = {"side": side, "policy": policy, "seeds": list(seeds)}
        digest = sha256_of(self._decided_by | own)[:24]
        return folder / f"fidelity-{side}-{policy}-{seeds[0]:04d}-{digest}.json"


def _played(
    match: Match, parts: Sequence[_Part]
) -> Iterator[tuple[_Part, dict[str, Floats]]]:
    if not parts:
        return
    arena = match.build()
    if match.jobs == 1:
        for part in parts:
            yield part, arena.progress(part.side, part.policies, part.seeds)
        return
    # Forking a process that has started torch's threads can lock it up.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(
        match.jobs, context, initializer=_start, initargs=(arena,)
    ) as pool:
        futures = {pool.submit(_one, part): part for part in parts}
        for future in as_completed(futures):
            yield futures[future], future.result()


_given: dict[str, Arena] = {}
"""The labs of this worker process: sent once, not with every block."""


def _start(arena: Arena) -> None:
    from threadpoolctl import threadpool_limits

    # One core each: the processes share the machine already.
    threadpool_limits(1)
    _given["arena"] = arena


def _one(part: _Part) -> dict[str, Floats]:
    return _given["arena"].progress(part.side, part.policies, part.seeds)


RETURNS: Final[dict[str, Callable[[Floats], Floats]]] = {
    "area": lambda curves: curves.mean(axis=-1),
    "best": lambda curves: curves[..., -1],
}
"""Best so far averaged over the experiments; the best after all of them."""
