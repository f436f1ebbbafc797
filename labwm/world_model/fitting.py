"""Fit the default world model: choose a structure, condition, recalibrate, report.

Shapes: `n` rows, `m` readouts.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from labwm.schema import ModelCard, Protocol
from labwm.space.questions import Observations, Questions
from labwm.world_model.calibration import fit_calibration
from labwm.world_model.classifier import Classifier, fit_classifier
from labwm.world_model.encoding import Encoder, build_encoder
from labwm.world_model.fit_readout import Start, Task, fit_readout
from labwm.world_model.fitted import Candidate, Fitted, card_of
from labwm.world_model.gaussian_process import GaussianProcessModel
from labwm.world_model.linear_algebra import threads_for
from labwm.world_model.many_rows import MAX_EXACT
from labwm.world_model.outcomes import success_of
from labwm.world_model.structure import Structure, candidates
from labwm.world_model.surrogate import Surrogate
from labwm.world_model.together import Alone, fit_together, pays
from labwm.world_model.training import (
    canonical_rank,
    require_rows,
    rows_of,
)
from labwm.world_model.world import keys_of


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
        choice = fit_readout(
            Task(observations, rows[j], protocol.readout(name), seed),
            _encoded(tried, encoders, protocol, seen),
            None if start is None else _start_of(start, j),
        )
        fitted.append(choice)
    fitted = _together(fitted, observations.questions)
    success = _success(observations, [one.chosen for one in fitted], seed)
    card = card_of(
        observations,
        protocol,
        fitted,
        recipe=recipe,
        success=success,
        is_warm=start is not None,
    )
    return _assembled(card, observations, fitted, success)


def _together(fitted: list[Fitted], questions: Questions) -> list[Fitted]:
    """Let readouts share one process where left-out values say that it pays."""
    alone = [
        Alone(one.chosen.surrogate, one.rows, one.chosen.structure, one.chosen.left_out)
        for one in fitted
        if isinstance(one.chosen.surrogate, Surrogate)
    ]
    found = fit_together(alone, questions) if len(alone) == len(fitted) else None
    if found is None or not pays(found):
        return fitted
    return [
        replace(
            one,
            shared=shared,
            unseen=shared.left_out,
            calibration=fit_calibration(shared.left_out.residuals),
        )
        for one, shared in zip(fitted, found, strict=True)
    ]


def _success(
    observations: Observations, chosen: Sequence[Candidate], seed: int
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


def _start_of(model: GaussianProcessModel, j: int) -> Start:
    name = model.card.structure[model.card.readouts[j]].split(" ")[0]
    return Start(name, torch.from_numpy(model.thetas[j]))


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


def _assembled(
    card: ModelCard,
    observations: Observations,
    fitted: Sequence[Fitted],
    success: Classifier,
) -> GaussianProcessModel:
    return GaussianProcessModel(
        card=card,
        surrogates=tuple(one.surrogate for one in fitted),
        calibration=tuple(one.calibration for one in fitted),
        observations=observations,
        keys=tuple(one.keys for one in fitted),
        thetas=tuple(one.chosen.hyperparameters.theta.numpy() for one in fitted),
        residuals=tuple(one.unseen.residuals for one in fitted),
        success=success,
        passes=tuple(one.passes for one in fitted),
        is_shared=any(one.shared is not None for one in fitted),
    )
