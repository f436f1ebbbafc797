"""A world model around an expectation that was not learnt from its own rows.

Shapes: `q` questions, `m` readouts, `n` measurements.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from labwm.schema import ModelCard, Prediction
from labwm.space.questions import Observations, Questions
from labwm.world_model.contract import SupportsFeedback, World, WorldModel

Floats = NDArray[np.float64]

Offset = Callable[[Questions], Floats]
"""Returns what is expected beforehand, in the readouts' units, `q x m`."""


def without(offset: Offset, observations: Observations) -> Observations:
    """Return rows with the expectation taken off; limits move with it."""
    values = observations.values - offset(observations.questions)
    return replace(observations, values=values)


@dataclass(frozen=True)
class OffsetModel:
    """A model of what an expectation leaves unexplained, and that expectation.

    Attributes:
        base: Learnt from the rows less the expectation.
        offset: The expectation.
        card: What it is and learnt from, the expectation's origin included.
    """

    base: WorldModel
    offset: Offset
    card: ModelCard

    def predict(self, questions: Questions) -> Prediction:
        """Predict the outcome of measuring each question once, noise included."""
        prediction = self.base.predict(questions)
        return replace(
            prediction, location=prediction.location + self.offset(questions)
        )

    def draw_world(self, seed: int) -> World:
        """Draw one world; its outcomes follow what `predict` states."""
        return _OffsetWorld(self.base.draw_world(seed), self.offset)

    def condition_on(self, observations: Observations) -> "OffsetModel":
        """Return the posterior after more rows; the expectation stays as it is."""
        base = self.base.condition_on(without(self.offset, observations))
        grown = {"n_rows": base.card.n_rows, "n_failed": base.card.n_failed}
        # The base's digest is of its own rows: it tells data apart as well.
        card = self.card.model_copy(
            update=grown | {"data_sha256": base.card.data_sha256}
        )
        return replace(self, base=base, card=card)

    def support(self, questions: Questions) -> Floats:
        """Return how close each question is to the campaign's own data, length `q`."""
        return self.base.support(questions)

    def under_feedback(self, errors: Mapping[str, Floats]) -> "OffsetModel":
        """Return the model with intervals for what a policy chooses by its advice."""
        if not isinstance(self.base, SupportsFeedback):
            return self
        base = self.base.under_feedback(errors)
        note = base.card.notes[-1:]
        card = self.card.model_copy(update={"notes": (*self.card.notes, *note)})
        return replace(self, base=base, card=card)


@dataclass(frozen=True)
class _OffsetWorld:
    world: World
    offset: Offset

    @property
    def readouts(self) -> tuple[str, ...]:
        return self.world.readouts

    def truth(self, questions: Questions) -> Floats:
        return self.world.truth(questions) + self.offset(questions)

    def outcome(self, questions: Questions, replicate: NDArray[np.int64]) -> Floats:
        return self.world.outcome(questions, replicate) + self.offset(questions)
