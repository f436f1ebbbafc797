"""Predictions of each row from all others, in closed form.

Shapes: `n` rows, `v` values: replicates one by one.

Reference:
    Rasmussen & Williams, Gaussian Processes for Machine Learning, 2006, eq. 5.10-5.12.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from labwm.world_model.linear_algebra import threads_for
from labwm.world_model.surrogate import Surrogate
from labwm.world_model.training import Rows

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class LeftOut:
    """What would have been said of each value without the experiment that gave it.

    Attributes:
        values: Measured, natural units, length `v`.
        location: Expected, natural units, length `v`.
        epistemic: Standard deviation of the latent function, length `v`.
        aleatoric: Standard deviation of one measurement, length `v`.
        how: In words, for the model card.
    """

    values: Floats
    location: Floats
    epistemic: Floats
    aleatoric: Floats
    how: str = "leave-one-out"

    @property
    def residuals(self) -> Floats:
        """Distance from what was expected, in the stated standard deviations."""
        return (self.values - self.location) / np.hypot(self.epistemic, self.aleatoric)

    def log_density(self) -> Floats:
        """Return the Gaussian log density of each value, per unit of the readout."""
        scale = np.hypot(self.epistemic, self.aleatoric)
        return -0.5 * (self.residuals**2 + np.log(2 * np.pi)) - np.log(scale)


def leave_one_out(surrogate: Surrogate, rows: Rows) -> LeftOut:
    """Leave out each row, all of its replicates at once; costs one inverse.

    Censored rows take part as what is learnt from and are not predicted.
    """
    with threads_for(len(surrogate.targets)):
        mean, variance = latent_left_out(surrogate)
    return left_out_of(surrogate, rows, mean, variance)


def left_out_of(
    surrogate: Surrogate, rows: Rows, mean: Tensor, variance: Tensor
) -> LeftOut:
    """Return what the latent moments at each row say of its values."""
    location = surrogate.location + surrogate.scale * mean.numpy()
    epistemic = abs(surrogate.scale) * variance.sqrt().numpy()
    noise = abs(surrogate.scale) * np.sqrt(surrogate.noise_variance)
    return LeftOut(
        values=rows.values,
        location=location[rows.group],
        epistemic=epistemic[rows.group],
        aleatoric=np.full(len(rows.values), noise),
    )


def latent_left_out(surrogate: Surrogate) -> tuple[Tensor, Tensor]:
    """Return mean and variance of the latent function at each row without that row."""
    mean = surrogate.targets - surrogate.weights / surrogate.precision
    variance = (1.0 / surrogate.precision - surrogate.noise).clamp_min(1e-12)
    return mean, variance
