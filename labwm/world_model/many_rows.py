"""Fit one readout of very many rows: the same kernel, at the density of the data.

Shapes: `n` rows, `m` landmarks, `v` values.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from labwm.world_model.censoring import site
from labwm.world_model.encoding import Encoder
from labwm.world_model.evidence_loss import Evidence
from labwm.world_model.full_scale import FullScaleSurrogate, condition_many
from labwm.world_model.inputs import Inputs
from labwm.world_model.leave_one_out import LeftOut, latent_left_out
from labwm.world_model.marginal_likelihood import (
    Hyperparameters,
    maximise_evidence,
)
from labwm.world_model.spread import fit_spread
from labwm.world_model.structure import Structure
from labwm.world_model.surrogate import condition
from labwm.world_model.training import Rows

MAX_EXACT: Final = 5000
"""Above so many rows the exact posterior's `n**3` takes minutes: decision 13."""
N_LANDMARKS: Final = 1024
MAX_LEFT_OUT: Final = 4000
"""Rows left out to learn calibration and spread."""


@dataclass(frozen=True)
class ManyRows:
    """What fitting many rows gave.

    Attributes:
        surrogate: The posterior; its rows are in the order of `order`.
        left_out: Predictions of some rows without them.
        order: Row of `Rows` that each of the surrogate's rows is, length `n`.
    """

    surrogate: FullScaleSurrogate
    left_out: LeftOut
    order: NDArray[np.int64]


def fit_many(
    encoder: Encoder,
    chosen: Hyperparameters,
    evidence: Evidence,
    rows: Rows,
    *,
    units: tuple[float, float],
    seed: int,
) -> ManyRows:
    """Condition on every row, and learn the spread from rows that are left out.

    Args:
        encoder: From questions to inputs.
        chosen: Learnt from some of the rows.
        evidence: Standardised data, row by row as in `rows`.
        rows: What the readout gave.
        units: Location and scale of the standardised units.
        seed: Chooses landmarks, and which rows are left out.
    """
    rng = np.random.default_rng(seed)
    known = np.flatnonzero(~rows.is_censored)
    exact = evidence.take(torch.from_numpy(known))
    landmarks = torch.from_numpy(np.sort(rng.permutation(len(known))[:N_LANDMARKS]))
    surrogate = condition_many(
        encoder,
        chosen.kernel,
        (exact.inputs, exact.targets, chosen.noise_variance / exact.n_replicates),
        landmarks,
        units=units,
        noise_variance=chosen.noise_variance,
    )
    surrogate, left_out = _with_spread(surrogate, rows, known, rng)
    limits = np.flatnonzero(rows.is_censored)
    if len(limits):
        surrogate = with_limits_of(
            surrogate,
            evidence.inputs.take(torch.from_numpy(limits)),
            evidence.targets[torch.from_numpy(limits)],
            torch.from_numpy(rows.limit[limits]).double(),
        )
    return ManyRows(surrogate, left_out, np.concatenate([known, limits]))


def score_on(
    evidence: Evidence,
    structure: Structure,
    encoder: Encoder,
    groups: Tensor,
    start: Tensor | None = None,
) -> tuple[Hyperparameters, float]:
    """Return hyperparameters from some rows, and their mean left-out log loss."""
    chosen = maximise_evidence(evidence, structure, groups, start=start)
    noise = chosen.noise_variance / evidence.n_replicates
    surrogate = condition(
        encoder,
        chosen.kernel,
        (evidence.inputs, evidence.targets, noise),
        units=(0.0, 1.0),
        noise_variance=chosen.noise_variance,
    )
    mean, variance = latent_left_out(surrogate)
    whole = variance + noise
    loss = 0.5 * ((evidence.targets - mean) ** 2 / whole + (2 * torch.pi * whole).log())
    return chosen, float(loss.mean())


def with_limits_of(
    surrogate: FullScaleSurrogate, inputs: Inputs, bound: Tensor, side: Tensor
) -> FullScaleSurrogate:
    """Return the posterior after limits, each seen in the light of the known values."""
    said = surrogate.latent(inputs)
    y, noise = site(said.mean, said.variance, bound, side, surrogate.noise_variance)
    return surrogate.append(inputs, y, noise)


def _with_spread(
    surrogate: FullScaleSurrogate,
    rows: Rows,
    known: NDArray[np.int64],
    rng: np.random.Generator,
) -> tuple[FullScaleSurrogate, LeftOut]:
    asked = np.sort(rng.permutation(len(known))[:MAX_LEFT_OUT])
    means, variances, characteristics = [], [], []
    for local, variance in surrogate.left_out(torch.from_numpy(asked)):
        means.append(local.mean)
        variances.append(variance)
        characteristics.append(surrogate.characteristics(local))
    mean, variance = torch.cat(means), torch.cat(variances)
    said = torch.cat(characteristics)
    # One value of each row stands for its replicates.
    place = np.full(len(rows.mean), -1)
    place[known[asked]] = np.arange(len(asked))
    at = place[rows.group]
    values, at = rows.values[at >= 0], torch.from_numpy(at[at >= 0])
    noise = surrogate.noise_variance
    standard = (torch.from_numpy(values) - surrogate.location) / surrogate.scale
    residuals = (standard - mean[at]) / (variance[at] + noise).sqrt()
    spread = fit_spread(said[at], residuals)
    factor = spread(said)[at] * surrogate.scale
    left_out = LeftOut(
        values=values,
        location=(surrogate.location + surrogate.scale * mean[at]).numpy(),
        epistemic=(factor * variance[at].sqrt()).numpy(),
        aleatoric=(factor * noise**0.5).numpy(),
        how=f"leave-one-out of {len(asked)} rows",
    )
    return surrogate.with_spread(spread), left_out
