"""Which rows of a pool may be chosen, and which of them may share a batch.

Shapes: `N` rows of the pool, `c` candidates that are left.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from labwm.design.state import State
from labwm.errors import ExhaustedError
from labwm.schema import Change, MixtureParameter, Protocol
from labwm.space.questions import Questions

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Candidates:
    """What is left of a pool.

    Attributes:
        rows: Rows of the pool that are neither measured nor pending, length `c`.
        groups: Parts of `rows` that may share one batch: where the protocol declares
            hard-to-change parameters, all rows of a part have the same values of them;
            otherwise the only part is `rows` itself.
    """

    rows: Rows
    groups: tuple[Rows, ...]

    def fitting(self, n: int) -> tuple[Rows, ...]:
        """Return the groups that can fill a batch of `n`, or the largest if none can.

        So a batch is as full as the hard-to-change parameters allow.
        """
        sizes = [len(group) for group in self.groups]
        enough = min(n, max(sizes))
        return tuple(group for group in self.groups if len(group) >= enough)


def candidates_of(state: State) -> Candidates:
    """Return what the state's policy may choose from.

    What was measured, failed or is pending is left out, by its conditions. A row that
    stands twice in the pool counts once.

    Raises:
        SpaceError: If nothing is left.
    """
    taken = set(state.observed.questions.keys()) | set(state.pending.keys())
    rows: list[int] = []
    for row, key in enumerate(state.pool.keys()):
        if key not in taken:
            taken.add(key)
            rows.append(row)
    if not rows:
        raise ExhaustedError(
            "A policy needs at least one candidate that was not measured and is not "
            f"pending; got a pool of {len(state.pool)} with none left. End the "
            "campaign, or amend the protocol to widen its space."
        )
    left = np.array(rows, dtype=np.int64)
    return Candidates(left, _groups(state.protocol, state.pool, left))


def candidates_among(state: State, rows: Rows) -> Candidates:
    """Return some rows of the pool as candidates, in groups that may share a batch."""
    return Candidates(rows, _groups(state.protocol, state.pool, rows))


def hard_to_change(protocol: Protocol) -> tuple[str, ...]:
    """Return the condition names that keep one value within a batch.

    `per_plate` counts as `per_batch`: a batch that fits no plate is never proposed.
    """
    names: list[str] = []
    for parameter in protocol.chosen_parameters:
        if parameter.change is not Change.PER_EXPERIMENT:
            names += (
                parameter.part_columns
                if isinstance(parameter, MixtureParameter)
                else (parameter.name,)
            )
    return tuple(names)


def changed_freely(protocol: Protocol) -> Protocol:
    """Return the protocol with every parameter free to change in each experiment."""
    parameters = tuple(
        parameter.model_copy(update={"change": Change.PER_EXPERIMENT})
        for parameter in protocol.parameters
    )
    return protocol.model_copy(update={"parameters": parameters})


def _groups(protocol: Protocol, pool: Questions, rows: Rows) -> tuple[Rows, ...]:
    names = hard_to_change(protocol)
    if not names:
        return (rows,)
    parts: dict[tuple[object, ...], list[int]] = {}
    columns: Sequence[NDArray] = [pool.columns[name] for name in names]
    for row in rows:
        # NaN differs from itself, so an inactive number is written as a word.
        parts.setdefault(tuple(str(column[row]) for column in columns), []).append(row)
    return tuple(np.array(part, dtype=np.int64) for part in parts.values())
