"""Noise that grows or shrinks with what is measured.

The variance of one measurement is `noise_variance * exp(slope * mean)`, with the
expected value in standard units. The slope is looked for where the left-out errors say
that there is one, and kept where left-out values become likelier.

Shapes: `n` rows, `v` values.

Reference:
    Carroll & Ruppert, Transformation and Weighting in Regression, 1988, chapter 3:
    variance as a function of the mean.
"""

from dataclasses import replace
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from labwm.world_model.inputs import Inputs
from labwm.world_model.leave_one_out import LeftOut, latent_left_out, left_out_of
from labwm.world_model.surrogate import NOISE_REACH, Surrogate, condition
from labwm.world_model.training import Rows

Floats = NDArray[np.float64]

SIGNIFICANT: Final = 3.0
"""Standard errors that the slope of the errors must differ from zero by."""
FACTORS: Final = (0.5, 0.75, 1.0)
"""Parts of the errors' slope that are tried: errors hold ignorance too."""
LEVELS: Final = (0.5, 0.75, 1.0)
"""Parts of the constant noise that are tried beside it."""
MARGIN: Final = 3.0
"""Nats of left-out log density, in all, that a slope must gain."""
MIN_ROWS: Final = 40
MAX_TRIED: Final = 400
"""Rows that slopes are compared on; the best is then tried on all rows."""


def with_sloped_noise(
    surrogate: Surrogate, rows: Rows, plain: LeftOut
) -> tuple[Surrogate, LeftOut]:
    """Return the posterior with noise that follows the mean, where that pays.

    Args:
        surrogate: With constant noise.
        rows: What the readout gave.
        plain: What `surrogate` says of left-out values.

    Returns:
        Surrogate and left-out predictions; those given where noise stays constant.
    """
    if rows.is_censored.any() or len(rows.mean) < MIN_ROWS:
        return surrogate, plain
    wanted = _slope_of_errors(surrogate, rows, plain)
    if wanted == 0.0:
        return surrogate, plain
    slope, level = _best_slope(surrogate, rows, wanted)
    mean, _ = latent_left_out(surrogate)
    sloped = _conditioned(surrogate, mean, slope, level)
    left_out = _left_out(sloped, rows)
    least = float(plain.log_density().sum()) + MARGIN
    if float(left_out.log_density().sum()) <= least:
        return surrogate, plain
    return sloped, left_out


def as_wide_as(sloped: LeftOut, unseen: LeftOut, plain: LeftOut) -> LeftOut:
    """Return left-out predictions whose errors are as large as unseen ones are.

    Leaving out one row keeps the hyperparameters that it helped to choose; by how much
    that flatters is known from the constant noise, predicted both ways.
    """
    rms = [float(np.sqrt(np.mean(r.residuals**2))) for r in (unseen, plain)]
    factor = max(rms[0] / rms[1], 1.0) if rms[1] > 0 else 1.0
    return replace(
        sloped,
        epistemic=sloped.epistemic / factor,
        aleatoric=sloped.aleatoric / factor,
        how=unseen.how,
    )


def _slope_of_errors(surrogate: Surrogate, rows: Rows, plain: LeftOut) -> float:
    x = np.clip(
        (plain.location - surrogate.location) / surrogate.scale,
        -NOISE_REACH,
        NOISE_REACH,
    )
    y = np.log(np.maximum(plain.residuals**2, 1e-6))
    x, y = x - x.mean(), y - y.mean()
    spread = float(x @ x)
    if spread <= 0.0:
        return 0.0
    slope = float(x @ y) / spread
    error = np.sqrt(float(np.mean((y - slope * x) ** 2)) / spread)
    # Replicates of one experiment share most of their error: experiments count.
    error *= np.sqrt(len(y) / len(rows.mean))
    return slope if abs(slope) > SIGNIFICANT * error else 0.0


def _best_slope(surrogate: Surrogate, rows: Rows, wanted: float) -> tuple[float, float]:
    """Return slope and level by which left-out values are likeliest, on some rows."""
    n = len(rows.mean)
    if n > MAX_TRIED:
        some = np.sort(np.random.default_rng(n).permutation(n)[:MAX_TRIED])
        place = torch.from_numpy(some)
        data = (surrogate.inputs.take(place), surrogate.targets[place])
        surrogate = _reconditioned(surrogate, data, surrogate.noise[place])
        rows = rows.take(some)
    prior = surrogate.kernel.matrix(surrogate.inputs, surrogate.inputs)
    mean, _ = latent_left_out(surrogate)
    best, most = (wanted, 1.0), -np.inf
    for factor in FACTORS:
        for level in LEVELS:
            own = _conditioned(surrogate, mean, factor * wanted, level, prior)
            gained = float(_left_out(own, rows).log_density().sum())
            if gained > most:
                best, most = (factor * wanted, level), gained
    return best


def _conditioned(
    surrogate: Surrogate,
    mean: Tensor,
    slope: float,
    level: float,
    prior: Tensor | None = None,
) -> Surrogate:
    sloped = replace(
        surrogate, noise_variance=level * surrogate.noise_variance, noise_slope=slope
    )
    relative = sloped.noise_at(mean) / surrogate.noise_variance
    data = (surrogate.inputs, surrogate.targets)
    own = _reconditioned(sloped, data, surrogate.noise * relative, prior)
    return replace(own, noise_slope=slope)


def _reconditioned(
    surrogate: Surrogate,
    data: tuple[Inputs, Tensor],
    noise: Tensor,
    prior: Tensor | None = None,
) -> Surrogate:
    return condition(
        surrogate.encoder,
        surrogate.kernel,
        (*data, noise),
        units=(surrogate.location, surrogate.scale),
        noise_variance=surrogate.noise_variance,
        prior=prior,
    )


def _left_out(own: Surrogate, rows: Rows) -> LeftOut:
    location, variance = latent_left_out(own)
    left_out = left_out_of(own, rows, location, variance)
    noise = abs(own.scale) * own.noise_at(location).sqrt().numpy()
    return replace(left_out, aleatoric=noise[rows.group])
