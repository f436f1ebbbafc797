"""From a model to a batch: what the policies that improve on what is known share.

Shapes: `c` candidates, `k` objectives, `f` known utilities.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from labwm.design.candidates import Rows
from labwm.design.greedy_batch import Picks, Problem, greedy_batch
from labwm.design.improvement import Improvement
from labwm.design.posterior import latent, objective_columns
from labwm.design.search import search
from labwm.design.start import Ready
from labwm.design.state import State
from labwm.schema import Prediction
from labwm.space.questions import Questions, concatenate
from labwm.world_model.reward import utility

Floats = NDArray[np.float64]

N_COMPARED = 256
"""Candidates that a batch is first chosen from; more where these might not do."""


@dataclass(frozen=True)
class Chosen:
    """A batch of a policy with a model.

    Attributes:
        rows: Rows of the pool.
        log_gain: Logarithm of the expected gain of each over those before it.
    """

    rows: Rows
    log_gain: tuple[float, ...]


def known_utilities(state: State, ready: Ready) -> Floats:
    """Return what the model takes the measured conditions to be worth, `f x k`.

    The posterior mean stands in for the noisy value. Conditions without a number, and
    those that break an outcome constraint, are left out.
    """
    columns = objective_columns(state.protocol)
    values = state.observed.values[:, columns]
    has_number = np.asarray(~np.isnan(values).any(axis=1))
    first: dict[bytes, int] = {}
    for i, key in enumerate(state.observed.questions.keys()):
        if has_number[i]:
            first.setdefault(key, i)
    if not first:
        return np.empty((0, len(columns)))
    questions = state.observed.questions.take(list(first.values()))
    prediction = ready.model.predict(questions)
    counts = log_probability_of_counting(state, prediction) > np.log(0.5)
    return utilities_of(state)(prediction.mean[:, columns])[counts]


def utilities_of(state: State) -> Callable[[Floats], Floats]:
    """Return the map from the objectives' readouts to utilities, `... x k`."""
    objectives = state.protocol.objectives

    def to_utilities(values: Floats) -> Floats:
        return np.stack(
            [utility(o, values[..., j]) for j, o in enumerate(objectives)], axis=-1
        )

    return to_utilities


def log_probability_of_counting(state: State, prediction: Prediction) -> Floats:
    """Return the log probability that all outcome constraints hold, length `c`."""
    total = np.zeros(len(prediction))
    for limit in state.protocol.outcome_constraints:
        j = state.protocol.readout_names.index(limit.readout)
        high = _cdf(prediction, j, limit.at_most, 1.0)
        low = _cdf(prediction, j, limit.at_least, 0.0)
        total += np.log(np.maximum(high - low, 1e-12))
    return total


def gains_of(
    state: State, ready: Ready, improvement: Improvement, known: Floats
) -> Callable[[Questions], Floats]:
    """Return the log of what each question is expected to add by itself, length `q`."""

    def score(questions: Questions) -> Floats:
        prediction = ready.model.predict(questions)
        columns = objective_columns(state.protocol)
        mean, sd = prediction.mean[:, columns], prediction.epistemic_sd[:, columns]
        gain = improvement.log_gain(mean[None], sd, known[None])[0]
        return gain + _log_weight(state, ready, questions, prediction)

    return score


def widened(
    state: State, ready: Ready, improvement: Improvement, known: Floats
) -> tuple[State, Ready]:
    """Return state and candidates with what a search of an open space found."""
    if not state.is_open:
        return state, ready

    score = gains_of(state, ready, improvement, known)
    return ready.after(search(state, ready.candidates, score))


def log_probability_of_success(prediction: Prediction) -> Floats:
    """Return the log probability that each experiment gives a value, length `c`.

    What failed so far weighs on every gain: a region that fails is avoided as far as
    its promise does not outweigh its risk.
    """
    if prediction.success is None:
        return np.zeros(len(prediction))
    return np.log(np.maximum(prediction.success, 1e-12))


