"""Few-shot predictions of one assay, scored: the task prior and a process on its own.

Shapes: `n` rows of the support, `q` rows asked about.

Both learn from the same support. Labels are regressed as +1 and -1 (as in FS-Mol);
values as they are, limits by the task prior as limits and by the single process, as is
the habit of the field, as their stated numbers. Both are scored alike: a limit by the
probability of what is beyond it.

Reference:
    Stanley et al., FS-Mol, NeurIPS Datasets and Benchmarks 2021.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.special import log_ndtr, ndtr
from sklearn.metrics import average_precision_score

from labwm.data.assays import Assay
from labwm.evaluation.tanimoto import signal_and_noise
from labwm.world_model.tasks.items import Items, similarity
from labwm.world_model.tasks.prior import Pool, TaskPrior

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

PRIOR, SINGLE = "task_prior", "tanimoto_gp"
ARMS: Final = (PRIOR, SINGLE)
MOST_LIMITS: Final = 0.2
"""Share of limits beyond which an assay has no R²: its numbers are a selection."""
FEWEST_NUMBERS: Final = 8
"""Numbers among the rows asked about that value scores need."""
LOG_TWO_PI: Final = float(np.log(2.0 * np.pi))


@dataclass(frozen=True)
class Marginals:
    """What one arm says of the values of `q` rows.

    Attributes:
        mean: Length `q`.
        log_density: Of the measured value; of what is beyond it where it is a limit.
        cdf: At the measured value.
    """

    mean: Floats
    log_density: Floats
    cdf: Floats


def stratified_support(
    is_active: NDArray[np.bool_], size: int, rng: np.random.Generator
) -> tuple[Indices, Indices]:
    """Draw a support with the assay's share of actives; return it and the rest."""
    active, other = np.flatnonzero(is_active), np.flatnonzero(~is_active)
    n_active = min(max(round(size * len(active) / len(is_active)), 1), size - 1)
    n_active = max(min(n_active, len(active)), size - len(other))
    chosen = np.concatenate(
        [rng.permutation(active)[:n_active], rng.permutation(other)[: size - n_active]]
    )
    return chosen, np.setdiff1d(np.arange(len(is_active)), chosen)


def few_shot_scores(
    prior: TaskPrior, assay: Assay, pool: Pool, support: Indices, asked: Indices
) -> dict[str, dict[str, float]]:
    """Return the scores of both arms, NaN where one is not defined."""
    labels = np.where(assay.is_active, 1.0, -1.0)
    said = {
        PRIOR: prior.prior_for(pool, "label")
        .condition_on(support, labels[support])
        .predict(asked)
        .mean,
        SINGLE: single_process(pool.items, labels, support, asked)[0],
    }
    is_active = assay.is_active[asked]
    found = {arm: {"delta_auprc": _above_base(is_active, said[arm])} for arm in ARMS}
    known = ~np.isnan(assay.values)
    learnt, rows = support[known[support]], asked[known[asked]]
    is_number = assay.limits[rows] == 0
    if len(learnt) < 2 or is_number.sum() < FEWEST_NUMBERS:
        return found
    for arm, marginals in {
        PRIOR: _of_prior(prior, assay, pool, learnt, rows),
        SINGLE: _of_single(assay, pool, learnt, rows),
    }.items():
        found[arm] |= _value_scores(assay, marginals, learnt, rows)
    return found


def single_process(
    items: Items, values: Floats, support: Indices, asked: Indices
) -> tuple[Floats, Floats]:
    """Return mean and deviation of the plain Tanimoto process at `q` rows.

    Signal and noise by marginal likelihood, mean and scale those of the support.
    """
    y = values[support]
    location, scale = float(y.mean()), max(float(y.std(ddof=1)), 1e-6)
    z = (y - location) / scale
    own, other = items.take(support), items.take(asked)
    among = similarity(own, own).astype(float)
    _, signal, noise = signal_and_noise(among, z)
    factor = cho_factor(signal * among + noise * np.eye(len(z)), lower=True)
    cross = signal * similarity(own, other).astype(float)
    mean = cross.T @ cho_solve(factor, z)
    spent = np.einsum("nq,nq->q", cross, cho_solve(factor, cross))
    variance = np.maximum(signal - spent, 0.0) + noise
    return location + scale * mean, scale * np.sqrt(variance)


def _above_base(is_active: NDArray[np.bool_], score: Floats) -> float:
    if is_active.all() or not is_active.any():
        return float("nan")
    return float(average_precision_score(is_active, score) - is_active.mean())


def _of_prior(
    prior: TaskPrior, assay: Assay, pool: Pool, support: Indices, asked: Indices
) -> Marginals:
    model = prior.prior_for(pool).condition_on(
        support, assay.values[support], assay.limits[support]
    )
    said, y = model.predict(asked), assay.values[asked]
    side = assay.limits[asked].astype(float)
    density = np.where(side == 0, said.log_density(y), said.log_probability(y, side))
    return Marginals(said.mean, density, said.cdf(y))


def _of_single(assay: Assay, pool: Pool, support: Indices, asked: Indices) -> Marginals:
    mean, sd = single_process(pool.items, assay.values, support, asked)
    z, side = (assay.values[asked] - mean) / sd, assay.limits[asked].astype(float)
    density = -0.5 * (z * z + LOG_TWO_PI) - np.log(sd)
    return Marginals(mean, np.where(side == 0, density, log_ndtr(-side * z)), ndtr(z))


def _value_scores(
    assay: Assay, said: Marginals, support: Indices, asked: Indices
) -> dict[str, float]:
    is_number = assay.limits[asked] == 0
    y = assay.values[asked]
    inside = (said.cdf > 0.05) & (said.cdf < 0.95)
    found = {
        "nlpd": -float(said.log_density.mean()),
        "coverage90": float(inside[is_number].mean()),
    }
    reference = np.mean((y - assay.values[support].mean())[is_number] ** 2)
    if assay.limit_share <= MOST_LIMITS and reference > 0:
        error = np.mean((y - said.mean)[is_number] ** 2)
        found["r2"] = float(1.0 - error / reference)
    return found
