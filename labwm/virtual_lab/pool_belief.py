"""What many agents know about one pool, each after its own experiments, at once.

Shapes: `e` agents, `N` candidates, `n` agents that learn in a step, `t` experiments.

All agents begin with the same joint normal belief. An experiment adds one row of the
whitened covariance between what was measured and the pool, so that a step costs
`n t N` and never refits: hyperparameters are those that the first belief came with.

Reference:
    Rasmussen & Williams, Gaussian Processes for Machine Learning, 2006, alg. 2.1, its
    Cholesky factor grown row by row; draws by Matheron's rule, Wilson et al., JMLR 22
    (2021) 105.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from labwm.world_model.joint import JointPosterior

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]
Ints = NDArray[np.int64]

_LEAST: Final = 1e-5
"""Part of the mean variance that a measurement's variance never falls below: single
precision loses more than that."""


class PoolBelief:
    """Belief of `e` agents about one readout on a pool.

    Attributes:
        mean: What each agent expects, `e x N`, in the readout's unit.
    """

    def __init__(
        self, joint: JointPosterior, readout: int, *, n_agents: int, n_most: int
    ) -> None:
        """Begin with what a model knows.

        Args:
            joint: The model's posterior on the pool.
            readout: Place of the readout.
            n_agents: `e`.
            n_most: Experiments that an agent may learn from; memory is `4 e N n_most`.
        """
        factor = joint.factors[readout]
        self._start = joint.stated.location[:, readout].astype(np.float32)
        self._factor = factor.astype(np.float32)
        self._covariance = (factor @ factor.T).astype(np.float32)
        self._noise = joint.stated.aleatoric[:, readout].astype(np.float32)
        self._least = np.float32(_LEAST * np.mean(np.diagonal(self._covariance)))
        n = len(joint)
        self._white = np.zeros((n_agents, n_most, n), dtype=np.float32)
        self._root = np.zeros((n_agents, n_most, n_most), dtype=np.float32)
        self._rows = np.zeros((n_agents, n_most), dtype=np.int64)
        self._values = np.zeros((n_agents, n_most), dtype=np.float32)
        self._n = np.zeros(n_agents, dtype=np.int64)
        self.mean = np.tile(self._start, (n_agents, 1))
        self._variance = np.tile(np.diagonal(self._covariance), (n_agents, 1))

    @property
    def sd(self) -> Singles:
        """Standard deviation of the function, without noise, `e x N`."""
        return np.sqrt(np.maximum(self._variance, 0.0))

    def known(self) -> Floats:
        """Return the share of the first variance that was removed, length `e`."""
        first = float(np.mean(np.diagonal(self._covariance)))
        return 1.0 - np.mean(np.maximum(self._variance, 0.0), axis=1) / first

    def forget(self, agents: Ints) -> None:
        """Let some agents begin anew."""
        self._n[agents] = 0
        self._white[agents] = 0.0
        self.mean[agents] = self._start
        self._variance[agents] = np.diagonal(self._covariance)

    def learn(self, agents: Ints, rows: Ints, values: Floats) -> None:
        """Condition each of some agents on one measurement.

        Args:
            agents: Which, each once, length `n`.
            rows: Candidate that each measured, length `n`.
            values: What it gave, length `n`; NaN teaches nothing.
        """
        has_number = np.isfinite(values)
        agents, rows = agents[has_number], rows[has_number]
        if not len(agents):
            return
        y, at = values[has_number].astype(np.float32), self._n[agents]
        # Rows not used yet are zero, so that agents of different ages go together.
        t = int(at.max())
        past = self._white[agents, :t]
        along = np.take_along_axis(past, rows[:, None, None], axis=2)[:, :, 0]
        covariance = self._covariance[rows] - np.matmul(along[:, None], past)[:, 0]
        own = np.take_along_axis(covariance, rows[:, None], axis=1)[:, 0]
        root = np.sqrt(np.maximum(own, 0.0) + self._noise[rows] ** 2 + self._least)
        white = covariance / root[:, None]
        surprise = (y - self.mean[agents, rows]) / root
        self.mean[agents] += white * surprise[:, None]
        self._variance[agents] -= white**2
        self._white[agents, at] = white
        self._root[agents, at, :t], self._root[agents, at, at] = along, root
        self._rows[agents, at], self._values[agents, at] = rows, y
        self._n[agents] += 1

    def draw(self, rng: np.random.Generator) -> Singles:
        """Draw one function per agent from what it knows, `e x N`."""
        e, n = self.mean.shape
        normals = rng.standard_normal((e, n)).astype(np.float32)
        drawn = self._start + normals @ self._factor.T
        prior = np.asarray(drawn, dtype=np.float32)
        t = int(self._n.max())
        if not t:
            return prior
        rows, noise = self._rows[:, :t], rng.standard_normal((e, t))
        sd = np.sqrt(self._noise[rows] ** 2 + self._least)
        missing = self._values[:, :t] - np.take_along_axis(prior, rows, axis=1)
        missing = missing - sd * noise.astype(np.float32)
        unused = np.arange(t) >= self._n[:, None]
        root = self._root[:, :t, :t] + np.eye(t, dtype=np.float32) * unused[:, None]
        weights = np.linalg.solve(root, np.where(unused, 0.0, missing)[..., None])
        return prior + np.matmul(weights[:, None, :, 0], self._white[:, :t])[:, 0]
