"""Expected gains of utility in closed form; what utility is, `reward` says."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import log_ndtr, ndtr

from labwm.schema import Goal, Objective
from labwm.world_model.reward import target_of

Floats = NDArray[np.float64]

_TINY = 1e-200


def expected_excess(
    objective: Objective, mean: ArrayLike, sd: ArrayLike, threshold: ArrayLike
) -> Floats:
    """Return E[max(utility - threshold, 0)] for a normal readout, broadcast.

    With `match` the excess is a triangle over the target, the difference of three
    ramps; so it has a closed form as well.

    Args:
        objective: Says which utility.
        mean: Mean of the readout's posterior.
        sd: Standard deviation of the readout's posterior.
        threshold: On the utility's scale.
    """
    mean, sd, threshold = (np.asarray(x, float) for x in (mean, sd, threshold))
    match objective.goal:
        case Goal.MAXIMISE:
            return _ramp(mean - threshold, sd)
        case Goal.MINIMISE:
            return _ramp(-mean - threshold, sd)
        case Goal.MATCH:
            reach = np.maximum(-threshold, 0.0)
            # Left of the target, where no large terms cancel; the triangle is even.
            away = -np.abs(mean - target_of(objective))
            triangle = (
                _ramp(away + reach, sd) - 2 * _ramp(away, sd) + _ramp(away - reach, sd)
            )
            return np.maximum(triangle, 0.0)


def log_expected_excess(
    objective: Objective, mean: Floats, sd: Floats, threshold: Floats
) -> Floats:
    """Return the logarithm of `expected_excess`, ordered far below the threshold too.

    For `match` the distance to the reachable interval orders what underflows.
    """
    if objective.goal is Goal.MATCH:
        excess = expected_excess(objective, mean, sd, threshold)
        reach = np.maximum(-np.asarray(threshold), 0.0)
        beyond = np.maximum(np.abs(mean - target_of(objective)) - reach, 0.0)
        floor = -300.0 - 0.5 * _standard(beyond, sd) ** 2
        return np.where(excess > 1e-120, np.log(np.maximum(excess, 1e-120)), floor)
    sign = 1.0 if objective.goal is Goal.MAXIMISE else -1.0
    return _log_ramp(sign * mean - threshold, sd)


def _standard(gap: Floats, sd: Floats) -> Floats:
    # Clipped where a square would overflow: the outcome is certain long before.
    return np.clip(gap / np.maximum(sd, _TINY), -1e9, 1e9)


def _ramp(gap: Floats, sd: Floats) -> Floats:
    # E[max(gap + sd * Z, 0)]
    z = _standard(gap, sd)
    return gap * ndtr(z) + sd * np.exp(-0.5 * z**2) / np.sqrt(2 * np.pi)


def _log_ramp(gap: Floats, sd: Floats) -> Floats:
    """Return log E[max(gap + sd * Z, 0)].

    Below z = -5 the two terms cancel; there `phi(z) / z**2 * (1 - 3 / z**2)` holds
    to better than 1 %.

    Reference:
        Ament et al., Unexpected improvements to expected improvement, 2023, eq. 9.
    """
    z = _standard(gap, sd)
    near = np.maximum(z, -5.0)
    log_phi = -0.5 * near**2 - 0.5 * np.log(2 * np.pi)
    h = np.exp(log_phi) + near * np.exp(log_ndtr(near))
    far = np.minimum(z, -5.0)
    tail = -0.5 * far**2 - 0.5 * np.log(2 * np.pi) - 2 * np.log(-far)
    tail = tail + np.log1p(-3.0 / far**2 + 15.0 / far**4)
    return np.log(np.maximum(sd, _TINY)) + np.where(
        z > -5.0, np.log(np.maximum(h, _TINY)), tail
    )
