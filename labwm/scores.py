"""Proper scores and calibration measures of probabilistic predictions.

Shapes: `n` outcomes. Smaller is better unless said otherwise; every score keeps the
unit of the readout, or has none. Pairs with a NaN are refused, never skipped.

References:
    Gneiting & Raftery, JASA 102 (2007) 359; Kuleshov et al., ICML 2018; Levi et al.,
    Sensors 22 (2022) 5540; Rasmussen & Williams, 2006, section 2.5.
"""

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from labwm.errors import InvalidInputError

Floats = NDArray[np.float64]

N_SIMULATED = 500


def rmse(y: ArrayLike, mean: ArrayLike) -> float:
    """Return the root of the mean squared error."""
    y, mean = _pairs(y, mean)
    return float(np.sqrt(np.mean((y - mean) ** 2)))


def mae(y: ArrayLike, mean: ArrayLike) -> float:
    """Return the mean absolute error."""
    y, mean = _pairs(y, mean)
    return float(np.mean(np.abs(y - mean)))


def r2(y: ArrayLike, mean: ArrayLike) -> float:
    """Return the share of variance explained; larger is better, NaN if all are equal.

    The variance is that of `y` around its own mean (as scikit-learn has it).
    """
    y, mean = _pairs(y, mean)
    total = np.sum((y - y.mean()) ** 2)
    return float(1.0 - np.sum((y - mean) ** 2) / total) if total > 0 else float("nan")


def spearman(y: ArrayLike, mean: ArrayLike) -> float:
    """Return the rank correlation; larger is better, NaN if either is constant."""
    from scipy.stats import rankdata

    y, mean = _pairs(y, mean)
    a, b = rankdata(y), rankdata(mean)
    a, b = a - a.mean(), b - b.mean()
    norm = np.sqrt((a @ a) * (b @ b))
    return float(a @ b / norm) if norm > 0 else float("nan")


def nlpd(log_density: ArrayLike) -> float:
    """Return the mean negative log predictive density, nats per outcome."""
    (log_density,) = _pairs(log_density)
    return float(-np.mean(log_density))


def msll(log_density: ArrayLike, y: ArrayLike, y_train: ArrayLike) -> float:
    """Return the log loss minus that of a normal with the training moments.

    Below zero is better than ignoring the question. The reference is fitted to the
    training outcomes, never to those that are scored, and its variance is that of
    `y_train` (`ddof=0`).
    """
    log_density, y = _pairs(log_density, y)
    (train,) = _pairs(y_train)
    mean, variance = train.mean(), train.var()
    if variance <= 0:
        raise InvalidInputError(
            "The reference of msll needs training outcomes that differ; got "
            f"{len(train)} equal ones. Score with nlpd instead."
        )
    reference = -0.5 * (np.log(2 * np.pi * variance) + (y - mean) ** 2 / variance)
    return float(np.mean(reference - log_density))


def crps_gaussian(y: ArrayLike, mean: ArrayLike, sd: ArrayLike) -> Floats:
    """Return the continuous ranked probability score of normals, length `n`."""
    from scipy.special import ndtr

    y, mean, sd = _pairs(y, mean, sd)
    z = (y - mean) / sd
    density = np.exp(-0.5 * z**2) / np.sqrt(2 * np.pi)
    return sd * (z * (2 * ndtr(z) - 1) + 2 * density - 1 / np.sqrt(np.pi))


def crps(
    y: ArrayLike, quantile: Callable[[float], ArrayLike], *, n_levels: int = 200
) -> Floats:
    """Return the continuous ranked probability score of any distribution, length `n`.

    It is twice the pinball loss integrated over levels, by the midpoint rule.

    Args:
        y: Outcomes.
        quantile: Gives the quantiles of all `n` distributions at one level.
        n_levels: Levels; 200 leave an error of about 0.1 % for normals.
    """
    (y,) = _pairs(y)
    total = np.zeros_like(y)
    for level in (np.arange(n_levels) + 0.5) / n_levels:
        _, q = _pairs(y, quantile(float(level)))
        total += (y - q) * (level - (y < q))
    return 2.0 * total / n_levels


def coverage(y: ArrayLike, low: ArrayLike, high: ArrayLike) -> float:
    """Return the share of outcomes inside their intervals; best is the stated level."""
    y, low, high = _pairs(y, low, high)
    return float(np.mean((low <= y) & (y <= high)))


def share_interval(n_inside: int, n: int) -> tuple[float, float]:
    """Return the 95 % interval of a share of `n`, at least one, independent outcomes.

    Reference:
        Wilson, JASA 22, 209 (1927).
    """
    z = 1.959963984540054
    share = n_inside / n
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
    return float(max(0.0, centre - half)), float(min(1.0, centre + half))


