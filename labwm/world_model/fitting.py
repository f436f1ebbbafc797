"""Fit the default world model: choose a structure, condition, recalibrate, report.

Shapes: `n` rows, `m` readouts.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import torch

import labwm
from labwm.schema import CalibrationMap, Metric, ModelCard, Protocol, Readout
from labwm.schema.readouts import ReadoutKind
from labwm.space.questions import Observations, Questions
from labwm.world_model.calibration import fit_calibration
from labwm.world_model.censoring import with_limits
from labwm.world_model.classifier import Classifier, fit_classifier
from labwm.world_model.cross_fit import predict_unseen
from labwm.world_model.encoding import Encoder, build_encoder
from labwm.world_model.gaussian_process import GaussianProcessModel
from labwm.world_model.leave_one_out import LeftOut, leave_one_out
from labwm.world_model.linear_algebra import threads_for
from labwm.world_model.marginal_likelihood import (
    Evidence,
    Hyperparameters,
    maximise_evidence,
)
from labwm.world_model.noise import as_wide_as, with_sloped_noise
from labwm.world_model.notes import notes_of_model, notes_of_readout
from labwm.world_model.outcomes import success_of
from labwm.world_model.report import left_out_metrics
from labwm.world_model.structure import Structure, candidates
from labwm.world_model.surrogate import Surrogate, condition
from labwm.world_model.together import Alone, Together, fit_together, pays
from labwm.world_model.training import (
    Rows,
    canonical_rank,
    require_rows,
    rows_of,
    standard_units,
)
from labwm.world_model.world import keys_of

MAX_HYPER_ROWS: Final = 1000
"""Hyperparameters are chosen on so many rows; the posterior uses all."""
MIN_SCATTER: Final = 3
"""Degrees of freedom of replicates that tell noise from ignorance."""


@dataclass(frozen=True)
class _Candidate:
    """One structure, fitted to one readout."""

    structure: Structure
    surrogate: Surrogate
    evidence: Evidence
    hyperparameters: Hyperparameters
    left_out: LeftOut

    @property
    def score(self) -> float:
        """Mean negative log density of left-out values; smaller is better."""
        return -float(self.left_out.log_density().mean())


@dataclass(frozen=True)
class _Fitted:
    """The chosen structure of one readout, recalibrated."""

    readout: Readout
    rows: Rows
    chosen: _Candidate
    scores: dict[str, float]
    unseen: LeftOut
    calibration: CalibrationMap
    is_split_identified: bool
    shared: Together | None = None
    passes: Classifier | None = None
    slope: float = 0.0

    @property
    def surrogate(self) -> Surrogate:
        """The posterior: of this readout alone, or of all readouts together."""
        return self.chosen.surrogate if self.shared is None else self.shared.surrogate

    @property
    def keys(self) -> tuple[bytes, ...]:
        """Names of the rows that the posterior holds."""
        return self.rows.key if self.shared is None else self.shared.keys

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """Left-out scores of the calibrated distribution."""
        return left_out_metrics(self.readout, self.unseen, self.calibration)


def fit(
    observations: Observations,
    protocol: Protocol,
    *,
    recipe: str = "default",
    seed: int = 0,
    pool: Questions | None = None,
    start: GaussianProcessModel | None = None,
) -> GaussianProcessModel:
    """Fit one exact Gaussian process per readout; costs `n**3` per structure tried.

    Args:
        observations: Measured rows; replicates are separate rows.
        protocol: Declares parameters and readouts.
        recipe: `default` predicts best, `explore` finds optima soonest.
        seed: Chooses the rows that hyperparameters are learnt from, past a thousand.
        pool: Questions that may be asked: molecules and names among them count as
            levels where the protocol declares none. Never their outcomes.
        start: An earlier model of the same protocol and recipe: its structures are kept
            and its hyperparameters are where the search starts.

    Raises:
        NotEnoughDataError: If a readout has fewer than five uncensored values, or two
            with `explore`.
        NotFoundError: If there is no such recipe.
        SpaceError: If a condition that the protocol declares is absent.
        MoleculeError: If a SMILES is not a molecule.
    """
    with threads_for(len(observations)):
        return _fit(observations, protocol, recipe, seed, pool, start)


def _fit(
    observations: Observations,
    protocol: Protocol,
    recipe: str,
    seed: int,
    pool: Questions | None,
    start: GaussianProcessModel | None,
) -> GaussianProcessModel:
    keys = keys_of(observations.questions)
    rows = [rows_of(observations, j, keys) for j in range(len(observations.readouts))]
    # Canonical order: what follows cannot depend on the order of the rows.
    order = np.argsort(canonical_rank(observations.questions), kind="stable")
    seen = [observations.questions.take(order)] + ([pool] if pool is not None else [])
    tried = candidates(protocol, seen, recipe)
    for name, own in zip(observations.readouts, rows, strict=True):
        require_rows(own, name, recipe)
    encoders: dict[str, Encoder] = {}
    fitted = []
    for j, name in enumerate(observations.readouts):
        choice = _fit_readout(
            _Task(observations, rows[j], protocol.readout(name), seed),
            _encoded(tried, encoders, protocol, seen),
            None if start is None else _start_of(start, j),
        )
        fitted.append(choice)
    fitted = _together(fitted, observations.questions)
    success = _success(observations, [one.chosen for one in fitted], seed)
    return _assembled(
        observations, protocol, recipe, fitted, (success, start is not None)
    )


def _together(fitted: list[_Fitted], questions: Questions) -> list[_Fitted]:
    """Let readouts share one process where left-out values say that it pays."""
    alone = [
        Alone(one.chosen.surrogate, one.rows, one.chosen.structure, one.chosen.left_out)
        for one in fitted
    ]
    found = fit_together(alone, questions)
    if found is None or not pays(found):
        return fitted
    return [
        replace(
            one,
            shared=shared,
            slope=0.0,
            unseen=shared.left_out,
            calibration=fit_calibration(shared.left_out.residuals),
        )
        for one, shared in zip(fitted, found, strict=True)
    ]


def _success(
    observations: Observations, chosen: Sequence[_Candidate], seed: int
) -> Classifier:
    labels = success_of(observations)
    order = np.argsort(canonical_rank(observations.questions), kind="stable")
    known = order[~np.isnan(labels[order])]
    pairs = {one.structure.name: (one.structure, one.surrogate.encoder)
             for one in chosen}  # fmt: skip
    return fit_classifier(
        observations.questions.take(known),
        labels[known],
        list(pairs.values()),
        seed=seed,
    )


@dataclass(frozen=True)
class _Task:
    observations: Observations
    rows: Rows
    readout: Readout
    seed: int


@dataclass(frozen=True)
class _Start:
    structure: str
    theta: torch.Tensor


def _start_of(model: GaussianProcessModel, j: int) -> _Start:
    name = model.card.structure[model.card.readouts[j]].split(" ")[0]
    return _Start(name, torch.from_numpy(model.thetas[j]))


def _encoded(
    tried: Sequence[Structure],
    encoders: dict[str, Encoder],
    protocol: Protocol,
    seen: Sequence[Questions],
) -> list[tuple[Structure, Encoder]]:
    for structure in tried:
        if structure.features not in encoders:
            encoders[structure.features] = build_encoder(
                protocol, seen, structure.features
            )
    return [(structure, encoders[structure.features]) for structure in tried]


def _fit_readout(
    task: _Task,
    tried: Sequence[tuple[Structure, Encoder]],
    start: _Start | None,
) -> _Fitted:
    kept = [pair for pair in tried if start and pair[0].name == start.structure]
    results = [
        _fit_structure(task, structure, encoder, start if kept else None)
        for structure, encoder in kept or tried
    ]
    chosen = min(results, key=lambda candidate: candidate.score)
    unseen = predict_unseen(
        chosen.surrogate,
        chosen.evidence,
        chosen.structure,
        task.rows,
        seed=task.seed,
    )
    surrogate, left_out, slope = with_sloped_noise(
        chosen.surrogate, task.rows, chosen.left_out
    )
    if slope:
        unseen = as_wide_as(left_out, unseen, chosen.left_out)
        chosen = replace(chosen, surrogate=surrogate, left_out=left_out)
    return _Fitted(
        readout=task.readout,
        rows=task.rows,
        chosen=chosen,
        scores={result.structure.name: result.score for result in results},
        unseen=unseen,
        calibration=fit_calibration(unseen.residuals),
        is_split_identified=task.readout.noise_sd is not None
        or task.rows.scatter[1] >= MIN_SCATTER,
        passes=_passes(task, chosen),
        slope=slope,
    )


def _passes(task: _Task, chosen: _Candidate) -> Classifier | None:
    if task.readout.kind is not ReadoutKind.PASS_FAIL:
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


def _fit_structure(
    task: _Task, structure: Structure, encoder: Encoder, start: _Start | None
) -> _Candidate:
    rows, readout = task.rows, task.readout
    location, scale = standard_units(rows)
    inputs = encoder.encode(task.observations.questions.take(rows.source))
    targets = torch.from_numpy((rows.mean - location) / scale)
    n_replicates = torch.from_numpy(rows.n_replicates)
    scatter, n_scatter = rows.scatter
    noise = None if readout.noise_sd is None else (readout.noise_sd / scale) ** 2
    evidence = Evidence(
        inputs, targets, n_replicates, scatter / scale**2, n_scatter, noise
    )
    known = np.flatnonzero(~rows.is_censored)
    if len(known) > MAX_HYPER_ROWS:
        rng = np.random.default_rng(task.seed)
        known = np.sort(rng.permutation(known)[:MAX_HYPER_ROWS])
    groups = encoder.groups
    if structure.is_isotropic:
        groups = torch.zeros_like(groups)
    with threads_for(len(known)):
        chosen = maximise_evidence(
            evidence.take(torch.from_numpy(known)),
            structure,
            groups,
            start=None if start is None else start.theta,
        )
    surrogate = condition(
        encoder,
        chosen.kernel,
        (inputs, targets, chosen.noise_variance / n_replicates),
        units=(location, scale),
        noise_variance=chosen.noise_variance,
    )
    surrogate = with_limits(surrogate, rows.limit)
    return _Candidate(
        structure, surrogate, evidence, chosen, leave_one_out(surrogate, rows)
    )


def _assembled(
    observations: Observations,
    protocol: Protocol,
    recipe: str,
    fitted: Sequence[_Fitted],
    learnt: tuple[Classifier, bool],
) -> GaussianProcessModel:
    success, is_warm = learnt
    n_failed = int(observations.is_failed.sum())
    card = ModelCard(
        recipe=recipe,
        labwm_version=labwm.__version__,
        protocol_name=protocol.name,
        protocol_version=protocol.version,
        readouts=observations.readouts,
        units=tuple(one.readout.unit for one in fitted),
        n_rows=len(observations),
        n_failed=n_failed,
        data_sha256=observations.digest(),
        structure={one.readout.name: _in_words(one) for one in fitted},
        hyperparameters=_hyperparameters(fitted),
        metrics=tuple(metric for one in fitted for metric in one.metrics),
        is_split_identified=all(one.is_split_identified for one in fitted),
        notes=(*_own_notes(fitted), *notes_of_model(success, is_warm)),
    )
    return GaussianProcessModel(
        card=card,
        surrogates=tuple(one.surrogate for one in fitted),
        calibration=tuple(one.calibration for one in fitted),
        observations=observations,
        keys=tuple(one.keys for one in fitted),
        thetas=tuple(one.chosen.hyperparameters.theta.numpy() for one in fitted),
        residuals=tuple(one.unseen.residuals for one in fitted),
        success=success,
        slopes=tuple(one.slope for one in fitted),
        passes=tuple(one.passes for one in fitted),
        is_shared=any(one.shared is not None for one in fitted),
    )


def _in_words(one: _Fitted) -> str:
    scores = ", ".join(f"{name} {score:.3f}" for name, score in one.scores.items())
    return f"{one.chosen.structure.name} (left-out log loss: {scores})"


def _hyperparameters(fitted: Sequence[_Fitted]) -> dict[str, float]:
    values: dict[str, float] = {}
    for one in fitted:
        kernel, scale = one.surrogate.kernel, abs(one.surrogate.scale)
        own = {
            "noise_sd": float(np.sqrt(one.surrogate.noise_variance)) * scale,
            "signal_sd": float(kernel.signal_variance.sqrt()) * scale,
        }
        own |= {f"weight_{i}": float(w) for i, w in enumerate(kernel.weights)}
        own |= {f"length_{i}": float(v) for i, v in enumerate(kernel.lengthscales)}
        values |= {f"{one.readout.name}.{name}": v for name, v in own.items()}
    return values


def _own_notes(fitted: Sequence[_Fitted]) -> list[str]:
    return [
        note
        for one in fitted
        for note in notes_of_readout(
            one.readout,
            one.rows,
            slope=one.slope,
            gain=None if one.shared is None else one.shared.gain,
        )
    ]
