"""Hypervolume that a set of outcomes dominates, and its front.

Shapes: `n` points, `k` objectives; larger is better everywhere.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def hypervolume(points: ArrayLike, reference: ArrayLike) -> float:
    """Return the volume between `reference` and the points, exactly.

    With one objective it is what the best point exceeds the reference by. Costs
    `n log n` with two objectives, times `n` for each further one.

    Args:
        points: `n x k`; rows with NaN, or not above the reference everywhere, add
            nothing.
        reference: Length `k`.
    """
    gained = np.asarray(points, float) - np.asarray(reference, float)
    gained = gained[np.all(gained > 0, axis=1)]
    if len(gained) == 0:
        return 0.0
    if gained.shape[1] == 1:
        return float(gained.max())
    if gained.shape[1] == 2:
        return _area(gained)
    return _volume(gained)


def hypervolumes(points: ArrayLike, reference: ArrayLike) -> Floats:
    """Return the volume of each of `e` sets of points, length `e`.

    With one and two objectives all sets are worked on at once.

    Args:
        points: `e x n x k`; rows with NaN, or not above the reference everywhere, add
            nothing.
        reference: Length `k`.
    """
    points = np.asarray(points, float)
    gained = points - np.asarray(reference, float)
    gained = np.where(np.all(gained > 0, axis=-1, keepdims=True), gained, 0.0)
    if gained.shape[-1] == 1:
        return gained[..., 0].max(axis=-1, initial=0.0)
    if gained.shape[-1] > 2:
        return np.array([hypervolume(own, reference) for own in points])
    order = np.argsort(-gained[..., 0], axis=-1)
    gained = np.take_along_axis(gained, order[..., None], axis=1)
    heights = np.maximum.accumulate(gained[..., 1], axis=-1)
    steps = np.diff(heights, axis=-1, prepend=0.0)
    return np.einsum("en,en->e", gained[..., 0], steps)


def is_on_front(points: Floats) -> NDArray[np.bool_]:
    """Tell for each point whether no other dominates it, length `n`; NaN never is.

    Of equal points all are on the front. Cost grows as `n**2`.
    """
    points = np.asarray(points, float)
    out = np.asarray(~np.isnan(points).any(axis=1))
    for i in np.flatnonzero(out):
        better = np.all(points >= points[i], axis=1) & np.any(
            points > points[i], axis=1
        )
        out[i] = not better.any()
    return out


def _area(points: Floats) -> float:
    points = points[np.argsort(-points[:, 0])]
    heights = np.maximum.accumulate(points[:, 1])
    steps = np.diff(heights, prepend=0.0)
    return float(points[:, 0] @ steps)


def _volume(points: Floats) -> float:
    # Slabs along the last objective: in each, the points that reach it cover the
    # hypervolume of their other objectives (While et al., IEEE TEVC 10, 29, 2006).
    points = points[is_on_front(points)]
    points = points[np.argsort(points[:, -1])]
    thickness = np.diff(points[:, -1], prepend=0.0)
    origin = np.zeros(points.shape[1] - 1)
    return float(
        sum(
            slab * hypervolume(points[i:, :-1], origin)
            for i, slab in enumerate(thickness)
            if slab > 0
        )
    )
