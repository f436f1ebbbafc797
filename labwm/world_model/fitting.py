"""Fit the default world model: choose a structure, condition, recalibrate, report.

Shapes: `n` rows, `m` readouts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

import labwm
from labwm.schema import CalibrationMap, Metric, ModelCard, Protocol, Readout
from labwm.schema.readouts import ReadoutKind
from labwm.space.questions import Observations, Questions
from labwm.world_model.calibration import fit_calibration
from labwm.world_model.censoring import with_limits
from labwm.world_model.cross_fit import predict_unseen
from labwm.world_model.encoding import Encoder, build_encoder
from labwm.world_model.full_scale import FullScaleSurrogate
from labwm.world_model.gaussian_process import GaussianProcessModel
from labwm.world_model.leave_one_out import LeftOut, leave_one_out
from labwm.world_model.linear_algebra import threads_for
from labwm.world_model.many_rows import MAX_EXACT, fit_many, score_on
from labwm.world_model.marginal_likelihood import (
    Evidence,
    Hyperparameters,
    maximise_evidence,
)
from labwm.world_model.report import left_out_metrics
from labwm.world_model.structure import Structure, candidates
from labwm.world_model.surrogate import Surrogate, condition
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
    surrogate: Surrogate | FullScaleSurrogate
    evidence: Evidence
    hyperparameters: Hyperparameters
    left_out: LeftOut
    order: NDArray[np.int64] | None = None

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

    @property
    def keys(self) -> tuple[bytes, ...]:
        """Conditions of each row of the surrogate."""
        if self.chosen.order is None:
            return self.rows.key
        return tuple(self.rows.key[i] for i in self.chosen.order)

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
    """Fit one Gaussian process per readout; costs `n**3` per structure tried.

    Readouts with more than `MAX_EXACT` values get the posterior of `full_scale`, whose
    cost grows as `n`; it is the exact one where rows are few.

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
    if max(int((~own.is_censored).sum()) for own in rows) > MAX_EXACT:
        tried = tuple(structure.quick() for structure in tried)
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
    return _assembled(observations, protocol, recipe, fitted, start is not None)


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
    return _fitted(
        task, chosen, {result.structure.name: result.score for result in results}, unseen
    )


def _fitted(
    task: _Task, chosen: _Candidate, scores: dict[str, float], unseen: LeftOut
) -> _Fitted:
    return _Fitted(
        readout=task.readout,
        rows=task.rows,
        chosen=chosen,
        scores=scores,
        unseen=unseen,
        calibration=fit_calibration(unseen.residuals),
        is_split_identified=task.readout.noise_sd is not None
        or task.rows.scatter[1] >= MIN_SCATTER,
    )


def _fit_many_rows(
    task: _Task, tried: Sequence[tuple[Structure, Encoder]], start: _Start | None
) -> _Fitted:
    results = []
    for structure, encoder in tried:
        units, evidence = _evidence(task, encoder)
        groups = _groups(structure, encoder)
        some = _hyper_rows(task)
        first = None if start is None else start.theta
        found, score = score_on(
            evidence.take(some), structure, encoder, groups, first
        )
        results.append((score, found, structure, encoder, units, evidence))
    # Structures are compared on some of the rows, and the best is fitted to all.
    _, found, structure, encoder, units, evidence = min(results, key=lambda r: r[0])
    many = fit_many(encoder, found, evidence, task.rows, units=units, seed=task.seed)
    chosen = _Candidate(
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
    task: _Task, structure: Structure, encoder: Encoder, start: _Start | None
) -> _Candidate:
    (location, scale), evidence = _evidence(task, encoder)
    groups = _groups(structure, encoder)
    some = _hyper_rows(task)
    with threads_for(len(some)):
        chosen = maximise_evidence(
            evidence.take(some),
            structure,
            groups,
            start=None if start is None else start.theta,
        )
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
    )
    surrogate = with_limits(surrogate, task.rows.limit)
    return _Candidate(
        structure, surrogate, evidence, chosen, leave_one_out(surrogate, task.rows)
    )


def _groups(structure: Structure, encoder: Encoder) -> torch.Tensor:
    if structure.is_isotropic:
        return torch.zeros_like(encoder.groups)
    return encoder.groups


def _hyper_rows(task: _Task) -> torch.Tensor:
    known = np.flatnonzero(~task.rows.is_censored)
    if len(known) > MAX_HYPER_ROWS:
        rng = np.random.default_rng(task.seed)
        known = np.sort(rng.permutation(known)[:MAX_HYPER_ROWS])
    return torch.from_numpy(known)


def _evidence(task: _Task, encoder: Encoder) -> tuple[tuple[float, float], Evidence]:
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


def _assembled(
    observations: Observations,
    protocol: Protocol,
    recipe: str,
    fitted: Sequence[_Fitted],
    is_warm: bool,
) -> GaussianProcessModel:
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
        notes=_notes(fitted, n_failed, is_warm),
    )
    return GaussianProcessModel(
        card=card,
        surrogates=tuple(one.chosen.surrogate for one in fitted),
        calibration=tuple(one.calibration for one in fitted),
        observations=observations,
        keys=tuple(one.keys for one in fitted),
        thetas=tuple(one.chosen.hyperparameters.theta.numpy() for one in fitted),
        residuals=tuple(one.unseen.residuals for one in fitted),
    )


def _in_words(one: _Fitted) -> str:
    scores = ", ".join(f"{name} {score:.3f}" for name, score in one.scores.items())
    return f"{one.chosen.structure.name} (left-out log loss: {scores})"


def _hyperparameters(fitted: Sequence[_Fitted]) -> dict[str, float]:
    values: dict[str, float] = {}
    for one in fitted:
        kernel = one.chosen.hyperparameters.kernel
        own = {
            "noise_sd": float(np.sqrt(one.chosen.surrogate.noise_variance))
            * one.chosen.surrogate.scale,
            "signal_sd": float(kernel.signal_variance.sqrt())
            * one.chosen.surrogate.scale,
        }
        own |= {f"weight_{i}": float(w) for i, w in enumerate(kernel.weights)}
        own |= {f"length_{i}": float(v) for i, v in enumerate(kernel.lengthscales)}
        values |= {f"{one.readout.name}.{name}": v for name, v in own.items()}
    return values


def _notes(fitted: Sequence[_Fitted], n_failed: int, is_warm: bool) -> tuple[str, ...]:
    notes = []
    for one in fitted:
        name, n_limits = one.readout.name, int(one.rows.is_censored.sum())
        if n_limits:
            notes.append(
                f"{name}: {n_limits} values are limits; they count as such through "
                "expectation propagation, with hyperparameters, calibration and "
                "scores from the uncensored values alone."
            )
        if np.ptp(one.rows.values) == 0.0:
            notes.append(f"{name}: every value is equal; the scale is a guess.")
        if one.readout.kind is ReadoutKind.PASS_FAIL:
            notes.append(f"{name}: pass/fail is predicted as a number from 0 to 1.")
    if n_failed:
        notes.append(
            f"{n_failed} rows failed; they are counted and teach nothing yet about "
            "where experiments fail."
        )
    if is_warm:
        notes.append("Hyperparameters were sought from those of an earlier model.")
    return tuple(notes)
