"""Policy `space_filling`: a few candidates that stand for the whole pool.

Each choice is the one that most reduces the mean distance of the pool to its nearest
experiment: the centres of what is not covered yet. Candidates that lie farthest apart
would be the corners of a space and the outliers of a library, where little works: on
nine of eleven measured tables their best of five lies below that of centres.

Shapes: `c` candidates compared, `p` rows of the pool to be stood for, `d` features.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from labwm.design.candidates import candidates_of
from labwm.design.features import features
from labwm.design.state import Batch, Choice, State
from labwm.space.questions import concatenate

NAME = "space_filling"
VERSION = "3"
MAX_COMPARED = 2000
"""Candidates compared, and rows stood for, in larger pools: drawn by the seed."""
SHARE_COMPARED = 0.5
"""Share of the candidates compared, drawn by the seed: so campaigns with different
seeds start from different designs of nearly the same quality."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class _Design:
    """Candidates in the order chosen, with what each is worth and why."""

    order: list[int]
    gains: list[float]
    reasons: list[str]


def space_filling(state: State, n: int) -> Batch:
    """Choose by facility location.

    Reference:
        Nemhauser, Wolsey & Fisher, Math. Program. 14, 265 (1978), greedy facility
        location.
    """
    candidates = candidates_of(state)
    rng = np.random.default_rng(state.seed)
    n_pool = len(state.pool)
    asked = [state.pool, state.observed.questions, state.pending]
    x = features(state.protocol, concatenate(asked))
    groups = [
        _some(rng, group, max(n, int(SHARE_COMPARED * len(group))))
        for group in candidates.fitting(n)
    ]
    pool = x[_some(rng, np.arange(n_pool), n_pool)]
    designs = [_covering(x[group], pool, x[n_pool:], n) for group in groups]
    best = int(np.argmax([sum(design.gains) for design in designs]))
    design = designs[best]
    choices = tuple(
        Choice(int(groups[best][i]), reason, gain, None)
        for i, gain, reason in zip(
            design.order, design.gains, design.reasons, strict=True
        )
    )
    return Batch(choices, NAME, VERSION, len(candidates.rows), None)


def _some(
    rng: np.random.Generator, rows: NDArray[np.int64], n: int
) -> NDArray[np.int64]:
    n = min(n, MAX_COMPARED)
    return rows if len(rows) <= n else rng.choice(rows, size=n, replace=False)


def _covering(x: Floats, pool: Floats, known: Floats, n: int) -> _Design:
    # Before anything is known every row is as far as the farthest could be.
    nearest = np.full(len(pool), 2 * np.max(np.linalg.norm(pool, axis=1)) + 1e-12)
    if len(known):
        nearest = cdist(pool, known).min(axis=1)
    distance = cdist(x, pool)
    order: list[int] = []
    gains: list[float] = []
    reasons: list[str] = []
    for _ in range(min(n, len(x))):
        gain = np.maximum(nearest - distance, 0.0).mean(axis=1)
        gain[order] = -1.0
        i = int(np.argmax(gain))
        order.append(i)
        gains.append(float(gain[i]))
        share = gain[i] / max(float(nearest.mean()), 1e-300)
        reasons.append(
            "stands for candidates that nothing measured or chosen is like: brings the "
            f"pool {share:.0%} closer to its nearest experiment"
        )
        nearest = np.minimum(nearest, distance[i])
    return _Design(order, gains, reasons)
