"""Gaussian process regression on rows that come in groups, calibrated for new groups.

Rows of one group (a molecule) share what the features do not say, so that a row of a
group that was seen says nothing about rows of groups that were not. Errors are
therefore those of leaving out whole groups, in closed form, and a prediction's
distribution is that of the left-out errors, scaled to its own features.

Shapes: `n` rows, `q` asked, `d` features; features come in three blocks.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.optimize import minimize

from labwm.errors import NotEnoughDataError

Floats = NDArray[np.float64]

MIN_GROUPS: Final = 5
MOST_ROWS: Final = 500
"""Rows of a posterior; more are thinned evenly: its factor grows as `n**3`."""
MOST_TUNED: Final = 250
"""Rows that the hyperparameters are chosen on."""
JITTER: Final = 1e-6
_PRIOR_SD: Final = 1.5
"""Of the logarithm of each hyperparameter, around `_START`."""
_START: Final = np.log([0.5, 0.5, 0.5, 3.0, 2.0, 1.0, 0.1])
"""Variances of the linear, smooth and structural parts, length scales of the blocks
(the molecule, its state, the arguments), variance of the noise."""
N_FOLDS: Final = 5
"""Parts of the groups that the errors of the scale are learnt across."""
_FLOOR: Final = 0.05
"""Least error, in standard deviations, that the scale is learnt from."""
_RIDGE: Final = 5.0
_REACH: Final = 1.5
"""Most that the scale of a prediction differs from the mean's, in logarithms."""


@dataclass(frozen=True)
class Features:
    """Rows in three blocks, and the structure of each row's molecule.

    Attributes:
        blocks: Numbers of the molecule, of its state and of the arguments, `n x d`.
        bits: Substructures that the molecule holds, `n x b`, 0 or 1.
    """

    blocks: tuple[Floats, Floats, Floats]
    bits: Floats

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.bits)

    def take(self, rows: NDArray[np.int64] | NDArray[np.bool_]) -> "Features":
        """Return some rows."""
        first, second, third = (block[rows] for block in self.blocks)
        return Features((first, second, third), self.bits[rows])

    @cached_property
    def together(self) -> Floats:
        """All numbers, `n x d`."""
        return np.concatenate(self.blocks, axis=1)

    @cached_property
    def n_bits(self) -> Floats:
        """Number of substructures of each row, `n`."""
        return self.bits.sum(axis=1)


@dataclass(frozen=True)
class GroupedRegression:
    """Posterior over one number, for rows of groups that were not seen.

    Attributes:
        features: Rows learnt from, standardised.
        centre: Of the features, `2 x d`: means and standard deviations.
        target: Mean and standard deviation of the target.
        theta: Logarithms of the hyperparameters.
        weights: `K^-1 y`, `n`.
        inverse: `K^-1`, `n x n`.
        slopes: Of the logarithm of the scale, on the features and 1, `d + 1`.
        residuals: Left-out errors in scales, `n`.
    """

    features: Features
    centre: Floats
    target: tuple[float, float]
    theta: Floats
    weights: Floats
    inverse: Floats
    slopes: Floats
    residuals: Floats
    rows: NDArray[np.int64]
    """Rows of the table that were learnt from, `n`."""
    bounds: tuple[float, float]
    """Least and most of the target that can be drawn: what was seen, and a quarter of
    its range more on either side."""

    def predict(self, features: Features) -> tuple[Floats, Floats]:
        """Return mean and scale of rows, `q` each; the scale is that of `residuals`.

        The posterior's own variance is computed at the mean row only: rows that are
        asked together are particles of one molecule.
        """
        asked = _standardised(features, self.centre)
        mean, sd = self.target
        cross = _kernel(self.theta, asked, self.features)
        spread = np.sqrt(_variance(self, asked)) * np.exp(_tilt(self.slopes, asked))
        return mean + sd * (cross @ self.weights), sd * spread


