"""Policies that score a pool by what is known of it: fast enough to be rehearsed.

The same function plays thousands of virtual campaigns side by side and one real one.
Shapes: `e` agents, `N` candidates.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from labwm.design.utility import log_expected_excess
from labwm.schema import Objective
from labwm.world_model.reward import utility

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Seen:
    """What agents know before an experiment.

    Attributes:
        objective: What is wanted, of one readout.
        mean: Expected readout of each candidate, `e x N`.
        sd: Standard deviation of the function there, without noise, `e x N`.
        best: Best utility measured so far, the log included, length `e`.
        is_open: Candidates not measured yet, `e x N`.
        draw: Draws one function per agent from what it knows, `e x N`.
    """

    objective: Objective
    mean: Floats
    sd: Floats
    best: Floats
    is_open: Bools
    draw: Callable[[np.random.Generator], Floats]

    @property
    def utility(self) -> Floats:
        """Utility of what is expected, `e x N`."""
        return utility(self.objective, self.mean)

    @property
    def log_improvement(self) -> Floats:
        """Logarithm of the expected improvement over the best so far, `e x N`."""
        return log_expected_excess(
            self.objective, self.mean, self.sd, self.best[:, None]
        )


PoolPolicy = Callable[[Seen, np.random.Generator], Floats]
"""Scores the candidates, `e x N`; the best open one is measured next."""


def choose(policy: PoolPolicy, seen: Seen, rng: np.random.Generator) -> Ints:
    """Return the open candidate that each agent measures next, length `e`."""
    scores = np.where(seen.is_open, policy(seen, rng), -np.inf)
    return np.argmax(scores, axis=1).astype(np.int64)


def greedy(seen: Seen, rng: np.random.Generator) -> Floats:
    """Score by what is expected."""
    del rng
    return seen.utility


def spread(seen: Seen, rng: np.random.Generator) -> Floats:
    """Score by what is not known."""
    del rng
    return seen.sd


def improvement(seen: Seen, rng: np.random.Generator) -> Floats:
    """Score by expected improvement."""
    del rng
    return seen.log_improvement


def thompson(seen: Seen, rng: np.random.Generator) -> Floats:
    """Score by one drawn function."""
    return utility(seen.objective, seen.draw(rng))


def anything(seen: Seen, rng: np.random.Generator) -> Floats:
    """Score by chance."""
    return rng.random(seen.mean.shape)


def upper_bound(kappa: float) -> PoolPolicy:
    """Return the policy that scores by what is expected plus `kappa` deviations."""

    def policy(seen: Seen, rng: np.random.Generator) -> Floats:
        del rng
        return seen.utility + kappa * seen.sd

    return policy


def with_chance(policy: PoolPolicy, share: float) -> PoolPolicy:
    """Return the policy that chooses anything in a share of its experiments."""

    def mixed(seen: Seen, rng: np.random.Generator) -> Floats:
        is_random = rng.random(len(seen.mean)) < share
        return np.where(
            is_random[:, None], rng.random(seen.mean.shape), policy(seen, rng)
        )

    return mixed


CANDIDATES: Final[Mapping[str, PoolPolicy]] = MappingProxyType(
    {
        "greedy": greedy,
        "upper_bound_0.5": upper_bound(0.5),
        "upper_bound_1": upper_bound(1.0),
        "upper_bound_2": upper_bound(2.0),
        "upper_bound_4": upper_bound(4.0),
        "improvement": improvement,
        "improvement_quarter_random": with_chance(improvement, 0.25),
        "thompson": thompson,
        "spread": spread,
        "random": anything,
    }
)
"""The declared set that a policy is picked from."""

SENSIBLE: Final = tuple(name for name in CANDIDATES if name not in ("spread", "random"))
"""Those that somebody might have taken who had no virtual lab."""
