"""Policy `thompson`: each choice is the best candidate of one drawn world.

Shapes: `c` candidates, `k` objectives.
"""

import numpy as np
from numpy.typing import NDArray

from labwm.design.hypervolume_improvement import reference_and_scale
from labwm.design.modelled import known_utilities, utilities_of
from labwm.design.posterior import objective_columns
from labwm.design.reasons import predicted
from labwm.design.start import Ready, ready_or_start
from labwm.design.state import Batch, Choice, State

NAME = "thompson"
VERSION = "1"

Floats = NDArray[np.float64]


def thompson(state: State, n: int) -> Batch:
    """Draw one world per choice and take the best candidate not yet taken.

    With several objectives each draw also draws how they are weighed: the candidate
    that reaches farthest beyond the reference in a random direction.

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
    for _ in range(min(n, int(sizes.max()))):
        scores = _scores(state, ready, everything, rng)
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


def _scores(
    state: State, ready: Ready, rows: NDArray[np.int64], rng: np.random.Generator
) -> Floats:
    world = ready.model.draw_world(int(rng.integers(2**31)))
    truth = world.truth(state.pool.take(rows))[:, objective_columns(state.protocol)]
    utilities = utilities_of(state)(truth)
    if utilities.shape[1] == 1:
        return utilities[:, 0]
    reference, scale = reference_and_scale(state, known_utilities(state, ready))
    direction = np.maximum(np.abs(rng.normal(size=utilities.shape[1])), 1e-9)
    return np.min((utilities - reference) / (scale * direction), axis=1)
