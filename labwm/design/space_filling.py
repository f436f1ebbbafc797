"""Policy `space_filling`: a few candidates that stand for the whole pool.

Components of a reaction, and other names, are spread over: each choice is the one
farthest from everything measured, pending or chosen. A library of molecules has
outliers and a space of numbers has corners, where little works and which that rule
would take first; there each choice is the one that most reduces the mean distance of
the pool to its nearest experiment: the centres of what is not covered yet.

Shapes: `c` candidates compared, `p` rows of the pool to be stood for, `d` features.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from labwm.design.candidates import candidates_of
from labwm.design.features import features
from labwm.design.state import Batch, Choice, State
from labwm.schema import CategoricalParameter, MoleculeParameter, Protocol
from labwm.space.questions import concatenate

NAME = "space_filling"
VERSION = "4"
MAX_COMPARED = 2000
"""Candidates compared, and rows stood for, in larger pools: drawn by the seed."""
SHARE_COMPARED = {"spread": 0.25, "cover": 0.5}
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
    """Choose by farthest points; among numbers and in libraries by facility location.

    Reference:
        Gonzalez, Theor. Comput. Sci. 38, 293 (1985), farthest-point traversal;
        Nemhauser, Wolsey & Fisher, Math. Program. 14, 265 (1978), greedy facility
        location.
    """
    candidates = candidates_of(state)
    rng = np.random.default_rng(state.seed)
    n_pool = len(state.pool)
    asked = [state.pool, state.observed.questions, state.pending]
    x = features(state.protocol, concatenate(asked))
    rule = "cover" if _has_edges(state.protocol) else "spread"
    groups = [
        _some(rng, group, max(n, int(SHARE_COMPARED[rule] * len(group))))
        for group in candidates.fitting(n)
    ]
    known = x[n_pool:]
    if rule == "cover":
        pool = x[_some(rng, np.arange(n_pool), n_pool)]
        designs = [_covering(x[group], pool, known, n) for group in groups]
    else:
        designs = [_spreading(x[group], known, n, rng) for group in groups]
    best = int(np.argmax([sum(design.gains) for design in designs]))
    design = designs[best]
    choices = tuple(
        Choice(int(groups[best][i]), reason, gain, None)
        for i, gain, reason in zip(
            design.order, design.gains, design.reasons, strict=True
        )
    )
    return Batch(choices, NAME, VERSION, len(candidates.rows), None)


def _has_edges(protocol: Protocol) -> bool:
    """Is it a library, or are there numbers alone?"""
    chosen = protocol.chosen_parameters
    if len(chosen) == 1 and isinstance(chosen[0], MoleculeParameter):
        return True
    return not any(
        isinstance(p, MoleculeParameter | CategoricalParameter) for p in chosen
    )


def _some(
    rng: np.random.Generator, rows: NDArray[np.int64], n: int
) -> NDArray[np.int64]:
    n = min(n, MAX_COMPARED)
    return rows if len(rows) <= n else rng.choice(rows, size=n, replace=False)


def _spreading(x: Floats, known: Floats, n: int, rng: np.random.Generator) -> _Design:
    order: list[int] = []
    gains: list[float] = []
    reasons: list[str] = []
    nearest = np.full(len(x), np.inf)
    if len(known):
        nearest = cdist(x, known).min(axis=1)
    for _ in range(min(n, len(x))):
        if np.isinf(nearest).all():
            i, gain = int(rng.integers(len(x))), 0.0
            reasons.append("drawn at random to begin a design that spreads out")
        else:
            left = np.where(np.isin(np.arange(len(x)), order), -1.0, nearest)
            i = int(np.argmax(left))
            gain = float(left[i])
            reasons.append(
                f"farthest from everything measured, sent or chosen: {gain:.2g} away, "
                "where levels of one parameter are about 1 apart"
            )
        order.append(i)
        gains.append(gain)
        nearest = np.minimum(nearest, np.linalg.norm(x - x[i], axis=1))
    return _Design(order, gains, reasons)


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
