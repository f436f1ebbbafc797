"""What a campaign environment is about, and an episode of it.

Shapes: `N` candidates, `n` experiments done, `m` readouts.
"""

from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from labwm.errors import InvalidInputError
from labwm.schema import Prediction, Protocol
from labwm.space.questions import Observations, Questions
from labwm.virtual_lab.outcomes import refuse_curves
from labwm.world_model.contract import (
    MOST_QUESTIONS,
    PoolWorlds,
    SupportsJoint,
    WorldModel,
)
from labwm.world_model.reward import RewardSpec, prices, reward_spec

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class CampaignTask:
    """A pool to spend a budget on, and a model to draw worlds from.

    Attributes:
        model: Draws the worlds; what it expects is shown to the agent.
        protocol: Says what is wanted and what it costs.
        pool: Candidates, `N` rows.
        budget: Experiments of an episode.
        failure_rate: Share of experiments that fail.
        goal: Value of the results, in units of the reward, at which an episode is won;
            without it none ends before the budget.
        cost_weight: Reward that the whole budget costs.
        information_weight: Potential of knowing the whole pool, which rewards are
            shaped by; 0 leaves it out.
        discount: Of a reward one step later, which that potential is shaped for.
        table: Measured rows that the world `lookup` plays.

    Raises:
        InvalidInputError: If pool or budget are empty.
        ProtocolError: If a readout is a curve.
    """

    model: WorldModel = field(repr=False)
    protocol: Protocol = field(repr=False)
    pool: Questions = field(repr=False)
    budget: int
    failure_rate: float = 0.0
    goal: float | None = None
    cost_weight: float = 0.1
    information_weight: float = 0.0
    discount: float = 1.0
    table: Observations | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        refuse_curves(self.protocol)
        if len(self.pool) < 1 or self.budget < 1:
            raise InvalidInputError(
                "An environment needs a candidate and an experiment; got a pool of "
                f"{len(self.pool)} and a budget of {self.budget}. Raise what is zero."
            )

    @cached_property
    def belief(self) -> Prediction:
        """What the model expects of the pool before an episode."""
        return self.model.predict(self.pool)

    @cached_property
    def joint(self) -> PoolWorlds | None:
        """Worlds on the pool; None where the model or the pool's size has none."""
        if len(self.pool) > MOST_QUESTIONS or not isinstance(self.model, SupportsJoint):
            return None
        return self.model.joint(self.pool)

    @cached_property
    def support(self) -> Floats:
        """How close each candidate is to what the model learnt from, `N`."""
        return self.model.support(self.pool)

    @cached_property
    def reward(self) -> RewardSpec:
        """How rewards are made, in the scale of what is expected."""
        expected = self.belief.mean
        return reward_spec(
            self.protocol,
            expected,
            cost_weight=self.cost_weight,
            information_weight=self.information_weight,
            discount=self.discount,
        )

    @cached_property
    def prices(self) -> Floats:
        """Price of each candidate, `N`, in the protocol's currency."""
        return prices(self.protocol.costs, self.pool.rows())

    @cached_property
    def cost_shares(self) -> Floats:
        """Price of each candidate as a share of the budget at the mean price, `N`."""
        mean = float(self.prices.mean())
        relative = self.prices / mean if mean > 0 else np.ones(len(self.pool))
        return relative / self.budget

    @cached_property
    def centre(self) -> Floats:
        """Mean of what is expected of the pool, `m`."""
        return self.belief.mean.mean(axis=0)

    @cached_property
    def scale(self) -> Floats:
        """Standard deviation of what the pool may give, `m`."""
        variance = self.belief.mean.var(axis=0) + np.mean(self.belief.sd**2, axis=0)
        return np.sqrt(np.where(variance > 0, variance, 1.0))


@dataclass(frozen=True)
class Episode:
    """Everything that happened since a reset; never changed, only followed.

    Attributes:
        world: Kind of the world that is played.
        seed: Of the world.
        actions: Rows of the pool in the order measured, length `n`.
        values: What was measured, `n x m`; NaN where there is no number.
        has_ended: No step follows.
    """

    world: str
    seed: int
    actions: tuple[int, ...]
    values: Floats
    has_ended: bool = False

    def followed_by(self, action: int, values: Floats, *, has_ended: bool) -> "Episode":
        """Return the episode with one experiment more; `values` is `1 x m`."""
        return replace(
            self,
            actions=(*self.actions, action),
            values=np.concatenate([self.values, values]),
            has_ended=has_ended,
        )
