"""A function drawn from a posterior of very many rows.

Shapes: `n` rows learnt from, `m` landmarks, `q` questions, `k` neighbours.

The weights of the landmarks are drawn once; the leftover is a prior draw, corrected at
each question by what it and the question's neighbours differ by. Given the weights the
correction is exact (Matheron's rule), so each marginal is that of the posterior.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from labwm.space.questions import Questions
from labwm.world_model.full_scale import FullScaleSurrogate, Local
from labwm.world_model.inputs import Inputs
from labwm.world_model.prior_draw import PriorDraw, draw_prior

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class FullScalePath:
    """One readout's latent function in the readout's unit.

    Attributes:
        surrogate: The posterior.
        prior: A draw from the prior.
        at_landmarks: `w` of the prior draw, length `m`.
        weights: `w` drawn from the posterior, length `m`.
        errors: Simulated measurement errors of the rows, length `n`.
    """

    surrogate: FullScaleSurrogate
    prior: PriorDraw
    at_landmarks: Tensor
    weights: Tensor
    errors: Tensor

    def __call__(self, questions: Questions) -> tuple[Floats, Floats]:
        """Return the function and a measurement's noise sd, length `q` each."""
        own = self.surrogate
        values, noises = [np.empty(0)], [np.empty(0)]
        for local, part in own.locals(own.encode(questions)):
            factor = own.factor_of(local)
            drawn = local.mean + factor * (self._drawn(local, part) - local.mean)
            values.append((own.location + own.scale * drawn).numpy())
            noises.append((own.scale * own.noise_variance**0.5 * factor).numpy())
        return np.concatenate(values), np.concatenate(noises)

    def _drawn(self, local: Local, part: Inputs) -> Tensor:
        own = self.surrogate
        near, place = torch.unique(local.places, return_inverse=True)
        phi = own.row_features(near)
        leftover = self.prior(own.inputs.take(near)) - phi @ self.at_landmarks
        missing = own.targets[near] - phi @ self.weights - leftover - self.errors[near]
        at_question = self.prior(part) - local.phi @ self.at_landmarks
        correction = (local.gain * missing[place]).sum(1)
        return local.phi @ self.weights + at_question + correction


def draw_full_scale(
    surrogate: FullScaleSurrogate, normals: Floats, seed: tuple[int, int]
) -> FullScalePath:
    """Draw a function; `normals` are one standard normal per row learnt from."""
    prior = draw_prior(surrogate.kernel, surrogate.inputs, seed)
    rng = np.random.default_rng((*seed, 1))
    noise = torch.from_numpy(rng.normal(size=len(surrogate.landmarks)))
    weights = surrogate.mean_of_weights + surrogate.whiten_weights.T @ noise
    return FullScalePath(
        surrogate,
        prior,
        surrogate.weights_of(prior(surrogate.landmark_inputs)),
        weights,
        surrogate.noise.sqrt() * torch.from_numpy(np.asarray(normals)),
    )
