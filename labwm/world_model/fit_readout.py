"""Fit one readout: choose a structure, condition, look at the noise, recalibrate.

Shapes: `n` rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import torch

from labwm.schema import Readout
from labwm.schema.readouts import ReadoutKind
from labwm.space.questions import Observations
from labwm.world_model.calibration import fit_calibration
from labwm.world_model.censoring import with_limits
from labwm.world_model.classifier import Classifier, fit_classifier
from labwm.world_model.cross_fit import predict_unseen
from labwm.world_model.encoding import Encoder
from labwm.world_model.evidence_loss import Evidence, EvidenceLoss
from labwm.world_model.fitted import Candidate, Fitted
from labwm.world_model.leave_one_out import LeftOut, leave_one_out
from labwm.world_model.linear_algebra import threads_for
from labwm.world_model.many_rows import MAX_EXACT, fit_many, score_on
from labwm.world_model.marginal_likelihood import minimise_loss
from labwm.world_model.noise import as_wide_as, with_sloped_noise
from labwm.world_model.structure import Structure
from labwm.world_model.surrogate import Surrogate, condition
from labwm.world_model.training import (
    Rows,
    standard_units,
)
from labwm.world_model.unevenness import MARGIN, calibrated_loss, is_uneven

MAX_HYPER_ROWS: Final = 1000
"""Hyperparameters are chosen on so many rows; the posterior uses all."""
NEIGHBOURHOODS: Final = "landmarks-and-neighbours"
MIN_SCATTER: Final = 3
"""Degrees of freedom of replicates that tell noise from ignorance."""


@dataclass(frozen=True)
class Task:
    """What one readout is fitted to."""

    observations: Observations
    rows: Rows
    readout: Readout
    seed: int


@dataclass(frozen=True)
class Start:
    """Where the search for hyperparameters starts."""

    structure: str
    theta: torch.Tensor


def fit_readout(
    task: Task,
    tried: Sequence[tuple[Structure, Encoder]],
    start: Start | None,
) -> Fitted:
    """Choose one readout's structure, condition on its rows, and recalibrate."""
    kept = [pair for pair in tried if start and pair[0].name == start.structure]
    if int((~task.rows.is_censored).sum()) > MAX_EXACT:
        return _fit_many_rows(task, kept or tried, start if kept else None)
    results = [
        _fit_structure(task, structure, encoder, start if kept else None)
        for structure, encoder in kept or tried
    ]
    chosen = min(results, key=lambda candidate: candidate.score)
    assert isinstance(chosen.surrogate, Surrogate)  # few rows are exact
    unseen = predict_unseen(
        chosen.surrogate,
        chosen.evidence,
        chosen.structure,
        task.rows,
        seed=task.seed,
    )
    surrogate, left_out = with_sloped_noise(
        chosen.surrogate, task.rows, chosen.left_out
    )
    scores = {result.structure.name: result.score for result in results}
    if surrogate is not chosen.surrogate:
        unseen = as_wide_as(left_out, unseen, chosen.left_out)
        chosen = replace(chosen, surrogate=surrogate, left_out=left_out)
    if is_uneven(unseen) and not task.rows.is_censored.any():
        local = _by_neighbourhood(task, chosen)
        loss = calibrated_loss(task.readout, local.left_out)
        scores[NEIGHBOURHOODS] = loss
        if loss < calibrated_loss(task.readout, unseen) - MARGIN:
            return _fitted(task, local, scores, local.left_out)
    return _fitted(task, chosen, scores, unseen)


def _by_neighbourhood(task: Task, chosen: Candidate) -> Candidate:
    own = chosen.surrogate
    many = fit_many(
        own.encoder,
        chosen.hyperparameters,
        chosen.evidence,
        task.rows,
        units=(own.location, own.scale),
        seed=task.seed,
    )
    return replace(
        chosen, surrogate=many.surrogate, left_out=many.left_out, order=many.order
    )


