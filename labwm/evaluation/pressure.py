"""What ranking a pool gives when more and more candidates are looked at.

Shapes: `N` candidates, `b` pressures.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from labwm.errors import InvalidInputError

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Curve:
    """One arm under pressure, exactly: no candidates are drawn.

    Attributes:
        gold: What the choice is truly worth: 0 is the worst of the pool, 1 its best,
            length `b`. At pressure 1 it is what a random choice is worth.
        gap: What is stated of the choice beyond its worth, in standard deviations of
            the pool's worth, length `b`.
    """

    gold: Floats
    gap: Floats


def best_of_weights(n_candidates: int, n_looked_at: int) -> Floats:
    """Return P(rank r is the choice) when the best of some is chosen, length `N`.

    Of `n` candidates drawn without replacement the first by rank is chosen: rank `r`,
    from 0, has the probability C(N - 1 - r, n - 1) / C(N, n).

    Raises:
        InvalidInputError: If fewer than one or more than all are looked at.
    """
    n, size = n_looked_at, n_candidates
    if not 1 <= n <= size:
        raise InvalidInputError(
            f"A choice looks at 1 to {size} candidates; got {n}. Take a pressure "
            "within."
        )
    ranks = np.arange(size - 1)
    steps = np.maximum(size - ranks - n, 0) / (size - 1 - ranks)
    return n / size * np.concatenate([[1.0], np.cumprod(steps)])


def curve_of(
    score: Floats, stated: Floats, truth: Floats, pressures: Sequence[int], *, seed: int
) -> Curve:
    """Return how good choices by a score are, by how many candidates are looked at.

    Args:
        score: What candidates are ranked by, length `N`.
        stated: Worth that is stated of each.
        truth: Worth that each has.
        pressures: Candidates looked at, each at most `N`.
        seed: Decides among equal scores.
    """
    mixed = np.random.default_rng([seed, 6]).permutation(len(score))
    order = mixed[np.argsort(-score[mixed], kind="stable")]
    least = float(truth.min())
    span, sd = max(float(np.ptp(truth)), 1e-300), max(float(truth.std()), 1e-300)
    weights = np.stack([best_of_weights(len(score), n) for n in pressures])
    worth = weights @ truth[order]
    return Curve((worth - least) / span, (weights @ stated[order] - worth) / sd)


def collapse(gold: Floats) -> float:
    """Return the share of its peak that a curve has lost by its end.

    Args:
        gold: Worth by rising pressure, length `b`, 0 being the worst of the pool.
    """
    peak = float(gold.max())
    return (peak - float(gold[-1])) / peak if peak > 0 else 0.0