def interval_score(
    y: ArrayLike, low: ArrayLike, high: ArrayLike, *, level: float
) -> Floats:
    """Return the width of each interval plus a fine for missing, length `n`."""
    y, low, high = _pairs(y, low, high)
    fine = 2.0 / (1.0 - _level(level))
    missed = np.maximum(low - y, 0.0) + np.maximum(y - high, 0.0)
    return (high - low) + fine * missed


def pit(cdf: ArrayLike) -> Floats:
    """Return probability integral transforms: uniform on [0, 1] where calibrated.

    Args:
        cdf: Each distribution's cdf at its outcome, length `n`.
    """
    (u,) = _pairs(cdf)
    if np.any((u < 0) | (u > 1)):
        raise InvalidInputError(
            f"A cdf lies in [0, 1]; got {u.min():g} to {u.max():g}. Pass "
            "`Prediction.cdf` at the outcomes."
        )
    return u


def miscalibration_area(cdf: ArrayLike) -> float:
    """Return the area between stated and observed coverage, 0 (best) to 0.5.

    Over all central intervals: the integral over levels of the distance between the
    level and the share of outcomes inside, exactly, not on a grid.
    """
    needed = np.sort(np.abs(2.0 * pit(cdf) - 1.0))
    n = len(needed)
    edges = np.concatenate([[0.0], needed, [1.0]])
    share = np.arange(n + 1) / n
    return float(np.sum(_area_to_line(share, edges[:-1], edges[1:])))


def _area_to_line(share: Floats, a: Floats, b: Floats) -> Floats:
    # The integral of |share - p| over [a, b]; the primitive of |u| is u|u|/2.
    def primitive(p: Floats) -> Floats:
        return 0.5 * (p - share) * np.abs(p - share)

    return primitive(b) - primitive(a)


def ence(y: ArrayLike, mean: ArrayLike, sd: ArrayLike, *, n_bins: int = 10) -> float:
    """Return the expected normalised calibration error; 0 is best.

    Outcomes are sorted by stated deviation into bins of equal count; each bin compares
    its root mean variance with its root mean squared error.
    """
    y, mean, sd = _pairs(y, mean, sd)
    order = np.argsort(sd, kind="stable")
    errors = []
    for part in np.array_split(order, min(n_bins, len(order))):
        stated = np.sqrt(np.mean(sd[part] ** 2))
        seen = np.sqrt(np.mean((y[part] - mean[part]) ** 2))
        errors.append(abs(stated - seen) / stated)
    return float(np.mean(errors))


def crpss(crps: ArrayLike, y: ArrayLike, y_train: ArrayLike) -> float:
    """Return the share of the training marginal's CRPS that is saved; 1 is best.

    The reference is the empirical distribution of the training outcomes: its score is
    `E|Y - y| - E|Y - Y'| / 2`. NaN where that is zero.
    """
    crps, y = _pairs(crps, y)
    (train,) = _pairs(y_train)
    train = np.sort(train)
    n, below = len(train), np.searchsorted(train, y)
    sums = np.concatenate([[0.0], np.cumsum(train)])
    distance = (y * (2 * below - n) + sums[-1] - 2 * sums[below]) / n
    spread = 2.0 * np.sum(train * (2 * np.arange(n) - n + 1)) / n**2
    reference = float(np.mean(distance) - spread / 2.0)
    return 1.0 - float(np.mean(crps)) / reference if reference > 0 else float("nan")


def sharpness(sd: ArrayLike) -> float:
    """Return the root of the mean stated variance, in the unit of the readout."""
    (sd,) = _pairs(sd)
    return float(np.sqrt(np.mean(sd**2)))


def dispersion(sd: ArrayLike) -> float:
    """Return how much stated deviations vary: their coefficient of variation."""
    (sd,) = _pairs(sd)
    return float(sd.std(ddof=1) / sd.mean()) if len(sd) > 1 else float("nan")


def pit_distance(cdf: ArrayLike) -> float:
    """Return the largest distance of the transforms from uniform (Kolmogorov)."""
    u = np.sort(pit(cdf))
    n = len(u)
    above, below = np.arange(1, n + 1) / n - u, u - np.arange(n) / n
    return float(max(above.max(), below.max()))


@lru_cache(maxsize=64)
def honest_miscalibration_area(n: int, *, level: float = 0.9, seed: int = 0) -> float:
    """Return the area that a perfectly calibrated model stays below with `level`.

    By simulation of `n` outcomes: with few of them no model reaches zero.
    """
    rng = np.random.default_rng(seed)
    areas = [miscalibration_area(rng.random(n)) for _ in range(N_SIMULATED)]
    return float(np.quantile(areas, _level(level)))


def adversarial_miscalibration(
    cdf: ArrayLike, *, share: float = 0.2, n_groups: int = 100, seed: int = 0
) -> float:
    """Return the largest miscalibration area among random groups of a share of rows.

    Reference:
        Zhao, Ma & Ermon, ICML 2020, arXiv 2006.10288, section 4.
    """
    u = pit(cdf)
    size = max(2, round(share * len(u)))
    if size > len(u):
        return float("nan")
    rng = np.random.default_rng(seed)
    groups = (rng.choice(len(u), size, replace=False) for _ in range(n_groups))
    return max(miscalibration_area(u[group]) for group in groups)