def at_risk(
    state: State, prediction: Prediction, scores: Floats, known: Floats
) -> Floats:
    """Return scores as expected where an experiment may fail, length `c`.

    A failure, and an outcome that breaks a constraint, is worth the least that a
    measured experiment was. What is worth less than that loses nothing by failing.

    Args:
        state: Its constraints count.
        prediction: Of the candidates.
        scores: Of the candidates if they succeed.
        known: Scores of what was measured, any length.
    """
    log_chance = log_probability_of_success(prediction)
    chance = np.exp(log_chance + log_probability_of_counting(state, prediction))
    least = float(np.min(known if len(known) else scores))
    return np.where(scores > least, least + chance * (scores - least), scores)


def choose(
    state: State,
    ready: Ready,
    n: int,
    improvement: Improvement,
    known: Floats,
) -> Chosen:
    """Choose the batch of the largest expected gain, in the best of the groups."""
    groups = ready.candidates.fitting(n)
    batches = [_choose_in(state, ready, n, improvement, known, g) for g in groups]
    totals = [np.logaddexp.reduce(batch.log_gain) for batch in batches]
    return batches[int(np.argmax(totals))]


def _choose_in(
    state: State,
    ready: Ready,
    n: int,
    improvement: Improvement,
    known: Floats,
    group: Rows,
) -> Chosen:
    questions = state.pool.take(group)
    prediction = ready.model.predict(questions)
    columns = objective_columns(state.protocol)
    mean, sd = prediction.mean[:, columns], prediction.epistemic_sd[:, columns]
    weight = _log_weight(state, ready, questions, prediction)
    single = improvement.log_gain(mean[None], sd, known[None])[0] + weight
    ranked = np.argsort(-single, kind="stable")
    n_compared = max(N_COMPARED, 8 * n)
    while True:
        kept = ranked[:n_compared]
        picks = _greedy(
            state,
            ready,
            group[kept],
            (weight[kept], single[kept]),
            improvement,
            known,
            n,
        )
        left_out = single[ranked[n_compared]] if n_compared < len(group) else -np.inf
        # A candidate never adds more to a batch than it adds alone. So if the last
        # choice adds as much as the best that was left out, leaving out cost nothing.
        if picks.log_gain[-1] >= left_out:
            return Chosen(group[kept[list(picks.index)]], picks.log_gain)
        n_needed = int(np.sum(single > picks.log_gain[-1]))
        n_compared = max(2 * n_compared, n_needed)


def _log_weight(
    state: State, ready: Ready, questions: Questions, prediction: Prediction
) -> Floats:
    weight = np.zeros(len(questions))
    if ready.log_price is not None:
        weight -= ready.log_price(questions)
    weight += log_probability_of_counting(state, prediction)
    return weight + log_probability_of_success(prediction)


def _greedy(  # noqa: PLR0913 - one step of `_choose_in`
    state: State,
    ready: Ready,
    rows: Rows,
    weight_and_bound: tuple[Floats, Floats],
    improvement: Improvement,
    known: Floats,
    n: int,
) -> Picks:
    questions = state.pool.take(rows)
    weight, bound = weight_and_bound
    n_pending = len(state.pending)
    if n_pending:
        questions = concatenate([questions, state.pending])
    problem = Problem(
        latent=latent(ready.model, state.protocol, questions, seed=state.seed),
        improvement=improvement,
        utility_of=utilities_of(state),
        known=known,
        log_weight=np.concatenate([weight, np.zeros(n_pending)]),
        is_pending=np.arange(len(questions)) >= len(rows),
        bound=np.concatenate([bound, np.zeros(n_pending)]),
    )
    return greedy_batch(problem, n, seed=state.seed)


def _cdf(prediction: Prediction, j: int, y: float | None, absent: float) -> Floats:
    if y is None:
        return np.full(len(prediction), absent)
    return prediction.cdf(np.full((len(prediction), len(prediction.readouts)), y))[:, j]
