"""How much of a pool each of many agents knows: the potential of rewards.

Shapes: `e` agents, `n` of them that learn in a step.
"""

import numpy as np
from numpy.typing import NDArray

from labwm.errors import InvalidInputError
from labwm.virtual_lab.campaign_task import CampaignTask
from labwm.virtual_lab.pool_belief import PoolBelief
from labwm.world_model.joint import JointPosterior

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class Knowledge:
    """Share of the variance over the pool that experiments removed, by agent.

    It follows from what was measured, in any order, not from what came out. Where a
    task gives information no weight it is not computed, and is 0.
    """

    def __init__(self, task: CampaignTask, n_agents: int) -> None:
        """Begin with nothing known.

        Raises:
            InvalidInputError: If information has a weight and the task's model has no
                joint posterior on its pool.
        """
        self._n = n_agents
        self._columns: list[int] = []
        self._beliefs: list[PoolBelief] = []
        if task.reward.information_weight == 0:
            return
        if not isinstance(task.joint, JointPosterior):
            raise InvalidInputError(
                "Information is rewarded where the model knows the joint posterior of "
                f"the pool; got {type(task.model).__name__} on {len(task.pool)} "
                "candidates. Set information_weight to 0, or take a smaller pool."
            )
        names = task.protocol.readout_names
        self._columns = sorted(
            {names.index(o.readout) for o in task.protocol.objectives}
        )
        self._beliefs = [
            PoolBelief(task.joint, j, n_agents=n_agents, n_most=task.budget)
            for j in self._columns
        ]

    def known(self) -> Floats:
        """Return the share known, mean over the objectives, length `e`."""
        if not self._beliefs:
            return np.zeros(self._n)
        return np.mean([belief.known() for belief in self._beliefs], axis=0)

    def forget(self, agents: Ints) -> None:
        """Let some agents begin anew."""
        for belief in self._beliefs:
            belief.forget(agents)

    def learn(self, agents: Ints, rows: Ints, values: Floats) -> None:
        """Take in one experiment of each of some agents; `values` is `n x m`."""
        for j, belief in zip(self._columns, self._beliefs, strict=True):
            belief.learn(agents, rows, values[:, j])
