"""Marginal predictions from surrogates and calibration maps.

Shapes: `q` questions, `m` readouts.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from labwm.schema import CalibrationMap, Prediction
from labwm.space.questions import Questions
from labwm.world_model.classifier import Classifier
from labwm.world_model.full_scale import FullScaleSurrogate
from labwm.world_model.surrogate import Surrogate

Floats = NDArray[np.float64]

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
        shape = (len(questions), len(self.readouts))
        location, epistemic = np.empty(shape), np.empty(shape)
        aleatoric, support = np.empty(shape), np.empty(shape)
        for j, own in enumerate(self.surrogates):
            said = own.latent(own.encode(questions))
            location[:, j] = own.location + own.scale * said.mean.numpy()
            epistemic[:, j] = abs(own.scale) * said.variance.sqrt().numpy()
            aleatoric[:, j] = abs(own.scale) * said.noise.sqrt().numpy()
            support[:, j] = said.known.numpy()
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
        shares = [
            own.latent(own.encode(questions)).known.numpy() for own in self.surrogates
        ]
        return np.min(shares, axis=0)
