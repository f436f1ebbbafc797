"""Policy `greedy`: the best predicted candidates, without curiosity."""

from functools import partial

import numpy as np
from numpy.typing import NDArray

from labwm.design.hypervolume_improvement import reference_and_scale
from labwm.design.modelled import at_risk, known_utilities, utilities_of
from labwm.design.posterior import objective_columns
from labwm.design.reasons import predicted
from labwm.design.search import search
from labwm.design.start import Ready, ready_or_start
from labwm.design.state import Batch, Choice, State
from labwm.space.questions import Questions

Floats = NDArray[np.float64]

NAME = "greedy"
VERSION = "2"


def greedy(state: State, n: int) -> Batch:
    """Choose the candidates of the largest expected utility.

    Several objectives are added after dividing each by its spread along the front so
    far: a plain compromise, which leaves the ends of the front alone. What may fail or
    break a constraint is worth less by that chance.
    """
    ready = ready_or_start(state, n)
    if isinstance(ready, Batch):
        return ready
    if state.is_open:
        found = search(state, ready.candidates, partial(_scores, state, ready))
        state, ready = ready.after(found)
    scored = [
        (g, _scores(state, ready, state.pool.take(g)))
        for g in ready.candidates.fitting(n)
    ]
    group, scores = max(scored, key=lambda pair: np.sort(pair[1])[-n:].mean())
    best = np.argsort(-scores, kind="stable")[:n]
    rows = [int(row) for row in group[best]]
    beliefs = predicted(state, ready, rows)
    return Batch(
        choices=tuple(
            Choice(row, f"rank {rank + 1} by predicted utility; {belief}", score, 1.0)
            for rank, (row, belief, score) in enumerate(
                zip(rows, beliefs, scores[best].tolist(), strict=True)
            )
        ),
        policy=NAME,
        policy_version=VERSION,
        n_considered=ready.n_considered,
        model=ready.model,
        pool=state.pool if state.is_open else None,
    )


def _scores(state: State, ready: Ready, asked: Questions) -> Floats:
    prediction = ready.model.predict(asked)
    mean = prediction.mean[:, objective_columns(state.protocol)]
    utilities, known = utilities_of(state)(mean), known_utilities(state, ready)
    scale = np.ones(1)
    if utilities.shape[1] > 1:
        _, scale = reference_and_scale(state, known)
    scores, of_known = (utilities / scale).mean(axis=1), (known / scale).mean(axis=1)
    return at_risk(state, prediction, scores, of_known)
