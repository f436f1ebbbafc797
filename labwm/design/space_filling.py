"""Policy `space_filling`: the few candidates that stand for the whole pool.

The next choice is always the one that most reduces the mean distance of the pool to
its nearest chosen, measured or pending row: the first is the pool's centre, the next
are the centres of what is far from it. Outliers are not preferred, as they would be by
the largest smallest distance.

Shapes: `c` candidates compared, `p` rows of the pool to be stood for, `d` features.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from labwm.design.candidates import candidates_of
from labwm.design.features import features
from labwm.design.state import Batch, Choice, State
from labwm.space.questions import concatenate

NAME = "space_filling"
VERSION = "1"
MAX_COMPARED = 2000
"""Candidates compared, and rows stood for, in larger pools: drawn by the seed."""

Floats = NDArray[np.float64]


def space_filling(state: State, n: int) -> Batch:
    """Choose by greedy facility location; cost grows as `c * p * d`.

    Half of the candidates, drawn by the seed, are compared: campaigns with different
    seeds start from different designs of nearly the same quality.

    Reference:
        Nemhauser, Wolsey & Fisher, Math. Program. 14, 265 (1978): the greedy choice
        reaches at least 1 - 1/e of the best possible reduction.
    """
    candidates = candidates_of(state)
    rng = np.random.default_rng(state.seed)
    n_pool = len(state.pool)
    x = features(
        state.protocol,
        concatenate([state.pool, state.observed.questions, state.pending]),
    )
    stood_for = _some(rng, np.arange(n_pool), MAX_COMPARED)
    groups = [
        _some(rng, group, min(MAX_COMPARED, max(n, len(group) // 2)))
        for group in candidates.fitting(n)
    ]
    nearest = _nearest(x[stood_for], x[n_pool:])
    picked = [_greedy(x[group], x[stood_for], nearest, n) for group in groups]
    best = int(np.argmax([sum(gains) for _, gains in picked]))
    order, gains = picked[best]
    scale = max(float(np.mean(cdist(x[stood_for], x[stood_for]))), 1e-300)
    choices = tuple(
        Choice(int(groups[best][i]), _reason(gain / scale, rank), gain, None)
        for rank, (i, gain) in enumerate(zip(order, gains, strict=True))
    )
    return Batch(choices, NAME, VERSION, len(candidates.rows), None)


def _some(rng: np.random.Generator, rows: NDArray[np.int64], n: int):
    return rows if len(rows) <= n else rng.choice(rows, size=n, replace=False)


def _nearest(x: Floats, known: Floats) -> Floats:
    # Before anything is known every row is as far as the farthest could be.
    if len(known) == 0:
        return np.full(len(x), 2 * np.max(np.linalg.norm(x, axis=1)) + 1e-12)
    return cdist(x, known).min(axis=1)


def _greedy(
    x: Floats, stood_for: Floats, nearest: Floats, n: int
) -> tuple[list[int], list[float]]:
    distance = cdist(x, stood_for)
    order: list[int] = []
    gains: list[float] = []
    for _ in range(min(n, len(x))):
        gain = np.maximum(nearest - distance, 0.0).mean(axis=1)
        gain[order] = -1.0
        i = int(np.argmax(gain))
        order.append(i)
        gains.append(float(gain[i]))
        nearest = np.minimum(nearest, distance[i])
    return order, gains


def _reason(share: float, rank: int) -> str:
    if rank == 0:
        return "stands for most of the pool that is far from everything measured"
    return (
        "stands for what the choices before it leave uncovered: brings the pool "
        f"{share:.1%} closer to its nearest experiment"
    )
