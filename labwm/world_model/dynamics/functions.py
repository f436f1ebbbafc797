"""Functions of time on knots, learnt from reads on grids of their own.

A function is its values at `G` knots, straight between them and constant beyond. All
curves are draws of one Gaussian over those values, read with noise; mean, covariance
and each curve's noise are learnt by expectation and maximisation, so that irregular
grids and missing reads need no care: a curve says of the knots what its reads say.

Shapes: `n` curves, `G` knots, `L` principal functions, `t` reads.

References:
    James, Hastie & Sugar, Biometrika 87 (2000) 587: principal functions of sparse reads
    by a mixed-effects model; Yao, Müller & Wang, JASA 100 (2005) 577.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from labwm.space.curves import Reads

Floats = NDArray[np.float64]

MOST_KNOTS: Final = 24
N_ROUNDS: Final = 25
SMOOTH: Final = 0.5
"""Length over which a function is alike before anything was learnt, share of time."""
PRIOR_WEIGHT: Final = 2.0
"""Curves that the prior covariance counts as, times its share of the variance."""
PRIOR_SHARE: Final = 1e-3
NOISE_PRIOR: Final = 0.2
"""Reads of the pooled noise that each curve's own noise is drawn towards."""
LEAST_SD: Final = 1e-6
"""Least deviation of curves, as a share of the largest value: reads have digits."""
TINY: Final = 1e-60
LEAST_NOISE: Final = 1e-8
"""Least variance of the noise, as a share of that of all reads."""


@dataclass(frozen=True)
class Knots:
    """Where functions are held.

    Attributes:
        at: Strictly increasing times, `G`, at least two.
    """

    at: Floats

    def __len__(self) -> int:
        return len(self.at)

    @property
    def span(self) -> float:
        """Time from the first knot to the last."""
        return float(self.at[-1] - self.at[0])

    def weights(self, time: Floats) -> Floats:
        """Return what each knot adds to a function's value at each time, `t x G`."""
        place = np.clip(time, self.at[0], self.at[-1])
        left = np.clip(
            np.searchsorted(self.at, place, side="right") - 1, 0, len(self) - 2
        )
        share = (place - self.at[left]) / (self.at[left + 1] - self.at[left])
        weights = np.zeros((len(time), len(self)))
        rows = np.arange(len(time))
        weights[rows, left] = 1.0 - share
        weights[rows, left + 1] += share
        return weights

    def kernel(self, length: float) -> Floats:
        """Return the Matérn 3/2 correlation of the knots; `length` is a share of time.

        Source: Rasmussen & Williams, 2006, equation 4.17.
        """
        far = np.sqrt(3.0) * np.abs(self.at[:, None] - self.at) / (length * self.span)
        return (1.0 + far) * np.exp(-far)


def place_knots(reads: Sequence[Reads]) -> Knots:
    """Put knots where reads are: at quantiles of all times, none too close."""
    times = np.concatenate([one.time for one in reads])
    n = min(MOST_KNOTS, max(len(one) for one in reads))
    wanted = np.unique(np.quantile(times, np.linspace(0.0, 1.0, max(n, 2))))
    least = 0.3 * (wanted[-1] - wanted[0]) / len(wanted)
    kept = [wanted[0]]
    for time in wanted[1:-1]:
        if time - kept[-1] > least and wanted[-1] - time > least:
            kept.append(time)
    return Knots(np.array([*kept, wanted[-1]]))


@dataclass(frozen=True)
class Functions:
    """What the reads say of the functions.

    Attributes:
        knots: Where they are held.
        mean: Of all functions, `G`.
        values: Expected values of each curve at the knots, `n x G`.
        noise: Variance of each curve's reads around its function, `n`.
    """

    knots: Knots
    mean: Floats
    values: Floats
    noise: Floats


def learn_functions(reads: Sequence[Reads], knots: Knots) -> Functions:
    """Learn the Gaussian of all curves and what it says of each; costs `n G**3`."""
    weights = [knots.weights(one.time) for one in reads]
    grams = np.array([w.T @ w for w in weights])
    counts = np.array([len(one) for one in reads], dtype=float)
    every = np.concatenate([one.value for one in reads])
    variance = max(float(every.var()), (LEAST_SD * np.abs(every).max()) ** 2, TINY)
    far = np.abs(knots.at[:, None] - knots.at) / (SMOOTH * knots.span)
    prior = variance * np.exp(-far)
    mean, covariance = np.full(len(knots), every.mean()), prior
    noise = np.full(len(reads), 1e-3 * variance)
    values = np.empty((len(reads), len(knots)))
    for _ in range(N_ROUNDS):
        shifts = np.array([
            w.T @ (one.value - w @ mean) for w, one in zip(weights, reads, strict=True)
        ])  # fmt: skip
        spread = np.linalg.inv(np.linalg.inv(covariance) + grams / noise[:, None, None])
        values = mean + np.einsum("nij,nj->ni", spread, shifts / noise[:, None])
        mean = values.mean(axis=0)
        away = values - mean
        covariance = away.T @ away + spread.sum(axis=0)
        covariance += PRIOR_WEIGHT * PRIOR_SHARE * prior
        covariance /= len(reads) + PRIOR_WEIGHT
        covariance += 1e-9 * variance * np.eye(len(knots))
        left = np.array([
            np.sum((one.value - w @ v) ** 2)
            for w, one, v in zip(weights, reads, values, strict=True)
        ])  # fmt: skip
        left += np.einsum("nij,nji->n", grams, spread)
        pooled = left.sum() / counts.sum()
        noise = (left + NOISE_PRIOR * pooled) / (counts + NOISE_PRIOR)
        noise = np.maximum(noise, LEAST_NOISE * variance)
    return Functions(knots, mean, values, noise)


@dataclass(frozen=True)
class Principal:
    """The few functions that curves mostly differ by.

    Attributes:
        shapes: Values at the knots, `G x L`, orthonormal under `measure`.
        measure: Share of time that each knot stands for, `G`.
    """

    shapes: Floats
    measure: Floats

    def scores(self, away: Floats) -> Floats:
        """Return how much of each shape functions hold, `n x L`; `away` is `n x G`."""
        return (away * self.measure) @ self.shapes


def principal(functions: Functions, *, share: float, most: int) -> Principal:
    """Return the functions that hold a share of the variance over time."""
    gaps = np.gradient(functions.knots.at)
    measure = gaps / gaps.sum()
    root = np.sqrt(measure)
    away = (functions.values - functions.mean) * root
    _, size, rows = np.linalg.svd(away, full_matrices=False)
    held = np.cumsum(size**2) / max(np.sum(size**2), np.finfo(float).tiny)
    n = min(most, 1 + int(np.searchsorted(held, share)), len(size))
    shapes = rows[:n].T / root[:, None]
    # The sign of a singular vector is free: fixed, so that it means the same anywhere.
    shapes *= np.where(shapes.sum(axis=0) < 0.0, -1.0, 1.0)
    return Principal(shapes, measure)
