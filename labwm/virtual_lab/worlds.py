"""The kinds of world that an episode can be played in.

Shapes: `q` questions, `m` readouts.
"""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from labwm.errors import InvalidInputError, suggest
from labwm.space.questions import Observations, Questions
from labwm.virtual_lab.campaign_task import CampaignTask
from labwm.world_model.contract import World, WorldModel

Floats = NDArray[np.float64]

WORLDS: Final = ("posterior_draw", "posterior_mean", "lookup")
"""One draw of the model; its mean without noise; a table of measured rows."""


def make_world(kind: str, task: CampaignTask, seed: int) -> World:
    """Return a world of some kind.

    Raises:
        InvalidInputError: If the kind is unknown, or `lookup` has no table.
    """
    model, table = task.model, task.table
    if kind not in WORLDS:
        raise InvalidInputError(
            f"A world is one of {list(WORLDS)}; got {kind!r}. {suggest(kind, WORLDS)}"
        )
    if kind == "posterior_draw":
        return task.joint.world(seed) if task.joint else model.draw_world(seed)
    if kind == "posterior_mean":
        return MeanWorld(model)
    if table is None or not len(table):
        raise InvalidInputError(
            "The world 'lookup' plays a table of measured rows; got none. Give the "
            "task a table, or play 'posterior_draw'."
        )
    return TableWorld(table)


@dataclass(frozen=True)
class MeanWorld:
    """What a model expects on average, without noise: for comparison, not to learn in.

    An agent that practises here meets no surprise and learns to exploit the model.
    """

    model: WorldModel

    @property
    def readouts(self) -> tuple[str, ...]:
        """Names of the model's readouts."""
        return self.model.card.readouts

    def truth(self, questions: Questions) -> Floats:
        """Return the mean, `q x m`."""
        return self.model.predict(questions).mean

    def outcome(self, questions: Questions, replicate: NDArray[np.int64]) -> Floats:
        """Return the mean, whatever the replicate, `q x m`."""
        del replicate
        return self.truth(questions)


@dataclass(frozen=True)
class TableWorld:
    """Measured rows: replicate `r` of some conditions is their row `r`, in turns.

    Conditions that were not measured have no value.
    """

    table: Observations = field(repr=False)

    @property
    def readouts(self) -> tuple[str, ...]:
        """Names of the table's readouts."""
        return self.table.readouts

    def truth(self, questions: Questions) -> Floats:
        """Return the mean of the measured replicates, `q x m`."""
        keys = questions.keys()
        means = [self._mean(self._rows.get(key, [])) for key in keys]
        return np.array(means).reshape(-1, len(self.readouts))

    def outcome(self, questions: Questions, replicate: NDArray[np.int64]) -> Floats:
        """Return one measured row for each question, `q x m`."""
        values = np.full((len(questions), len(self.readouts)), np.nan)
        for i, key in enumerate(questions.keys()):
            if rows := self._rows.get(key):
                values[i] = self.table.values[rows[int(replicate[i]) % len(rows)]]
        return values

    @cached_property
    def _rows(self) -> dict[bytes, list[int]]:
        rows: dict[bytes, list[int]] = {}
        for i, key in enumerate(self.table.questions.keys()):
            rows.setdefault(key, []).append(i)
        return rows

    def _mean(self, rows: list[int]) -> Floats:
        values = self.table.values[rows]
        is_number = np.isfinite(values)
        n = is_number.sum(axis=0)
        total = np.where(is_number, values, 0.0).sum(axis=0)
        return np.where(n > 0, total / np.maximum(n, 1), np.nan)
