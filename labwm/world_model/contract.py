"""What every world model answers, and nothing else.

Shapes: `q` questions, `m` readouts, `n` new measurements.
"""

from collections.abc import Mapping, Sequence
from typing import Final, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from labwm.schema import ModelCard, Prediction
from labwm.space.questions import Observations, Questions

Floats = NDArray[np.float64]

MOST_QUESTIONS: Final = 4096
"""Questions of a joint posterior: its factors take `8 m q**2` bytes."""


class World(Protocol):
    """One consistent function drawn from the posterior; pure in (seed, question)."""

    @property
    def readouts(self) -> tuple[str, ...]:
        """Names of the readouts, length `m`."""
        ...

    def truth(self, questions: Questions) -> Floats:
        """Return the drawn function without replicate noise, `q x m`."""
        ...

    def outcome(self, questions: Questions, replicate: NDArray[np.int64]) -> Floats:
        """Measure each question once in this world, `q x m`.

        Args:
            questions: `q` rows.
            replicate: Replicate number of each row, length `q`: the same conditions and
                number give the same outcome, whatever else is asked, in any order.
        """
        ...


class WorldModel(Protocol):
    """A posterior over outcomes."""

    @property
    def card(self) -> ModelCard:
        """What it is and learnt from."""
        ...

    def predict(self, questions: Questions) -> Prediction:
        """Predict the outcome of measuring each question once, noise included."""
        ...

    def draw_world(self, seed: int) -> World:
        """Draw one world; its outcomes follow what `predict` states."""
        ...

    def condition_on(self, observations: Observations) -> "WorldModel":
        """Return the posterior after more rows, without refitting hyperparameters."""
        ...

    def support(self, questions: Questions) -> Floats:
        """Return how close each question is to the data, in [0, 1], length `q`."""
        ...


@runtime_checkable
class SupportsFeedback(Protocol):
    """A world model whose intervals can follow how its own advice came out."""

    def under_feedback(self, errors: Mapping[str, Floats]) -> "WorldModel":
        """Return the model with intervals for what a policy chooses by its advice.

        Only the marginals' widths and tails change, and drawn worlds with them.

        Args:
            errors: For each readout the standardised errors of earlier predictions,
                `(measured - location) / scale`, stated before policies chose and the
                lab measured; any length, readouts without any may be left out.
        """
        ...


class PoolWorlds(Protocol):
    """Worlds on one pool, drawn and asked many at a time.

    Shapes: `q` questions of the pool, `e` worlds, `n` measurements.
    """

    def latent(self, seeds: Sequence[int]) -> Floats:
        """Draw one function per seed, `e x q x m`, before calibration."""
        ...

    def noise(
        self, seeds: Sequence[int], rows: NDArray[np.int64], number: NDArray[np.int64]
    ) -> Floats:
        """Return what replicate `number` of a row adds in a seed's world, `n x m`."""
        ...

    def calibrated(self, latent: Floats, rows: NDArray[np.int64]) -> Floats:
        """Return what a lab would read at a row where the latent value is this."""
        ...

    def world(self, seed: int) -> World:
        """Return one of the worlds; it answers the questions of the pool only."""
        ...


@runtime_checkable
class SupportsJoint(Protocol):
    """A world model that knows the joint posterior of a pool."""

    def joint(self, questions: Questions) -> PoolWorlds:
        """Return the joint posterior of some questions, to draw many worlds on them.

        Raises:
            InvalidInputError: If there are none, or too many for one covariance.
        """
        ...
