"""Predictions of each row by models that never saw it, hyperparameters included.

Leave-one-out in closed form keeps the hyperparameters that the row helped to choose:
with few rows its residuals are too small (on 20 reactions by a third), and intervals
calibrated on them do not hold. So few rows are predicted by refitting in five folds.

Shapes: `n` rows, `v` values.
"""

from typing import Final

import numpy as np
import torch
from torch import Tensor

from labwm.world_model.evidence_loss import Evidence
from labwm.world_model.leave_one_out import LeftOut, leave_one_out
from labwm.world_model.marginal_likelihood import maximise_evidence
from labwm.world_model.structure import Structure
from labwm.world_model.surrogate import Surrogate, condition
from labwm.world_model.training import Rows

N_FOLDS: Final = 5
MAX_ROWS: Final = 200
"""Above this many rows one row hardly moves the hyperparameters: leave-one-out."""


def predict_unseen(
    surrogate: Surrogate,
    evidence: Evidence,
    structure: Structure,
    rows: Rows,
    *,
    seed: int,
) -> LeftOut:
    """Predict every uncensored value by a model that did not see its experiment.

    Args:
        surrogate: Fitted to all rows; censored ones are pseudo-measurements already.
        evidence: Standardised data, row by row as in the surrogate.
        structure: That the surrogate has.
        rows: What the readout gave.
        seed: Assigns rows to folds.
    """
    known = np.flatnonzero(~rows.is_censored)
    if len(known) > MAX_ROWS:
        return leave_one_out(surrogate, rows)
    mean = torch.zeros(len(rows.mean), dtype=torch.float64)
    variance, noise = torch.zeros_like(mean), torch.zeros_like(mean)
    limits = np.flatnonzero(rows.is_censored)
    shuffled = np.random.default_rng(seed).permutation(known)
    for fold in range(N_FOLDS):
        out = torch.from_numpy(np.sort(shuffled[fold::N_FOLDS]))
        kept = np.sort(np.setdiff1d(known, out.numpy()))
        if not len(out):
            continue
        chosen = maximise_evidence(
            _without_scatter_of(evidence, rows, surrogate.scale, kept),
            structure,
            surrogate.kernel.groups,
        )
        learnt = torch.from_numpy(np.concatenate([kept, limits]))
        own_noise = chosen.noise_variance / evidence.n_replicates
        # Relative to zero of all rows: the unknown mean is part of the kernel.
        part = condition(
            surrogate.encoder,
            chosen.kernel,
            (
                evidence.inputs.take(learnt),
                surrogate.targets[learnt],
                _joined_noise(own_noise, surrogate.noise, kept, limits),
            ),
            units=(surrogate.location, surrogate.scale),
            noise_variance=chosen.noise_variance,
        )
        mean[out], variance[out] = part.mean_and_variance(evidence.inputs.take(out))
        noise[out] = chosen.noise_variance
    return _natural(surrogate, rows, mean, (variance, noise))


def _without_scatter_of(
    evidence: Evidence, rows: Rows, scale: float, kept: np.ndarray
) -> Evidence:
    inside = np.isin(rows.group, kept)
    residual = (rows.values - rows.mean[rows.group])[inside] / scale
    return Evidence(
        evidence.inputs.take(torch.from_numpy(kept)),
        evidence.targets[torch.from_numpy(kept)],
        evidence.n_replicates[torch.from_numpy(kept)],
        float(residual @ residual),
        int(inside.sum()) - len(kept),
        evidence.noise_variance,
    )


def _joined_noise(
    own: Tensor, pseudo: Tensor, kept: np.ndarray, limits: np.ndarray
) -> Tensor:
    return torch.cat([own[torch.from_numpy(kept)], pseudo[torch.from_numpy(limits)]])


def _natural(
    surrogate: Surrogate, rows: Rows, mean: Tensor, spread: tuple[Tensor, Tensor]
) -> LeftOut:
    variance, noise = spread
    scale = surrogate.scale
    return LeftOut(
        values=rows.values,
        location=(surrogate.location + scale * mean.numpy())[rows.group],
        epistemic=scale * variance.sqrt().numpy()[rows.group],
        aleatoric=scale * noise.sqrt().numpy()[rows.group],
        how=f"{N_FOLDS}-fold, refitted",
    )
