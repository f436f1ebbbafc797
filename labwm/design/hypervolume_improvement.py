"""Policy `hypervolume_improvement`: what each candidate may add to the front.

Shapes: `f` known utilities, `k` objectives.
"""

import numpy as np
from numpy.typing import NDArray

from labwm.design.improvement import AreaImprovement, Improvement, VolumeImprovement
from labwm.design.modelled import Chosen, choose, known_utilities, widened
from labwm.design.reasons import gain, improvement_reasons
from labwm.design.start import Ready, ready_or_start
from labwm.design.state import Batch, Choice, State
from labwm.errors import InvalidInputError
from labwm.world_model.reward import reference_utility, utilities

NAME = "hypervolume_improvement"
VERSION = "1"

Floats = NDArray[np.float64]


def hypervolume_improvement(state: State, n: int) -> Batch:
    """Choose the batch with the largest expected hypervolume improvement.

    Exact for two objectives, by directions for more. Hypervolume counts from the
    objectives' `reference`, or from just below the worst corner of the front so far.

    Raises:
        InvalidInputError: If the protocol has a single objective.
    """
    objectives = state.protocol.objectives
    if len(objectives) < 2:
        raise InvalidInputError(
            f"{NAME} takes two objectives or more; the protocol "
            f"{state.protocol.name!r} has one. Use expected_improvement or default."
        )
    ready = ready_or_start(state, n)
    if isinstance(ready, Batch):
        return ready
    return hypervolume_improvement_of(state, ready, n)


def hypervolume_improvement_of(state: State, ready: Ready, n: int) -> Batch:
    """Choose with a model at hand."""
    known = known_utilities(state, ready)
    reference, scale = reference_and_scale(state, known)
    front = pareto(known)
    improvement = _improvement(state, reference, scale)
    state, ready = widened(state, ready, improvement, front)
    chosen = choose(state, ready, n, improvement, front)
    return _batch(state, ready, chosen, reference, front)


def pareto(points: Floats) -> Floats:
    """Return the points that no other dominates, each once."""
    points = np.unique(points, axis=0)
    dominated = [
        bool(np.any(np.all(points >= p, axis=1) & np.any(points > p, axis=1)))
        for p in points
    ]
    return points[~np.array(dominated, dtype=bool)]


def reference_and_scale(state: State, known: Floats) -> tuple[Floats, Floats]:
    """Return where hypervolume counts from and each utility's spread, length `k`."""
    corner, spread = _corner_and_spread(state, known)
    # A tenth below the front's worst corner, so that its ends count too.
    reference = corner - 0.1 * spread
    for j, objective in enumerate(state.protocol.objectives):
        declared = reference_utility(objective)
        if declared is not None:
            reference[j] = declared
    return reference, spread


def _corner_and_spread(state: State, known: Floats) -> tuple[Floats, Floats]:
    measured = utilities(state.protocol, state.observed.values)
    seen = known if len(known) else measured[~np.isnan(measured).any(axis=1)]
    if len(seen) == 0:
        # No experiment gave a number for every objective: each stands by itself.
        low, high = np.nanmin(measured, axis=0), np.nanmax(measured, axis=0)
        return low, np.maximum(high - low, 1e-12)
    front = pareto(seen)
    spread = np.ptp(front, axis=0)
    spread = np.where(spread > 0, spread, np.maximum(np.ptp(seen, axis=0), 1e-12))
    return front.min(axis=0), spread


def improvement_over_front(state: State, known: Floats) -> Improvement:
    """Return what an outcome adds to the front of the known utilities, `f x k`."""
    reference, scale = reference_and_scale(state, known)
    return _improvement(state, reference, scale)


def _improvement(state: State, reference: Floats, scale: Floats) -> Improvement:
    objectives = state.protocol.objectives
    if len(objectives) == 2:
        return AreaImprovement(objectives, reference)
    return VolumeImprovement(objectives, reference, scale, state.seed)


def _batch(
    state: State, ready: Ready, chosen: Chosen, reference: Floats, front: Floats
) -> Batch:
    share = [_share(log_gain, reference, front) for log_gain in chosen.log_gain]
    reasons = improvement_reasons(state, ready, chosen, share)
    return Batch(
        choices=tuple(
            Choice(int(row), reason, gain(log_gain), 1.0)
            for row, reason, log_gain in zip(
                chosen.rows, reasons, chosen.log_gain, strict=True
            )
        ),
        policy=NAME,
        policy_version=VERSION,
        n_considered=ready.n_considered,
        model=ready.model,
        pool=state.pool if state.is_open else None,
    )


def _share(log_gain: float, reference: Floats, front: Floats) -> str:
    if len(front) == 0:
        return "expected to start the front"
    box = float(np.prod(np.maximum(front.max(axis=0) - reference, 1e-300)))
    return (
        f"expected to widen the front by {gain(log_gain) / box:.2%} of the box that "
        "its ends span"
    )
