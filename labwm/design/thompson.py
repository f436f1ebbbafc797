"""Policy `thompson`: each choice is the best candidate of one drawn world.

Shapes: `c` candidates, `k` objectives.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from labwm.design.hypervolume_improvement import reference_and_scale
from labwm.design.modelled import at_risk, known_utilities, utilities_of
from labwm.design.posterior import objective_columns
from labwm.design.reasons import predicted
from labwm.design.start import Ready, ready_or_start
from labwm.design.state import Batch, Choice, State

NAME = "thompson"
VERSION = "2"

Floats = NDArray[np.float64]


def thompson(state: State, n: int) -> Batch:
    """Draw one world per choice and take the best candidate not yet taken.

    With several objectives each draw also draws how they are weighed: the candidate
    that reaches farthest beyond the reference in a random direction. What may fail or
    break a constraint is worth less by that chance.

    Reference:
        Thompson, Biometrika 25, 285 (1933); Paria et al., UAI 2019, arXiv 1805.12168.
    """
    ready = ready_or_start(state, n)
    if isinstance(ready, Batch):
        return ready
    groups = ready.candidates.fitting(n)
    rng = np.random.default_rng(state.seed)
    sizes = np.array([len(group) for group in groups])
    # Where a value is shared by the batch, the first world alone chooses it.
    everything = np.concatenate(groups)
    of_group = np.repeat(np.arange(len(groups)), sizes)
    allowed = np.ones(len(everything), dtype=bool)
    rows: list[int] = []
    prediction = ready.model.predict(state.pool.take(everything))
    known = known_utilities(state, ready)
    for _ in range(min(n, int(sizes.max()))):
        drawn, of_known = _worth_in_a_world(state, ready, known, rng)(everything)
        scores = at_risk(state, prediction, drawn, of_known)
        best = int(np.argmax(np.where(allowed, scores, -np.inf)))
        rows.append(int(everything[best]))
        allowed &= of_group == of_group[best]
        allowed[best] = False
    beliefs = predicted(state, ready, rows)
    return Batch(
        choices=tuple(
            Choice(row, f"best candidate of drawn world {i + 1}; {belief}", None, None)
            for i, (row, belief) in enumerate(zip(rows, beliefs, strict=True))
        ),
        policy=NAME,
        policy_version=VERSION,
        n_considered=len(ready.candidates.rows),
        model=ready.model,
    )


def _worth_in_a_world(
    state: State, ready: Ready, known: Floats, rng: np.random.Generator
) -> Callable[[NDArray[np.int64]], tuple[Floats, Floats]]:
    """Draw a world; return what rows are worth in it, and what is known beside them."""
    world = ready.model.draw_world(int(rng.integers(2**31)))
    columns = objective_columns(state.protocol)
    reference, unit = np.zeros(1), np.ones(1)
    if len(columns) > 1:
        reference, scale = reference_and_scale(state, known)
        unit = scale * np.maximum(np.abs(rng.normal(size=len(columns))), 1e-9)

    def worth(rows: NDArray[np.int64]) -> tuple[Floats, Floats]:
        truth = world.truth(state.pool.take(rows))[:, columns]
        drawn = utilities_of(state)(truth)
        return (
            np.min((drawn - reference) / unit, axis=1),
            np.min((known - reference) / unit, axis=1),
        )

    return worth
