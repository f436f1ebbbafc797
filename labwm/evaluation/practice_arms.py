"""Practise, then act: picking and training in the virtual lab, or on real steps alone.

Shapes: `e` campaigns side by side, `t` experiments, `N` candidates.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from labwm.errors import InvalidInputError
from labwm.evaluation.pool_policies import Floats, Ints, PoolPolicy, choose
from labwm.evaluation.rehearsal import (
    Campaigns,
    RealCampaign,
    Rehearsal,
    VirtualCampaigns,
    steps_to,
)
from labwm.evaluation.scorer import PolicyGradient, Scorer, ScorerPolicy, Steps
from labwm.evaluation.yardstick import TOP_SHARE

DISCOUNT: Final = 0.95
"""Of a real gain one experiment later; in the virtual lab nothing is discounted."""
RATE: Final = 0.03
ENTROPY: Final = 0.003
_APART: Final = 10_000
"""More than the environments side by side: their seeds count on from one number."""


@dataclass(frozen=True)
class Practice:
    """How much is practised.

    Attributes:
        worlds: Worlds that each candidate policy is tried in.
        episodes: Virtual campaigns that a step of training learns from.
        iterations: Steps of training.
        horizon: Experiments of a virtual campaign.
        n_pick: Most candidates of the pool that policies are picked on.
        n_train: Most candidates of the pool that a network is trained on.
    """

    worlds: int = 128
    episodes: int = 64
    iterations: int = 40
    horizon: int = 30
    n_pick: int = 400
    n_train: int = 200

    def __post_init__(self) -> None:
        least = min(
            self.worlds, self.episodes, self.iterations, self.horizon, self.n_pick
        )
        if min(least, self.n_train) < 1:
            raise InvalidInputError(
                f"Practice needs one or more of everything; got {self}. Raise what is "
                "zero."
            )


def play(
    campaigns: Campaigns, policy: PoolPolicy, n_steps: int, rng: np.random.Generator
) -> Ints:
    """Play and return the candidates measured, `t x e`."""
    chosen = []
    for _ in range(n_steps):
        rows = choose(policy, campaigns.seen(), rng)
        campaigns.measure(rows)
        chosen.append(rows)
    return np.stack(chosen)


def virtual_steps_to_top(
    rehearsal: Rehearsal, policy: PoolPolicy, *, worlds: int, seed: int
) -> Ints:
    """Return the virtual experiments to the top 1 % of each world, length `worlds`.

    A world in which it was not found counts one experiment more than the budget.
    """
    campaigns = VirtualCampaigns(rehearsal, worlds, seed=seed)
    rng = np.random.default_rng([seed, 1])
    rows = play(campaigns, policy, rehearsal.task.budget, rng)
    return steps_to(_is_found(campaigns.utilities(), rows))


def _is_found(truth: Floats, rows: Ints) -> NDArray[np.bool_]:
    """Tell which experiments gave one of the best 1 % of their world, `t x e`."""
    n_top = max(1, round(TOP_SHARE * truth.shape[1]))
    least = np.sort(truth, axis=1)[:, -n_top]
    found = np.take_along_axis(truth, rows.T, axis=1).T
    return found >= least


def pick(
    rehearsal: Rehearsal,
    candidates: Mapping[str, PoolPolicy],
    practice: Practice,
    *,
    seed: int,
) -> tuple[str, dict[str, float]]:
    """Return the policy that needs fewest virtual experiments, and what each needs.

    All are tried in the same worlds.
    """
    own = rehearsal.on_some(practice.n_pick, seed=seed)
    needed = {
        name: float(
            virtual_steps_to_top(own, policy, worlds=practice.worlds, seed=seed).mean()
        )
        for name, policy in candidates.items()
    }
    return min(needed, key=lambda name: needed[name]), needed


@dataclass(frozen=True)
class Trained:
    """A network after training.

    Attributes:
        policy: What it learnt.
        needed: Mean experiments to the top 1 % in each step of training.
        seconds: Wall time.
    """

    policy: ScorerPolicy
    needed: tuple[float, ...]
    seconds: float


def train(rehearsal: Rehearsal, practice: Practice, *, seed: int) -> Trained:
    """Train a network in the virtual lab alone, every episode in a world of its own.

    A virtual lab knows what its world holds, so that the network learns the goal
    itself: every experiment costs one until one of the best 1 % is met.
    """
    start = time.perf_counter()
    own = rehearsal.on_some(practice.n_train, seed=seed)
    gradient = _gradient(seed, discount=1.0)
    rng = np.random.default_rng([seed, 2])
    needed = []
    for i in range(practice.iterations):
        campaigns = VirtualCampaigns(
            own, practice.episodes, seed=seed + _APART * (i + 1)
        )
        steps = collect(campaigns, gradient, own.task.budget, rng)
        is_found = _is_found(campaigns.utilities(), np.stack(steps.chosen))
        still = ~np.logical_or.accumulate(is_found, axis=0)
        gradient.learn(replace(steps, gains=[-one.astype(float) for one in still]))
        needed.append(float(steps_to(is_found).mean()))
    policy = ScorerPolicy(gradient.scorer)
    return Trained(policy, tuple(needed), time.perf_counter() - start)


def collect(
    campaigns: Campaigns,
    gradient: PolicyGradient,
    n_steps: int,
    rng: np.random.Generator,
) -> Steps:
    """Play by chances that the network states, and keep what it learns from."""
    steps = Steps([], [], [], [])
    for _ in range(n_steps):
        seen = campaigns.seen()
        features, rows = gradient.draw(seen, rng)
        steps.features.append(features)
        steps.is_open.append(seen.is_open)
        steps.chosen.append(rows)
        steps.gains.append(campaigns.measure(rows))
    return steps


def train_for_real(
    campaign: RealCampaign, *, n_steps: int, chunk: int, seed: int
) -> tuple[ScorerPolicy, Ints]:
    """Train a network of the same kind on real experiments alone.

    Its reward is what a lab tells: the gain over the best so far, less the cost. It
    learns from every chunk of experiments and goes on; nothing is ever reset, as in a
    lab, so that no experiment is repeated.

    Returns:
        What it learnt, and the rows that it measured meanwhile, length `n_steps`.
    """
    gradient = _gradient(seed, discount=DISCOUNT)
    rng = np.random.default_rng([seed, 3])
    rows: list[Ints] = []
    while len(rows) < n_steps:
        n = min(chunk, n_steps - len(rows))
        steps = collect(campaign, gradient, n, rng)
        gradient.learn(steps)
        rows += steps.chosen
    return ScorerPolicy(gradient.scorer), np.concatenate(rows)


def real_steps_to(
    campaign: RealCampaign,
    policy: PoolPolicy,
    is_wanted: NDArray[np.bool_],
    *,
    most: int,
    seed: int,
) -> int:
    """Return the real experiments to the first row wanted; `most + 1` without."""
    rng = np.random.default_rng([seed, 4])

    def step() -> int:
        rows = choose(policy, campaign.seen(), rng)
        campaign.measure(rows)
        return int(rows[0])

    return count_until(step, is_wanted, most=most)


def count_until(
    step: Callable[[], int], is_wanted: NDArray[np.bool_], *, most: int
) -> int:
    """Return how often a step is taken until it gives a row wanted."""
    for n in range(1, most + 1):
        if is_wanted[step()]:
            return n
    return most + 1


def _gradient(seed: int, *, discount: float) -> PolicyGradient:
    return PolicyGradient(Scorer(seed), discount=discount, rate=RATE, entropy=ENTROPY)
