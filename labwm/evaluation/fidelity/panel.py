"""The frozen panel: policies of known, graded quality, the same in every lab.

A policy measures one experiment at a time. Hyperparameters are learnt from the log once
and stay; location and scale follow what the campaign measured, as in every fit.
Shapes: `N` rows of the pool.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from labwm.design.improvement import BestImprovement
from labwm.errors import NotFoundError, suggest
from labwm.evaluation.fidelity.frozen import Campaign, FrozenKernel
from labwm.schema import Objective
from labwm.world_model.reward import utility

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class PanelPolicy:
    """One member of the panel.

    Attributes:
        rule: `improvement`, `greedy`, `thompson`, `space_filling` or `random`.
        kernel: `default`, or `one_hot` where molecules are names and nothing more.
        epsilon: Share of experiments that are drawn at random instead.
    """

    rule: str
    kernel: str = "default"
    epsilon: float = 0.0


PANEL: Final[Mapping[str, PanelPolicy]] = {
    "default": PanelPolicy("improvement"),
    "default_0.25": PanelPolicy("improvement", epsilon=0.25),
    "default_0.5": PanelPolicy("improvement", epsilon=0.5),
    "default_0.75": PanelPolicy("improvement", epsilon=0.75),
    "random": PanelPolicy("random", epsilon=1.0),
    "one_hot": PanelPolicy("improvement", "one_hot"),
    "greedy": PanelPolicy("greedy"),
    "thompson": PanelPolicy("thompson"),
    "space_filling": PanelPolicy("space_filling"),
}
"""The default with a growing share of random experiments, and other policies."""
TRIVIAL: Final = ("random", "space_filling")
"""Policies that learn nothing: agreement is also stated without them."""


@dataclass(frozen=True)
class Player:
    """What campaigns on one pool share.

    Attributes:
        kernels: By name; the one that a policy names.
        objective: What is wanted of the readout.
        features: Of the pool, `N x d`, for designs.
        budget: Experiments of a campaign.
        n_initial: The first of them, drawn at random, the same for every policy.
    """

    kernels: Mapping[str, FrozenKernel]
    objective: Objective
    features: Floats
    budget: int
    n_initial: int

    def play(self, name: str, readings: Floats, *, seed: int) -> NDArray[np.int64]:
        """Return the rows that a policy measures, in its order, length `budget`.

        Args:
            name: Of the policy.
            readings: What measuring each row would give, length `N`; NaN where the
                experiment fails. A policy sees only what it measured.
            seed: The same first experiments and the same random numbers for every
                policy and in every lab.
        """
        policy = PANEL[name]
        order = np.random.default_rng([seed, 1]).permutation(len(readings))
        coin = np.random.default_rng([seed, 2]).random(self.budget)
        choose = self._chooser(policy, seed)
        campaign = Campaign(self.kernels[policy.kernel], self.budget)
        is_left = np.ones(len(readings), dtype=bool)
        rows: list[int] = []
        for step in range(self.budget):
            is_blind = step < self.n_initial or coin[step] < policy.epsilon
            if is_blind or len(campaign.rows) < 2:
                row = int(order[np.argmax(is_left[order])])
            else:
                row = choose(campaign, is_left, step)
            is_left[row] = False
            rows.append(row)
            if not np.isnan(readings[row]):
                campaign.tell(row, float(readings[row]))
        return np.array(rows, dtype=np.int64)

    def _chooser(
        self, policy: PanelPolicy, seed: int
    ) -> Callable[[Campaign, NDArray[np.bool_], int], int]:
        match policy.rule:
            case "greedy":
                return self._greedy
            case "thompson":
                return self._thompson(self.kernels[policy.kernel], seed)
            case "space_filling":
                return self._farthest
            case _:
                return self._improvement

    def _improvement(
        self, campaign: Campaign, is_left: NDArray[np.bool_], _step: int
    ) -> int:
        mean, sd = campaign.mean_and_sd()
        floor = float(utility(self.objective, mean[campaign.rows]).max())
        rows = np.flatnonzero(is_left)
        gain = BestImprovement(self.objective, floor).log_gain(
            mean[None, rows, None], sd[rows, None], np.empty((1, 0, 1))
        )
        return int(rows[np.argmax(gain[0])])

    def _greedy(
        self, campaign: Campaign, is_left: NDArray[np.bool_], _step: int
    ) -> int:
        worth = utility(self.objective, campaign.mean_and_sd()[0])
        return _best(worth, is_left)

    def _thompson(
        self, kernel: FrozenKernel, seed: int
    ) -> Callable[[Campaign, NDArray[np.bool_], int], int]:
        rng = np.random.default_rng([seed, 3])
        n = len(kernel.covariance)
        prior = kernel.factor @ rng.standard_normal((n, self.budget))
        noise = rng.standard_normal((self.budget, self.budget))

        def choose(campaign: Campaign, is_left: NDArray[np.bool_], step: int) -> int:
            drawn = campaign.drawn(prior[:, step], noise[step, : len(campaign.rows)])
            return _best(utility(self.objective, drawn), is_left)

        return choose

    def _farthest(
        self, campaign: Campaign, is_left: NDArray[np.bool_], _step: int
    ) -> int:
        x = self.features
        squares = (x * x).sum(1)
        known = x[campaign.rows]
        away = squares[:, None] + (known * known).sum(1) - 2.0 * (x @ known.T)
        return _best(away.min(axis=1), is_left)


def require_policies(names: tuple[str, ...]) -> None:
    """Refuse a panel with an unknown policy.

    Raises:
        NotFoundError: If a policy is not of the panel.
    """
    for name in names:
        if name not in PANEL:
            raise NotFoundError(
                f"The frozen panel has its own policies; got {name!r}. "
                f"{suggest(name, PANEL)}"
            )


def _best(worth: Floats, is_left: NDArray[np.bool_]) -> int:
    return int(np.argmax(np.where(is_left, worth, -np.inf)))
