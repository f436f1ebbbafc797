"""Worlds of many episodes at once: one batched call measures in all of them.

Shapes: `e` episodes, `n` measurements, `N` candidates, `m` readouts.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from labwm.virtual_lab.campaign_task import CampaignTask
from labwm.virtual_lab.outcomes import chance_of_failure, report
from labwm.virtual_lab.worlds import make_world
from labwm.world_model.contract import World

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class ParallelWorlds:
    """One world per episode; the same seed plays the same world as `CampaignEnv`.

    Posterior draws of a pool with a joint posterior are kept as one array,
    `e x N x m`; other worlds are asked one after another.
    """

    def __init__(self, task: CampaignTask, n_episodes: int, kind: str) -> None:
        """Prepare worlds of a kind, one of `WORLDS`; `enter` draws them.

        Raises:
            InvalidInputError: If the kind is unknown, or `lookup` has no table.
        """
        self.task, self.kind = task, kind
        self._seeds = np.zeros(n_episodes, dtype=np.int64)
        self._worlds: list[World] = [make_world(kind, task, 0)] * n_episodes
        self._keys = task.pool.keys()
        is_joint = kind == "posterior_draw" and task.joint is not None
        shape = (n_episodes if is_joint else 0, len(task.pool), len(self.readouts))
        self._latent = np.empty(shape)

    @property
    def readouts(self) -> tuple[str, ...]:
        """Names of the readouts, length `m`."""
        return self.task.protocol.readout_names

    def enter(self, episodes: Ints, seeds: Sequence[int]) -> None:
        """Begin episodes, each in the world of its seed."""
        self._seeds[episodes] = seeds
        if len(self._latent):
            assert self.task.joint is not None  # or there would be no array
            self._latent[episodes] = self.task.joint.latent(seeds)
        elif self.kind == "posterior_draw":
            for episode, seed in zip(episodes, seeds, strict=True):
                self._worlds[episode] = make_world(self.kind, self.task, seed)

    def truths(self) -> Floats:
        """Return what each candidate gives in each world without noise, `e x N x m`."""
        if not len(self._latent):
            return np.stack([world.truth(self.task.pool) for world in self._worlds])
        assert self.task.joint is not None  # or there would be no array
        e, n, m = self._latent.shape
        flat = self._latent.reshape(e * n, m)
        return self.task.joint.calibrated(flat, np.tile(np.arange(n), e)).reshape(
            e, n, m
        )

    def measure(
        self, episodes: Ints, rows: Ints, replicate: Ints
    ) -> tuple[Floats, NDArray[np.object_]]:
        """Measure one candidate in each of some episodes.

        Args:
            episodes: Which, length `n`.
            rows: Row of the pool, length `n`.
            replicate: Its replicate number, length `n`.

        Returns:
            Values and statuses as the lab would report them, `n x m`.
        """
        happened = self._outcome(episodes, rows, replicate)
        rate, fails = self.task.failure_rate, np.zeros(len(rows), dtype=bool)
        if rate > 0:
            chances = [
                chance_of_failure(int(seed), self._keys[row], int(number))
                for seed, row, number in zip(
                    self._seeds[episodes], rows, replicate, strict=True
                )
            ]
            fails = np.array(chances) < rate
        values, _, statuses = report(self.task.protocol, self.readouts, happened, fails)
        return values, statuses

    def _outcome(self, episodes: Ints, rows: Ints, replicate: Ints) -> Floats:
        pool, joint = self.task.pool, self.task.joint
        if len(self._latent):
            assert joint is not None  # or there would be no array
            noise = joint.noise(self._seeds[episodes].tolist(), rows, replicate)
            return joint.calibrated(self._latent[episodes, rows] + noise, rows)
        if self.kind != "posterior_draw":  # the same world for every seed
            return self._worlds[0].outcome(pool.take(rows), replicate)
        parts = [
            self._worlds[episode].outcome(pool.take([row]), np.array([number]))
            for episode, row, number in zip(episodes, rows, replicate, strict=True)
        ]
        return np.concatenate([np.empty((0, len(self.readouts))), *parts])
