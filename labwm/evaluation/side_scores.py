"""Scores that only some tables have: limits, and replicates.

Shapes: `q` rows asked about, `k` of them with a number.
"""

import numpy as np
from numpy.typing import NDArray

from labwm import scores
from labwm.evaluation.baselines import Marginal
from labwm.space.questions import Observations

Floats = NDArray[np.float64]


def with_limits(
    test: Observations, readout: str, marginal: Marginal
) -> dict[str, float]:
    """Score numbers by their density and limits such as `<5` by their probability.

    A limit's loss is the negative log probability of being beyond it. Empty where the
    table holds no limit.
    """
    j = test.readouts.index(readout)
    side, value = test.censoring[:, j], test.values[:, j]
    known = ~np.isnan(value)
    if not np.any(side[known]):
        return {}
    filled = np.where(known, value, marginal.mean)
    below = marginal.cdf(filled)
    chance = np.clip(np.where(side < 0, below, 1.0 - below), 1e-300, 1.0)
    loss = np.where(side == 0, -marginal.log_density(filled), -np.log(chance))
    return {
        "nlpd_with_limits": float(loss[known].mean()),
        "limit_share": float(np.mean(side[known] != 0)),
    }


def noise_scores(
    test: Observations, rows: NDArray[np.int64], y: Floats, marginal: Marginal
) -> dict[str, float]:
    """Compare the stated noise of a measurement with how replicates scatter.

    Empty where no condition is asked about twice, or no noise is stated.
    """
    groups: dict[bytes, list[int]] = {}
    for i, key in enumerate(test.questions.take(rows).keys()):
        groups.setdefault(key, []).append(i)
    repeated = [members for members in groups.values() if len(members) > 1]
    if marginal.noise_sd is None or not repeated:
        return {}
    stated = marginal.noise_sd[rows]
    freedom = np.array([len(members) - 1 for members in repeated])
    variance = np.array([y[members].var(ddof=1) for members in repeated])
    expected = np.array([stated[members[0]] for members in repeated])
    seen = float(np.average(variance, weights=freedom))
    told = float(np.average(expected**2, weights=freedom))
    if seen <= 0.0:
        return {}
    return {
        "noise_sd_ratio": float(np.sqrt(told / seen)),
        "noise_sd_spearman": scores.spearman(np.sqrt(variance), expected),
    }
