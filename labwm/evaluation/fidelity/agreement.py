"""Do two labs rank the same policies alike?

The first argument is always what the virtual lab says, the second what the real one
says: the rank violation is not symmetric (`tests` freeze the order).
Shapes: `k` policies; `...` any leading dimensions, such as resamples.

Reference:
    Li et al., Evaluating Real-World Robot Manipulation Policies in Simulation,
    arXiv 2405.05941 (2024): mean maximum rank violation.
"""

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

Floats = NDArray[np.float64]


def pearson(virtual: Floats, real: Floats) -> Floats:
    """Return Pearson's correlation, `...`; NaN where either is constant."""
    a = virtual - virtual.mean(axis=-1, keepdims=True)
    b = real - real.mean(axis=-1, keepdims=True)
    size = np.sqrt((a * a).sum(axis=-1) * (b * b).sum(axis=-1))
    is_varied = size > 1e-300
    product = (a * b).sum(axis=-1)
    return np.where(is_varied, product / np.where(is_varied, size, 1.0), np.nan)


def spearman(virtual: Floats, real: Floats) -> Floats:
    """Return Spearman's rank correlation, `...`; ties share their mean rank."""
    return pearson(rankdata(virtual, axis=-1), rankdata(real, axis=-1))


def kendall(virtual: Floats, real: Floats) -> Floats:
    """Return Kendall's tau-b, `...`; NaN where either is constant."""
    i, j = np.triu_indices(virtual.shape[-1], 1)
    a = np.sign(virtual[..., i] - virtual[..., j])
    b = np.sign(real[..., i] - real[..., j])
    size = np.sqrt((a * a).sum(axis=-1) * (b * b).sum(axis=-1))
    is_varied = size > 0
    product = (a * b).sum(axis=-1)
    return np.where(is_varied, product / np.where(is_varied, size, 1.0), np.nan)


def mmrv(virtual: Floats, real: Floats) -> Floats:
    """Return the mean maximum rank violation as a share of the real range, `...`.

    For each policy the largest real difference to a policy that the virtual lab puts on
    the other side of it, averaged over the policies.
    """
    gap = np.abs(real[..., :, None] - real[..., None, :])
    is_wrong = (virtual[..., :, None] > virtual[..., None, :]) != (
        real[..., :, None] > real[..., None, :]
    )
    worst = np.where(is_wrong, gap, 0.0).max(axis=-1).mean(axis=-1)
    return _share(worst, real)


def regret_at(k: int) -> Callable[[Floats, Floats], Floats]:
    """Return the metric: what is lost by running the virtual lab's best `k` for real.

    It is the best real value less the best among those `k`, as a share of the real
    range.
    """

    def regret(virtual: Floats, real: Floats) -> Floats:
        picked = np.argsort(-virtual, axis=-1, kind="stable")[..., :k]
        found = np.take_along_axis(real, picked, axis=-1).max(axis=-1)
        return _share(real.max(axis=-1) - found, real)

    return regret


def _share(value: Floats, real: Floats) -> Floats:
    extent = np.ptp(real, axis=-1)
    return np.where(extent > 0, value / np.where(extent > 0, extent, 1.0), np.nan)


METRICS: Final[Mapping[str, Callable[[Floats, Floats], Floats]]] = {
    "pearson": pearson,
    "spearman": spearman,
    "kendall": kendall,
    "mmrv": mmrv,
    "regret_at_1": regret_at(1),
    "regret_at_3": regret_at(3),
}


def value_bias(virtual: Floats, real: Floats) -> Floats:
    """Return the mean of virtual minus real as a share of the real range, `...`."""
    return _share((virtual - real).mean(axis=-1), real)


def n_apart(means: Floats, errors: Floats) -> int:
    """Return how many policies lie more than two standard errors apart, neighbours too.

    Args:
        means: Of each policy, length `k`.
        errors: Standard error of the difference of each pair, `k x k`.
    """
    order = np.argsort(means, kind="stable")
    kept = [int(order[0])]
    for i in order[1:]:
        if means[i] - means[kept[-1]] > 2.0 * errors[i, kept[-1]]:
            kept.append(int(i))
    return len(kept)
