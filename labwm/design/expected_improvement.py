"""Policy `expected_improvement`: how much each candidate may add to the best."""

import numpy as np

from labwm.design.improvement import BestImprovement
from labwm.design.modelled import choose, known_utilities
from labwm.design.reasons import amount, best_so_far, gain, improvement_reasons
from labwm.design.start import ready_or_start
from labwm.design.state import Batch, Choice, State
from labwm.errors import InvalidInputError

NAME = "expected_improvement"
VERSION = "1"


def expected_improvement(state: State, n: int) -> Batch:
    """Choose the batch with the largest expected improvement of one objective.

    The best so far is the best posterior mean of what was measured: a lucky replicate
    does not raise the bar. Pending experiments count as taken.

    Raises:
        InvalidInputError: If the protocol has several objectives.
    """
    objective, *others = state.protocol.objectives
    if others:
        raise InvalidInputError(
            f"{NAME} takes one objective; the protocol {state.protocol.name!r} has "
            f"{len(state.protocol.objectives)}. Use hypervolume_improvement or default."
        )
    ready = ready_or_start(state, n)
    if isinstance(ready, Batch):
        return ready
    known = known_utilities(state, ready)
    floor = float(known.max()) if len(known) else -np.inf
    improvement = BestImprovement(objective, _finite(floor, state))
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
        n_considered=len(ready.candidates.rows),
        model=ready.model,
    )


def _finite(floor: float, state: State) -> float:
    # Nothing measured satisfies the outcome constraints: any utility is a gain over
    # the worst value seen, and the probability of counting decides.
    if np.isfinite(floor):
        return floor
    from labwm.world_model.reward import utilities

    seen = utilities(state.protocol, state.observed.values)
    return float(np.nanmin(seen))