def fit_grouped(
    features: Features, y: Floats, groups: NDArray[np.int64]
) -> GroupedRegression:
    """Fit by maximum posterior density of the hyperparameters; grows as `n**3`.

    Args:
        features: `n` rows.
        y: The target, `n`.
        groups: Number of each row's group, `n`.

    Raises:
        NotEnoughDataError: If there are fewer than `MIN_GROUPS` groups.

    Reference:
        Rasmussen & Williams, Gaussian Processes for Machine Learning, 2006, alg. 2.1
        and eq. 5.12, there for single rows.
    """
    if (n_groups := len(np.unique(groups))) < MIN_GROUPS:
        raise NotEnoughDataError(
            f"A model of operations needs {MIN_GROUPS} molecules for each kind; got "
            f"{n_groups}. Log more molecules."
        )
    rows = _thinned(len(y), MOST_ROWS)
    features, y, groups = features.take(rows), y[rows], groups[rows]
    centre = _centre(features)
    known = _standardised(features, centre)
    target = float(y.mean()), float(max(y.std(), 1e-9))
    z = (y - target[0]) / target[1]
    theta = _tuned(known, z)
    noisy = _kernel(theta, known, known) + (np.exp(theta[6]) + JITTER) * np.eye(len(z))
    inverse = cho_solve(cho_factor(noisy, lower=True), np.eye(len(z)))
    errors, deviations = _left_out(inverse, z, groups)
    slopes = _scale_slopes(known, errors / deviations)
    scale = deviations * _honest_tilt(known, errors / deviations, groups)
    return GroupedRegression(
        known,
        centre,
        target,
        theta,
        inverse @ z,
        inverse,
        slopes,
        errors / scale,
        rows,
        (float(y.min() - np.ptp(y) / 4), float(y.max() + np.ptp(y) / 4)),
    )


def _thinned(n: int, most: int) -> NDArray[np.int64]:
    return np.unique(np.linspace(0, n - 1, min(n, most)).astype(np.int64))


def _centre(features: Features) -> Floats:
    together = features.together
    sd = together.std(axis=0)
    return np.stack([together.mean(axis=0), np.where(sd > 1e-9, sd, 1.0)])


def _standardised(features: Features, centre: Floats) -> Features:
    ends = np.cumsum([block.shape[1] for block in features.blocks])[:-1]
    z = (features.together - centre[0]) / centre[1]
    first, second, third = np.split(z, ends, axis=1)
    return Features((first, second, third), features.bits)


def _distances(a: Features, b: Features) -> list[Floats]:
    """Mean squared distances within each block, `q x n` each."""
    found = []
    for x, y in zip(a.blocks, b.blocks, strict=True):
        square = (x**2).sum(1)[:, None] + (y**2).sum(1)[None] - 2 * x @ y.T
        found.append(np.maximum(square, 0.0) / max(x.shape[1], 1))
    return found


def _parts(a: Features, b: Features) -> tuple[Floats, list[Floats], Floats]:
    """Return the linear part, the distances and the similarity of structures."""
    linear = a.together @ b.together.T / a.together.shape[1]
    # Particles of one molecule share a structure: it is compared once.
    bits = a.bits[:1] if (a.bits == a.bits[0]).all() else a.bits
    shared = bits @ b.bits.T
    either = bits.sum(1)[:, None] + b.n_bits[None] - shared
    return linear, _distances(a, b), shared / np.maximum(either, 1.0)


def _smooth(theta: Floats, distances: list[Floats]) -> Floats:
    scaled = sum(
        own / np.exp(2 * log) for own, log in zip(distances, theta[3:6], strict=True)
    )
    return np.exp(-0.5 * scaled)


def _kernel(theta: Floats, a: Features, b: Features) -> Floats:
    linear, distances, similar = _parts(a, b)
    variance = np.exp(theta[:3])
    smooth = _smooth(theta, distances)
    return variance[0] * linear + variance[1] * smooth + variance[2] * similar


