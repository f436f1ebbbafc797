"""Policy `expected_improvement`: how much each candidate may add to the best."""

import numpy as np
from numpy.typing import NDArray

from labwm.design.improvement import BestImprovement
from labwm.design.modelled import choose, known_utilities, widened
from labwm.design.reasons import amount, best_so_far, gain, improvement_reasons
from labwm.design.start import Ready, ready_or_start
from labwm.design.state import Batch, Choice, State
from labwm.errors import InvalidInputError

Floats = NDArray[np.float64]

NAME = "expected_improvement"
VERSION = "1"


def expected_improvement(state: State, n: int) -> Batch:
    """Choose the batch with the largest expected improvement of one objective.

    The best so far is the best posterior mean of what was measured: a lucky replicate
    does not raise the bar. Pending experiments count as taken.

    Raises:
        InvalidInputError: If the protocol has several objectives.
    """
    if len(state.protocol.objectives) > 1:
        raise InvalidInputError(
            f"{NAME} takes one objective; the protocol {state.protocol.name!r} has "
            f"{len(state.protocol.objectives)}. Use hypervolume_improvement or default."
        )
    ready = ready_or_start(state, n)
    if isinstance(ready, Batch):
        return ready
    return expected_improvement_of(state, ready, n)


def expected_improvement_of(state: State, ready: Ready, n: int) -> Batch:
    """Choose with a model at hand."""
    objective = state.protocol.objectives[0]
    known = known_utilities(state, ready)
    improvement = improvement_over_best(state, known)
    state, ready = widened(state, ready, improvement, known)
    chosen = choose(state, ready, n, improvement, known)
    unit = state.protocol.readout(objective.readout).unit
    over = best_so_far(state.protocol, improvement.floor)
    reasons = improvement_reasons(
        state,
        ready,
        chosen,
        [
            f"expected improvement {amount(gain(log_gain), unit)} over {over}"
            for log_gain in chosen.log_gain
        ],
    )
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


def improvement_over_best(state: State, known: Floats) -> BestImprovement:
    """Return what an outcome adds to the best known utility, `known` being `f x 1`."""
    floor = float(known.max()) if len(known) else -np.inf
    return BestImprovement(state.protocol.objectives[0], _finite(floor, state))


def _finite(floor: float, state: State) -> float:
    # Nothing measured satisfies the outcome constraints: any utility is a gain over
    # the worst value seen, and the probability of counting decides.
    if np.isfinite(floor):
        return floor
    from labwm.world_model.reward import utilities

    seen = utilities(state.protocol, state.observed.values)
    return float(np.nanmin(seen))
