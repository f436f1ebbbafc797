"""Marginal predictions from surrogates and calibration maps.

Shapes: `q` questions, `m` readouts.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from labwm.schema import CalibrationMap, Prediction
from labwm.space.questions import Questions
from labwm.world_model.classifier import Classifier
from labwm.world_model.full_scale import FullScaleSurrogate
from labwm.world_model.surrogate import Latent, Surrogate, joined

Floats = NDArray[np.float64]

POOL: Final = 1024
"""So many questions and more are a pool: predicted in blocks of as many."""
MANY_ROWS: Final = 256
"""From so many rows on a pool is predicted in single precision, where that is precise:
with fewer there is no time to win."""
VACUOUS: Final = 0.01
"""A prediction that removed no larger share of the prior variance says nothing."""


@dataclass(frozen=True)
class Marginals:
    """Marginal predictions from surrogates and maps; what a model and its worlds share.

    Attributes:
        readouts: Names, length `m`.
        units: Length `m`.
        surrogates: Length `m`.
        calibration: Length `m`.
        is_split_identified: Do replicates tell noise from ignorance?
        passes: Probability of a pass of each readout, None where it is a number.
    """

    readouts: tuple[str, ...]
    units: tuple[str | None, ...]
    surrogates: tuple[Surrogate | FullScaleSurrogate, ...]
    calibration: tuple[CalibrationMap, ...]
    is_split_identified: bool
    passes: tuple[Classifier | None, ...] = ()

    def __call__(self, questions: Questions) -> Prediction:
        """Predict the outcome of measuring each question once, noise included."""
        said = [own.latent(own.encode(questions)) for own in self.surrogates]
        return self._stated(questions, said)

    def of_pool(self, questions: Questions) -> Prediction:
        """Predict very many questions block by block, to `stream.TOLERANCE`.

        Memory beside the answer is that of one block.
        """
        said = [
            joined([said_of_pool(own, part) for part in _parts(questions)])
            for own in self.surrogates
        ]
        return self._stated(questions, said)

    def _stated(self, questions: Questions, said: Sequence[Latent]) -> Prediction:
        shape = (len(questions), len(self.readouts))
        location, epistemic = np.empty(shape), np.empty(shape)
        aleatoric, support = np.empty(shape), np.empty(shape)
        for j, (own, about) in enumerate(zip(self.surrogates, said, strict=True)):
            location[:, j] = own.location + own.scale * about.mean.numpy()
            epistemic[:, j] = abs(own.scale) * about.variance.sqrt().numpy()
            aleatoric[:, j] = abs(own.scale) * about.noise.sqrt().numpy()
            support[:, j] = about.known.numpy()
        return Prediction(
            readouts=self.readouts,
            units=self.units,
            location=location,
            epistemic=epistemic,
            aleatoric=aleatoric,
            calibration=self.calibration,
            is_vacuous=support <= VACUOUS,
            is_split_identified=self.is_split_identified,
            chance=self._chance(questions),
        )

    def _chance(self, questions: Questions) -> Floats | None:
        if not any(self.passes):
            return None
        unknown = np.full(len(questions), np.nan)
        return np.stack(
            [unknown if p is None else p.probability(questions) for p in self.passes],
            axis=1,
        )

    def support(self, questions: Questions) -> Floats:
        """Return the share of the prior variance that data removed, `q`, in [0, 1]."""
        if len(questions) >= POOL:
            shares = [
                np.concatenate(
                    [said_of_pool(own, part).known for part in _parts(questions)]
                )
                for own in self.surrogates
            ]
        else:
            shares = [
                own.latent(own.encode(questions)).known.numpy()
                for own in self.surrogates
            ]
        return np.min(shares, axis=0)


def said_of_pool(own: Surrogate | FullScaleSurrogate, part: Questions) -> Latent:
    """Return what a surrogate says of many questions, in the precision of a pool."""
    inputs = own.encode(part)
    if isinstance(own, Surrogate) and len(own.targets) >= MANY_ROWS:
        return own.latent_of_pool(inputs)
    return own.latent(inputs)


def _parts(questions: Questions) -> Iterator[Questions]:
    for first in range(0, len(questions), POOL):
        yield questions.take(np.arange(first, min(first + POOL, len(questions))))