def _tuned(features: Features, z: Floats) -> Floats:
    rows = _thinned(len(z), MOST_TUNED)
    some, z = features.take(rows), z[rows]
    linear, distances, similar = _parts(some, some)
    eye = np.eye(len(z))

    def loss(theta: Floats) -> tuple[float, Floats]:
        variance = np.exp(theta[:3])
        smooth = variance[1] * _smooth(theta, distances)
        first, third = variance[0] * linear, variance[2] * similar
        noise = np.exp(theta[6])
        factor = cho_factor(first + smooth + third + (noise + JITTER) * eye, lower=True)
        inverse = cho_solve(factor, eye)
        weights = inverse @ z
        value = 0.5 * z @ weights + np.log(np.diag(factor[0])).sum()
        slope = 0.5 * (inverse - np.outer(weights, weights))
        lengths = [
            smooth * own / np.exp(2 * log)
            for own, log in zip(distances, theta[3:6], strict=True)
        ]
        changes = [first, smooth, third, *lengths, noise * eye]
        gradient = np.array([(slope * change).sum() for change in changes])
        away = (theta - _START) / _PRIOR_SD
        return value + 0.5 * away @ away, gradient + away / _PRIOR_SD

    bounds = [(start - 5.0, start + 5.0) for start in _START]
    found = minimize(
        loss, _START, jac=True, method="L-BFGS-B", bounds=bounds,
        options={"maxiter": 30},
    )  # fmt: skip
    return found.x


def _left_out(
    inverse: Floats, z: Floats, groups: NDArray[np.int64]
) -> tuple[Floats, Floats]:
    """Return errors and standard deviations of rows when their group is left out.

    For the rows `g` of a group, `z_g - mean_g = [K^-1]_gg^-1 [K^-1 z]_g` and the
    covariance is `[K^-1]_gg^-1`, noise included.
    """
    errors, deviations = np.empty_like(z), np.empty_like(z)
    weights = inverse @ z
    for group in np.unique(groups):
        rows = np.flatnonzero(groups == group)
        covariance = np.linalg.inv(inverse[np.ix_(rows, rows)])
        errors[rows] = covariance @ weights[rows]
        deviations[rows] = np.sqrt(np.diag(covariance))
    return errors, deviations


def _with_one(features: Features) -> Floats:
    # Beyond two standard deviations a line says little about a scale.
    numbers = np.clip(features.together, -2.0, 2.0)
    return np.concatenate([numbers, np.ones((len(features), 1))], axis=1)


def _scale_slopes(features: Features, errors: Floats) -> Floats:
    x = _with_one(features)
    penalty = _RIDGE * np.eye(x.shape[1])
    penalty[-1, -1] = 0.0
    size = np.log(np.abs(errors) + _FLOOR)
    return np.asarray(np.linalg.solve(x.T @ x + penalty, x.T @ size), float)


def _honest_tilt(
    features: Features, errors: Floats, groups: NDArray[np.int64]
) -> Floats:
    """Return the tilt of rows by slopes that their groups did not teach, `n`.

    The largest errors bend slopes towards themselves: what they teach would hide them.
    """
    found = np.empty(len(errors))
    folds = np.unique(groups, return_inverse=True)[1] % N_FOLDS
    for fold in range(N_FOLDS):
        here = folds == fold
        slopes = _scale_slopes(features.take(~here), errors[~here])
        found[here] = np.exp(_tilt(slopes, features.take(here)))
    return found


def _tilt(slopes: Floats, features: Features) -> Floats:
    """Logarithm of the scale relative to the posterior's, `q`."""
    return np.clip(_with_one(features) @ slopes, -_REACH - 1.0, _REACH)


def _variance(model: GroupedRegression, asked: Features) -> float:
    middle = Features(
        tuple(block.mean(axis=0, keepdims=True) for block in asked.blocks),  # pyright: ignore[reportArgumentType]
        asked.bits[:1],
    )
    cross = _kernel(model.theta, middle, model.features)
    own = float(_kernel(model.theta, middle, middle)[0, 0])
    explained = float((cross @ model.inverse @ cross.T)[0, 0])
    noise = float(np.exp(model.theta[6]))
    return max(own + noise - explained, noise)
