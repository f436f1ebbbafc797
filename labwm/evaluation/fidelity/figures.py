"""From campaigns in both labs to agreement, with intervals and noise floors.

Shapes: `l` logs, `e` seeds, `k` policies, `b` resamples.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from labwm.evaluation.bootstrap import LEVEL
from labwm.evaluation.fidelity.agreement import METRICS, n_apart, value_bias
from labwm.evaluation.fidelity.panel import TRIVIAL
from labwm.evaluation.prediction_powered import prediction_powered, real_only
from labwm.schema.fidelity import CORRELATIONS

Floats = NDArray[np.float64]

N_RESAMPLES = 500
N_SPLITS = 200
N_SUBSETS = 40
N_MEASURED = 20
"""Real campaigns that stand for a small budget, in prediction-powered estimates."""

_EXTENT = {
    **dict.fromkeys(METRICS, (0.0, 1.0)),
    **dict.fromkeys(CORRELATIONS, (-1.0, 1.0)),
}
"""Least and most that a figure can be; the value bias can be anything."""


@dataclass(frozen=True)
class Returns:
    """What policies returned.

    Attributes:
        policies: Names, length `k`.
        virtual: `l x e x k`.
        real: `l x e x k`; the same seeds.
    """

    policies: tuple[str, ...]
    virtual: Floats
    real: Floats

    def without(self, left_out: Sequence[str]) -> "Returns":
        """Return the same of fewer policies."""
        kept = [i for i, name in enumerate(self.policies) if name not in left_out]
        names = tuple(self.policies[i] for i in kept)
        return Returns(names, self.virtual[..., kept], self.real[..., kept])

    @property
    def without_trivial(self) -> "Returns":
        """Return the same of the policies that learn from what they measure."""
        return self.without(TRIVIAL)


@dataclass(frozen=True)
class Figure:
    """A figure with its 95 % interval; NaN where it is not defined."""

    value: float
    low: float
    high: float


def agreement(returns: Returns) -> dict[str, Figure]:
    """Return every measure of agreement, the mean over logs, and the value bias.

    Intervals resample the seeds of each log, the same in both labs and for every
    policy: they say how sure a figure is for these logs, not for others. Resampling
    adds the seeds' noise once more, which lowers every correlation; so the spread of
    the resamples is put around the figure itself, within what a figure can be.
    """
    measures = {**METRICS, "value_bias": value_bias}
    virtual, real = _resampled(returns)
    found: dict[str, Figure] = {}
    for name, measure in measures.items():
        means = returns.virtual.mean(axis=1), returns.real.mean(axis=1)
        value = float(measure(*means).mean())
        drawn = measure(virtual, real).mean(axis=0)
        spread = _spread(drawn, returns)
        least, most = _EXTENT.get(name, (-np.inf, np.inf))
        low, high = (np.clip(value + side, least, most) for side in spread)
        found[name] = Figure(value, float(low), float(high))
    return found


def by_log(returns: Returns) -> dict[str, Floats]:
    """Return every measure of agreement of each log, length `l`."""
    means = returns.virtual.mean(axis=1), returns.real.mean(axis=1)
    return {name: measure(*means) for name, measure in METRICS.items()}


def noise_floor(returns: Returns) -> dict[str, float]:
    """Return the agreement of two disjoint halves of the real seeds, the mean of many.

    It is what a perfect virtual lab of half as many seeds would reach. NaN with fewer
    than four seeds.
    """
    _, n_seeds, n_policies = returns.real.shape
    if n_seeds < 4:
        return dict.fromkeys(METRICS, np.nan)
    rng = np.random.default_rng(0)
    halves = np.empty((2, N_SPLITS, len(returns.real), n_policies))
    for i in range(N_SPLITS):
        order = rng.permutation(n_seeds)
        half = n_seeds // 2
        halves[0, i] = returns.real[:, order[:half]].mean(axis=1)
        halves[1, i] = returns.real[:, order[half : 2 * half]].mean(axis=1)
    return {
        name: _mean_of_defined(measure(halves[0], halves[1]))
        for name, measure in METRICS.items()
    }


def policies_apart(returns: Returns) -> int:
    """Return how many policies differ in the real lab, over all logs and seeds."""
    real = returns.real.reshape(-1, returns.real.shape[-1])
    if len(real) < 2:
        return 1
    difference = real[:, :, None] - real[:, None, :]
    errors = difference.std(axis=0, ddof=1) / np.sqrt(len(real))
    return n_apart(real.mean(axis=0), errors)


def powered(returns: Returns) -> dict[str, Figure]:
    """Return coverage and width of intervals from few real campaigns and all virtual.

    A policy's value is its mean over all real seeds of a log; `N_MEASURED` of them are
    known, the virtual campaigns of all. Empty where there are fewer than twice as many.
    """
    n_seeds = returns.real.shape[1]
    if n_seeds < 2 * N_MEASURED:
        return {}
    rng = np.random.default_rng(1)
    covered: list[float] = []
    ratios: list[float] = []
    for virtual, real in zip(returns.virtual, returns.real, strict=True):
        for _ in range(N_SUBSETS):
            rows = rng.permutation(n_seeds)[:N_MEASURED]
            for k in range(real.shape[1]):
                y, f = real[rows, k], virtual[rows, k]
                said = prediction_powered(y, f, virtual[:, k])
                plain = real_only(y, n_seeds)
                covered.append(float(said.covers(float(real[:, k].mean()))))
                ratios.append(said.width / plain.width if plain.width > 0 else np.nan)
    known = np.array(ratios)
    known = known[~np.isnan(known)]
    low, high = np.quantile(known, [0.025, 0.975]) if len(known) else (np.nan, np.nan)
    ratio = float(known.mean()) if len(known) else np.nan
    coverage = float(np.mean(covered))
    return {
        "ppi_coverage90": Figure(coverage, np.nan, np.nan),
        "ppi_width_ratio": Figure(ratio, float(low), float(high)),
    }


def _resampled(returns: Returns) -> tuple[Floats, Floats]:
    """Return means of resampled seeds, `l x b x k` each."""
    n_logs, n_seeds, _ = returns.real.shape
    rng = np.random.default_rng(0)
    chance = np.full(n_seeds, 1.0 / n_seeds)
    counts = rng.multinomial(n_seeds, chance, size=(n_logs, N_RESAMPLES)) / n_seeds
    return counts @ returns.virtual, counts @ returns.real


def _spread(drawn: Floats, returns: Returns) -> tuple[float, float]:
    """Return how far the resamples' central 95 % reaches from their mean."""
    known = drawn[~np.isnan(drawn)]
    if returns.real.shape[1] < 2 or not len(known):
        return np.nan, np.nan
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(known, [tail, 1 - tail]) - known.mean()
    return float(low), float(high)


def _mean_of_defined(values: Floats) -> float:
    # A half in which all policies return the same has no ranking to agree with.
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else np.nan
