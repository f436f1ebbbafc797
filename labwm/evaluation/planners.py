"""Who chooses in a back-test: a policy of labwm, or a planner in a side environment."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from labwm.design.propose import POLICIES, propose, require_policy
from labwm.design.state import Batch, State
from labwm.errors import NotFoundError, suggest
from labwm.evaluation.hidden_failures import choose_blind
from labwm.evaluation.machine import labwm_sha256, peak_mb
from labwm.evaluation.side_planner import PLANNERS, planner_version, side_planner
from labwm.schema import Protocol

BLIND = "failure_blind"
"""The policy `default` without what failed: to compare with, in back-tests only."""


@dataclass(frozen=True)
class Planner:
    """Chooses batches, and says what memory that took.

    Attributes:
        choose: At most so many rows of the state's pool; pure in its arguments.
        prepare: Told of a campaign before its clock runs: what is done once per table.
        peak_mb: Largest resident memory of the process that chooses, in 10**6 bytes.
    """

    choose: Callable[[State, int], Batch]
    prepare: Callable[[State], None]
    peak_mb: Callable[[], float]


def require_planner(name: str, protocol: Protocol, *, side_python: Path | None) -> None:
    """Refuse an unknown planner, or one that cannot run here, before any work.

    Raises:
        NotFoundError: If neither a policy nor a planner has that name.
        InvalidInputError: If a policy does not fit the protocol's objectives.
        UnavailableError: If a planner's environment is absent or lacks it.
    """
    if name in PLANNERS:
        planner_version(name, side_python)
    elif name in POLICIES:
        require_policy(name, protocol)
    elif name == BLIND:
        require_policy("default", protocol)
    else:
        known = [*POLICIES, *PLANNERS, BLIND]
        raise NotFoundError(
            f"A policy or planner is known by its name; got {name!r}. "
            f"{suggest(name, known)}"
        )


def planner_of(name: str, *, side_python: Path | None) -> Planner:
    """Return who chooses under that name; a side process starts with its first use."""
    if name in PLANNERS:
        side = side_planner(name, side_python)
        return Planner(side.choose, side.prepare, lambda: side.peak_mb)
    if name == BLIND:
        return Planner(choose_blind, _nothing, peak_mb)
    return Planner(partial(_propose, name), _nothing, peak_mb)


def version_of(name: str, *, side_python: Path | None) -> str:
    """Return what changes whenever the planner could choose otherwise."""
    if name in PLANNERS:
        return planner_version(name, side_python)
    return labwm_sha256()


def _propose(name: str, state: State, n: int) -> Batch:
    return propose(state, n=n, policy=name)


def _nothing(_state: State) -> None:
    """Policies of labwm know a table only from the state that they are given."""