def _fitted(
    task: Task, chosen: Candidate, scores: dict[str, float], unseen: LeftOut
) -> Fitted:
    return Fitted(
        readout=task.readout,
        rows=task.rows,
        chosen=chosen,
        scores=scores,
        unseen=unseen,
        calibration=fit_calibration(unseen.residuals),
        is_split_identified=task.readout.noise_sd is not None
        or task.rows.scatter[1] >= MIN_SCATTER,
        passes=_passes(task, chosen),
    )


def _passes(task: Task, chosen: Candidate) -> Classifier | None:
    if task.readout.kind != ReadoutKind.PASS_FAIL:
        return None
    rows = task.rows
    pair = (chosen.structure, chosen.surrogate.encoder)
    source = rows.source[rows.group]
    return fit_classifier(
        task.observations.questions.take(source),
        (rows.values > 0.5).astype(float),
        [pair],
        seed=task.seed,
    )


def _fit_many_rows(
    task: Task, tried: Sequence[tuple[Structure, Encoder]], start: Start | None
) -> Fitted:
    results = []
    for structure, encoder in tried:
        units, evidence = _evidence(task, encoder)
        groups = _groups(structure, encoder)
        some = _hyper_rows(task)
        first = None if start is None else start.theta
        found, score = score_on(evidence.take(some), structure, encoder, groups, first)
        results.append((score, found, structure, encoder, units, evidence))
    # Structures are compared on some of the rows, and the best is fitted to all.
    _, found, structure, encoder, units, evidence = min(results, key=lambda r: r[0])
    many = fit_many(encoder, found, evidence, task.rows, units=units, seed=task.seed)
    chosen = Candidate(
        structure,
        many.surrogate,
        evidence,
        found,
        many.left_out,
        many.order,
    )
    scores = {result[2].name: result[0] for result in results}
    return _fitted(task, chosen, scores, many.left_out)


def _fit_structure(
    task: Task, structure: Structure, encoder: Encoder, start: Start | None
) -> Candidate:
    (location, scale), evidence = _evidence(task, encoder)
    groups = _groups(structure, encoder)
    some = _hyper_rows(task)
    with threads_for(len(some)):
        loss = EvidenceLoss(evidence.take(some), structure, groups)
        chosen = minimise_loss(loss, start=None if start is None else start.theta)
    is_whole = len(some) == len(evidence.targets)
    surrogate = condition(
        encoder,
        chosen.kernel,
        (
            evidence.inputs,
            evidence.targets,
            chosen.noise_variance / evidence.n_replicates,
        ),
        units=(location, scale),
        noise_variance=chosen.noise_variance,
        prior=loss.covariance(chosen.theta) if is_whole else None,
    )
    surrogate = with_limits(surrogate, task.rows.limit)
    return Candidate(
        structure, surrogate, evidence, chosen, leave_one_out(surrogate, task.rows)
    )


def _groups(structure: Structure, encoder: Encoder) -> torch.Tensor:
    if structure.is_isotropic:
        return torch.zeros_like(encoder.groups)
    return encoder.groups


def _hyper_rows(task: Task) -> torch.Tensor:
    known = np.flatnonzero(~task.rows.is_censored)
    if len(known) > MAX_HYPER_ROWS:
        rng = np.random.default_rng(task.seed)
        known = np.sort(rng.permutation(known)[:MAX_HYPER_ROWS])
    return torch.from_numpy(known)


def _evidence(task: Task, encoder: Encoder) -> tuple[tuple[float, float], Evidence]:
    rows, readout = task.rows, task.readout
    location, scale = standard_units(rows)
    inputs = encoder.encode(task.observations.questions.take(rows.source))
    targets = torch.from_numpy((rows.mean - location) / scale)
    n_replicates = torch.from_numpy(rows.n_replicates)
    scatter, n_scatter = rows.scatter
    noise = None if readout.noise_sd is None else (readout.noise_sd / scale) ** 2
    return (location, scale), Evidence(
        inputs, targets, n_replicates, scatter / scale**2, n_scatter, noise
    )
