"""Evidence for stopping: what all that is left may still add, and what it costs.

Shapes: `c` candidates that are left, `f` conditions that were measured, `w` worlds, `k`
objectives.
"""

import math

import numpy as np
from numpy.typing import NDArray

from labwm.design.hypervolume_improvement import reference_and_scale
from labwm.design.modelled import gains_of, known_utilities, utilities_of
from labwm.design.posterior import latent
from labwm.design.screen import improvement_of
from labwm.design.start import Ready
from labwm.design.state import State
from labwm.schema import ExperimentCost
from labwm.schema.outlook import Outlook
from labwm.space.questions import Questions, concatenate
from labwm.world_model.contract import WorldModel
from labwm.world_model.hypervolume import hypervolume
from labwm.world_model.reward import prices

Floats = NDArray[np.float64]

N_COMPARED = 384
"""Most promising candidates that stand for all that are left."""
MAX_SCORED = 8192
"""Candidates among which the most promising are sought, where more are left."""
N_WORLDS = 512
N_WORLDS_SEVERAL = 64
"""Worlds with several objectives, where each costs a hypervolume."""
LEAST_SHARE = 0.01


def outlook(
    state: State, ready: Ready, chosen: Questions, *, n_batch: int
) -> Outlook | None:
    """Return what is left to gain before a round is measured.

    Worlds are drawn from the posterior over the most promising candidates and what was
    measured together: in each the best left is held against the best measured. It is
    what measuring everything would add, so more than a budget can; None where nothing
    measured counts yet.

    Args:
        state: All that was measured.
        ready: Candidates and the model.
        chosen: The round that is proposed.
        n_batch: Experiments of a round, for what batches cost.
    """
    known = known_utilities(state, ready)
    if not len(known) or not len(ready.candidates.rows):
        return None
    left = _most_promising(state, ready, known)
    measured = _distinct(state.observed.questions)
    drawn = _drawn(state, ready.model, concatenate([left, measured]))
    if drawn.shape[2] == 1:
        gains = _gains_of_best(drawn[:, :, 0], len(left))
        least = LEAST_SHARE * max(abs(float(known.max())), 1e-12)
        unit = state.protocol.readout(state.protocol.objectives[0].readout).unit
    else:
        gains = _gains_of_front(state, drawn[:N_WORLDS_SEVERAL], len(left), known)
        least, unit = LEAST_SHARE, None
    costs = state.protocol.costs
    n_chosen = len(chosen)
    cost_next = float(prices(costs, chosen.rows()).sum()) + costs.per_batch.amount
    n_rest = max(0, state.n_left - n_chosen)
    per_experiment = cost_next - costs.per_batch.amount
    cost_rest = per_experiment / max(n_chosen, 1) * n_rest
    cost_rest += costs.per_batch.amount * math.ceil(n_rest / n_batch)
    return Outlook(
        round=state.round,
        expected_gain=float(gains.mean()),
        least_gain=least,
        probability=float(np.mean(gains > least)),
        unit=unit,
        cost_next=cost_next,
        cost_left=cost_next + cost_rest,
        currency=_currency(costs.per_experiment, costs.per_batch),
        n_compared=len(left),
    )


def _most_promising(state: State, ready: Ready, known: Floats) -> Questions:
    rows = ready.candidates.rows
    if len(rows) > MAX_SCORED:
        # The last rows are what a search found: they are the most promising.
        some = np.random.default_rng([state.seed, 13]).choice(
            len(rows), MAX_SCORED // 2
        )
        rows = np.unique(np.concatenate([rows[some], rows[-MAX_SCORED // 2 :]]))
    asked = state.pool.take(rows)
    score = gains_of(state, ready, improvement_of(state, known), known)(asked)
    best = np.argsort(-score, kind="stable")[:N_COMPARED]
    return asked.take(best)


def _distinct(questions: Questions) -> Questions:
    first: dict[bytes, int] = {}
    for i, key in enumerate(questions.keys()):
        first.setdefault(key, i)
    return questions.take(list(first.values()))


def _drawn(state: State, model: WorldModel, asked: Questions) -> Floats:
    """Return utilities in drawn worlds, `w x (c + f) x k`."""
    found = latent(model, state.protocol, asked, seed=state.seed)
    n, k = found.mean.shape
    columns = np.stack([found.covariance_with(i) for i in range(n)])
    rng = np.random.default_rng([state.seed, 11])
    values = np.empty((N_WORLDS, n, k))
    for j in range(k):
        covariance = (columns[:, :, j] + columns[:, :, j].T) / 2
        eigenvalues, vectors = np.linalg.eigh(covariance)
        # Rounding leaves eigenvalues just below zero.
        root = vectors * np.sqrt(np.maximum(eigenvalues, 0.0))
        values[:, :, j] = found.mean[:, j] + rng.normal(size=(N_WORLDS, n)) @ root.T
    return utilities_of(state)(values)


def _gains_of_best(drawn: Floats, n_left: int) -> Floats:
    best_left = drawn[:, :n_left].max(axis=1)
    return np.maximum(best_left - drawn[:, n_left:].max(axis=1), 0.0)


def _gains_of_front(state: State, drawn: Floats, n_left: int, known: Floats) -> Floats:
    reference, _ = reference_and_scale(state, known)
    gains: list[float] = []
    for world in drawn:
        before = hypervolume(world[n_left:], reference)
        after = hypervolume(world, reference)
        gains.append((after - before) / max(before, 1e-300) if before > 0 else 1.0)
    return np.array(gains)


def _currency(*costs: ExperimentCost) -> str | None:
    return next((cost.currency for cost in costs if cost.currency), None)
