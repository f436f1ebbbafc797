"""The plain Gaussian process of the field, as a yardstick: Tanimoto on ECFP4 counts.

It shares no code with the world model. Shapes: `n` rows learnt from, `q` asked about.

Reference:
    Griffiths et al., GAUCHE, NeurIPS 2023; Ralaivola et al., Neural Networks 18 (2005).
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve, eigh
from scipy.optimize import minimize
from scipy.sparse import csr_array
from scipy.spatial.distance import cdist

from labwm.evaluation.baselines import Marginal, forest_features, known_values, normal
from labwm.schema import MoleculeParameter, Protocol
from labwm.space.questions import Observations, Questions, concatenate

Floats = NDArray[np.float64]

MAX_ROWS: Final = 1000
"""Variances and lengthscale are chosen on so many rows; the posterior uses all."""
LENGTHSCALES: Final = (0.1, 0.2, 0.4, 0.8, 1.6, 3.2)
"""Of the columns that are no molecules, each on [0, 1]; tried one after another."""
MAX_COUNT: Final = 64


def fit_tanimoto(
    train: Observations, test: Questions, protocol: Protocol, readout: str, seed: int
) -> Marginal:
    """Return the predictive normals of a Gaussian process with a product kernel.

    One Tanimoto factor per molecule parameter and one Matern-5/2 factor for all else;
    signal, noise and the lengthscale by marginal likelihood.
    """
    rows, y = known_values(train, readout)
    questions = concatenate([train.questions.take(rows), test])
    n = len(rows)
    location, scale = float(y.mean()), max(float(y.std(ddof=1)), 1e-12)
    z = (y - location) / scale
    kernel = _Kernel(protocol, questions)
    chosen = np.random.default_rng(seed).permutation(n)[:MAX_ROWS]
    tried = LENGTHSCALES if kernel.has_columns else (1.0,)
    fits = [signal_and_noise(kernel(chosen, chosen, ell), z[chosen]) for ell in tried]
    best = int(np.argmin([loss for loss, _, _ in fits]))
    _, signal, noise = fits[best]
    seen, asked = np.arange(n), np.arange(n, len(questions))
    factor = cho_factor(
        signal * kernel(seen, seen, tried[best]) + noise * np.eye(n), lower=True
    )
    cross = signal * kernel(seen, asked, tried[best])
    mean = cross.T @ cho_solve(factor, z)
    spent = np.einsum("nq,nq->q", cross, cho_solve(factor, cross))
    variance = np.maximum(signal - spent, 0.0) + noise
    return normal(location + scale * mean, scale * np.sqrt(variance))


class _Kernel:
    """Correlations between rows of some questions."""

    def __init__(self, protocol: Protocol, questions: Questions):
        molecules = [
            p.name for p in protocol.parameters if isinstance(p, MoleculeParameter)
        ]
        self._similar = [_similarity(questions.columns[name]) for name in molecules]
        others = protocol.model_copy(
            update={
                "parameters": tuple(
                    p for p in protocol.parameters if p.name not in molecules
                )
            }
        )
        self.has_columns = len(others.parameters) > 0
        if self.has_columns:
            columns = forest_features(others, questions)
            span = np.ptp(columns, axis=0)
            self._columns = (columns - columns.min(0)) / np.where(span > 0, span, 1.0)

    def __call__(
        self, a: NDArray[np.int64], b: NDArray[np.int64], lengthscale: float
    ) -> Floats:
        """Return the correlations of two sets of rows, `a x b`."""
        total = np.ones((len(a), len(b)))
        for matrix, which in self._similar:
            total *= matrix[np.ix_(which[a], which[b])]
        if self.has_columns:
            r = np.sqrt(5.0) * cdist(self._columns[a], self._columns[b]) / lengthscale
            total *= (1.0 + r + r * r / 3.0) * np.exp(-r)
        return total


def _similarity(column: NDArray) -> tuple[Floats, NDArray[np.int64]]:
    """Return the Tanimoto similarities of the distinct molecules, and each row's."""
    from labwm.chem.fingerprints import count_fingerprints

    names, which = np.unique(column.astype(str), return_inverse=True)
    counts = count_fingerprints([s for s in names if s], "ecfp4")
    levels = _thermometer(counts)
    shared = (levels @ levels.T).toarray()
    size = shared.diagonal()
    union = size[:, None] + size[None, :] - shared
    similar = np.eye(len(names))
    real = np.flatnonzero(names != "")
    # No molecule is like nothing but itself.
    similar[np.ix_(real, real)] = shared / np.maximum(union, 1.0)
    similar[np.arange(len(names)), np.arange(len(names))] = 1.0
    return similar, which


def _thermometer(counts: csr_array) -> csr_array:
    # A count of three becomes three ones, so that products count the smaller count.
    times = np.minimum(counts.data, MAX_COUNT).astype(np.int64)
    row = np.repeat(np.arange(counts.shape[0]), np.diff(counts.indptr))
    first = np.repeat(np.cumsum(times) - times, times)
    level = np.arange(times.sum()) - first
    column = np.repeat(counts.indices.astype(np.int64), times) * MAX_COUNT + level
    _, compact = np.unique(column, return_inverse=True)
    ones = np.ones(len(column), np.float32)
    shape = (counts.shape[0], int(compact.max(initial=0)) + 1)
    return csr_array((ones, (np.repeat(row, times), compact)), shape=shape)


def signal_and_noise(correlation: Floats, z: Floats) -> tuple[float, float, float]:
    """Return negative log likelihood, signal and noise variance at its optimum."""
    values, vectors = eigh(correlation)
    values, projected = np.maximum(values, 0.0), (vectors.T @ z) ** 2

    def loss(theta: Floats) -> float:
        spectrum = np.exp(theta[0]) * values + np.exp(theta[1])
        return 0.5 * float(np.sum(projected / spectrum + np.log(spectrum)))

    found = minimize(
        loss, np.array([0.0, -2.0]), method="L-BFGS-B", bounds=[(-7, 7), (-12, 3)]
    )
    signal, noise = np.exp(found.x)
    return float(found.fun), float(signal), float(noise)