def worst_slab_coverage(
    features: NDArray[np.float64],
    is_inside: ArrayLike,
    *,
    share: float = 0.2,
    n_slabs: int = 200,
    seed: int = 0,
) -> float:
    """Return the coverage in the worst slab of feature space, honestly.

    A slab is what lies between two values of one projection and holds at least a share
    of the rows. The worst one is sought among random directions on one half of the
    rows and its coverage is stated on the other half.

    Args:
        features: `n x d`.
        is_inside: Was each outcome in its interval? Length `n`.
        share: Of the rows that a slab holds at least.
        n_slabs: Directions tried.
        seed: Of the directions and the halves.

    Reference:
        Romano, Sesia & Candes, NeurIPS 2020, arXiv 2006.02544, section S1.2.
    """
    (inside,) = _pairs(np.asarray(is_inside, float))
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(inside))
    sought, stated = order[: len(order) // 2], order[len(order) // 2 :]
    least = round(share * len(sought))
    if least < 2:
        return float("nan")
    worst, found = np.inf, float("nan")
    for direction in rng.normal(size=(n_slabs, features.shape[1])):
        along = features @ direction
        low, high, coverage_there = _worst_run(along[sought], inside[sought], least)
        within = (along[stated] >= low) & (along[stated] <= high)
        if coverage_there < worst and within.any():
            worst, found = coverage_there, float(inside[stated][within].mean())
    return found


def _worst_run(along: Floats, inside: Floats, least: int) -> tuple[float, float, float]:
    # The run of `least`, half as many more or twice as many neighbours of the smallest
    # mean: a longer run falls apart into two, of which one is no better.
    order = np.argsort(along, kind="stable")
    along, sums = along[order], np.concatenate([[0.0], np.cumsum(inside[order])])
    best = (np.inf, 0, least)
    for size in (least, min(3 * least // 2, len(along)), min(2 * least, len(along))):
        means = (sums[size:] - sums[:-size]) / size
        i = int(np.argmin(means))
        best = min(best, (float(means[i]), i, size))
    mean, i, size = best
    return float(along[i]), float(along[i + size - 1]), mean


def brier(is_success: ArrayLike, probability: ArrayLike) -> float:
    """Return the mean squared error of stated probabilities of success."""
    hit, p = _chances(is_success, probability)
    return float(np.mean((p - hit) ** 2))


def log_loss(is_success: ArrayLike, probability: ArrayLike) -> float:
    """Return the mean negative log probability of what happened, nats per outcome."""
    hit, p = _chances(is_success, probability)
    with np.errstate(divide="ignore"):
        return float(-np.mean(np.log(np.where(hit == 1.0, p, 1.0 - p))))


def calibration_error(
    is_success: ArrayLike, probability: ArrayLike, *, n_bins: int = 10
) -> float:
    """Return the expected calibration error of probabilities; 0 is best.

    Outcomes are sorted by stated probability into bins of equal count; the error is the
    mean distance between the stated mean and the share of successes.
    """
    hit, p = _chances(is_success, probability)
    order = np.argsort(p, kind="stable")
    parts = np.array_split(order, min(n_bins, len(order)))
    errors = [len(part) * abs(p[part].mean() - hit[part].mean()) for part in parts]
    return float(np.sum(errors) / len(p))


def _chances(is_success: ArrayLike, probability: ArrayLike) -> tuple[Floats, Floats]:
    hit, p = _pairs(np.asarray(is_success, float), probability)
    if np.any((p < 0) | (p > 1)) or not set(np.unique(hit)) <= {0.0, 1.0}:
        raise InvalidInputError(
            "Probabilities lie in [0, 1] and outcomes are 0 or 1; got "
            f"{p.min():g} to {p.max():g} and {np.unique(hit)[:3]}. Pass pass/fail "
            "outcomes and their stated probabilities."
        )
    return hit, p


def _level(level: float) -> float:
    if not 0 < level < 1:
        raise InvalidInputError(
            f"A level lies strictly between 0 and 1; got {level}. Write 0.9 for 90 %."
        )
    return level


def _pairs(*arrays: ArrayLike) -> tuple[Floats, ...]:
    found = [np.asarray(array, dtype=float) for array in arrays]
    shapes = {array.shape for array in found}
    if len(shapes) != 1 or found[0].ndim != 1 or not len(found[0]):
        raise InvalidInputError(
            "Scores compare vectors of one length, at least one; got shapes "
            f"{[array.shape for array in found]}. Select one readout."
        )
    if not all(np.isfinite(array).all() for array in found):
        raise InvalidInputError(
            "Scores need finite numbers; got NaN or infinity. Leave out rows "
            "without an outcome, and say how many."
        )
    return tuple(found)
