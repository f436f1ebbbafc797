"""Choose a batch one by one, each choice given what the earlier ones may give.

The earlier choices' outcomes are drawn `s` times; the next candidate's gain is then in
closed form in each draw. So only the earlier outcomes are Monte Carlo.
Shapes: `s` draws, `c` candidates, `k` objectives, `f` known points.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp, ndtri
from scipy.stats import qmc

from labwm.design.improvement import Improvement
from labwm.design.posterior import Latent

Floats = NDArray[np.float64]

N_DRAWS = 64
BLOCK = 256
"""Candidates looked at together."""


@dataclass(frozen=True)
class Picks:
    """A batch among `c` candidates.

    Attributes:
        index: Candidates, in the order chosen.
        log_gain: Logarithm of what each is expected to add to those before.
    """

    index: tuple[int, ...]
    log_gain: tuple[float, ...]


@dataclass(frozen=True)
class Problem:
    """What a batch is chosen from and for.

    Attributes:
        latent: Posterior of candidates and pending experiments together.
        improvement: What an outcome adds.
        utility_of: From readouts `... x k` to utilities of the same shape.
        known: Utilities known before, `f x k`.
        log_weight: Logarithm of the probability that an outcome counts, length `c`.
        is_pending: Entries that are taken before any choice, length `c`.
        bound: Logarithm of what each adds alone, weight included, length `c`: it never
            adds more to a batch, so what lies below the best found is not looked at.
    """

    latent: Latent
    improvement: Improvement
    utility_of: Callable[[Floats], Floats]
    known: Floats
    log_weight: Floats
    is_pending: NDArray[np.bool_]
    bound: Floats | None = None


def greedy_batch(problem: Problem, n: int, *, seed: int) -> Picks:
    """Choose up to `n` candidates; each choice costs `s * c * (f + n)` and one column.

    Reference:
        Wilson, Hutter & Deisenroth, NeurIPS 2018, arXiv 1805.10196, sec. 4: greedy
        choices come within 1 - 1/e of the best batch.
    """
    pending = np.flatnonzero(problem.is_pending)
    n = min(n, len(problem.is_pending) - len(pending))
    fantasy = _Fantasy(problem, len(pending) + n, seed)
    for i in pending:
        fantasy.add(int(i))
    known = np.inf if problem.bound is None else problem.bound
    bound = np.where(problem.is_pending, -np.inf, known)
    index: list[int] = []
    gains: list[float] = []
    for _ in range(n):
        best, gain = _best(fantasy, bound)
        index.append(best)
        gains.append(gain)
        bound[best] = -np.inf
        if len(index) < n:
            fantasy.add(best)
    return Picks(tuple(index), tuple(gains))


def _best(fantasy: "_Fantasy", bound: Floats) -> tuple[int, float]:
    """Return the candidate that adds most, looking at the most promising first."""
    order = np.argsort(-bound, kind="stable")
    best, gain = int(order[0]), -np.inf
    for first in range(0, len(order), BLOCK):
        if gain >= bound[order[first]]:
            break
        some = order[first : first + BLOCK]
        some = some[bound[some] > -np.inf]
        if not len(some):
            break
        found = fantasy.log_gain(some)
        i = int(np.argmax(found))
        if found[i] > gain:
            best, gain = int(some[i]), float(found[i])
    return best, gain


class _Fantasy:
    """The posterior in `s` draws of what was taken so far."""

    def __init__(self, problem: Problem, n_taken: int, seed: int) -> None:
        self._problem = problem
        k = problem.latent.mean.shape[1]
        self._z = _normal_draws(n_taken * k, seed).reshape(N_DRAWS, n_taken, k)
        self._mean = problem.latent.mean[None]
        self._variance = problem.latent.sd**2
        self._known = problem.known[None]
        self._columns: list[Floats] = []

    def log_gain(self, some: NDArray[np.int64]) -> Floats:
        """Return the mean gain of some candidates over the draws, as a logarithm."""
        sd = np.sqrt(np.maximum(self._variance[some], 0.0))
        mean = self._mean[:, some]
        gain = self._problem.improvement.log_gain(mean, sd, self._known)
        weight = self._problem.log_weight[some]
        return logsumexp(gain, axis=0) - np.log(len(gain)) + weight

    def add(self, i: int) -> None:
        """Take a candidate: draw its outcome and condition the others on it."""
        column = self._problem.latent.covariance_with(i).copy()
        for earlier in self._columns:
            column -= earlier * earlier[i]
        rest = np.sqrt(np.maximum(self._variance[i], 0.0))
        column = np.divide(column, rest, out=np.zeros_like(column), where=rest > 0)
        z = self._z[:, len(self._columns)]
        drawn = self._problem.utility_of(self._mean[:, i] + rest * z)
        self._mean = self._mean + column[None] * z[:, None, :]
        self._variance = self._variance - column**2
        self._variance[i] = 0.0
        known = np.broadcast_to(self._known, (len(z), *self._known.shape[1:]))
        self._known = np.concatenate([known, drawn[:, None, :]], axis=1)
        self._columns.append(column)


def _normal_draws(d: int, seed: int) -> Floats:
    # Scrambled Sobol points cover few draws of many dimensions more evenly.
    points = qmc.Sobol(max(d, 1), rng=np.random.default_rng(seed)).random(N_DRAWS)
    return ndtri(np.clip(points[:, :d], 1e-9, 1 - 1e-9))
