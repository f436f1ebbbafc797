"""Columns that tell molecules apart: kernel PCA, similarity, standardised descriptors.

Shapes: `l` landmarks, `u` molecules, `c` components, `p` descriptors.

Both are fitted on landmarks, the molecules that may be asked about, never on readouts.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from labwm.chem.fingerprints import Kind
from labwm.world_model.inputs import Counts
from labwm.world_model.kernel import minmax
from labwm.world_model.molecules import counts_of

Floats = NDArray[np.float64]

KINDS: Final[tuple[Kind, ...]] = ("ecfp4", "atom_pair")
RELATIVE_RANK: Final = 1e-8
CLIP: Final = 5.0
LARGEST_LINEAR: Final = 1e4
"""A descriptor that reaches further spans many decades: its signed logarithm counts.
Taking that of every descriptor lost 1 to 2 % of accuracy on nine molecule sets."""


@dataclass(frozen=True)
class Standardiser:
    """Descriptors to zero mean and unit deviation over the landmarks.

    Attributes:
        keep: Columns that vary over the landmarks, `k`.
        is_log: Of those, the ones compared by their signed logarithm, length `k`.
        mean: Length `k`.
        sd: Length `k`.
    """

    keep: NDArray[np.int64]
    is_log: NDArray[np.bool_]
    mean: Floats
    sd: Floats

    def apply(self, values: Floats) -> Floats:
        """Return `u x k` columns; what is not known becomes the mean, 0."""
        z = (_on_scale(values[:, self.keep], self.is_log) - self.mean) / self.sd
        return np.clip(np.nan_to_num(z, nan=0.0), -CLIP, CLIP)


def fit_standardiser(values: Floats) -> Standardiser:
    """Learn mean and deviation of each column; constant and empty ones are left out."""
    known = np.isfinite(values)
    largest = np.max(np.abs(values), axis=0, where=known, initial=0.0)
    is_log = np.asarray(largest > LARGEST_LINEAR)
    values = np.where(known, _on_scale(values, is_log), 0.0)
    n = np.maximum(known.sum(0), 1)
    mean = values.sum(0) / n
    square = np.where(known, (values - mean) ** 2, 0.0).sum(0) / n
    keep = np.flatnonzero(square > 1e-12 * np.maximum(1.0, mean**2))
    return Standardiser(keep, is_log[keep], mean[keep], np.sqrt(square[keep]))


def _on_scale(values: Floats, is_log: NDArray[np.bool_]) -> Floats:
    logs = np.sign(values) * np.log1p(np.abs(values))
    return np.where(is_log, logs, values)


@dataclass(frozen=True)
class KernelPca:
    """Principal components of the mean MinMax kernel of two fingerprints.

    Reference:
        Schölkopf, Smola & Müller, Neural Computation 10 (1998) 1299, section 3.
    """

    landmarks: tuple[Counts, ...]
    row_mean: Floats
    total_mean: float
    projection: Floats
    low: Floats
    span: Floats

    @property
    def width(self) -> int:
        """Columns that it makes."""
        return len(self.low)

    def columns(self, smiles: Sequence[str]) -> Floats:
        """Return `u x c` components on the scale of `low` and `span`."""
        counts = [counts_of(smiles, kind) for kind in KINDS]
        k = _mean_similarity(counts, self.landmarks)
        centred = k - k.mean(1, keepdims=True) - self.row_mean + self.total_mean
        return (centred @ self.projection - self.low) / self.span


def fit_kernel_pca(landmarks: Sequence[str], n_components: int) -> KernelPca:
    """Find at most `n_components` components of the landmarks' similarities."""
    counts = tuple(counts_of(landmarks, kind) for kind in KINDS)
    k = _mean_similarity(counts, counts)
    row_mean, total = k.mean(0), float(k.mean())
    centred = k - row_mean[None, :] - row_mean[:, None] + total
    values, vectors = _largest(centred, n_components)
    projection = vectors / np.sqrt(values)
    low, span = _range(centred @ projection)
    return KernelPca(counts, row_mean, total, projection, low, span)


def fit_similarity(landmarks: Sequence[str], most: int) -> KernelPca:
    """Find columns whose distances are the landmarks' dissimilarities, 1 on average.

    Two molecules of similarity `k` lie the square root of `2 - 2 k` apart before they
    are scaled: where `most` components do, no direction counts for more than that.
    """
    found = fit_kernel_pca(landmarks, most)
    columns = found.columns(landmarks) * found.span
    pairs = max(len(columns) * (len(columns) - 1) / 2.0, 1.0)
    centred = columns - columns.mean(0)
    # Squared distances of all pairs sum to n times those to the mean.
    mean_squared = len(columns) * float(np.sum(centred**2)) / pairs
    span = np.full_like(found.span, np.sqrt(mean_squared) or 1.0)
    return replace(found, low=np.zeros_like(found.low), span=span)


def _mean_similarity(a: Sequence[Counts], b: Sequence[Counts]) -> Floats:
    return np.mean(
        [minmax(x, y).numpy() for x, y in zip(a, b, strict=True)], axis=0, dtype=float
    )


def _largest(gram: Floats, n: int) -> tuple[Floats, Floats]:
    values, vectors = np.linalg.eigh(gram)
    values, vectors = values[::-1], vectors[:, ::-1]
    kept = min(n, int(np.sum(values > RELATIVE_RANK * max(values[0], 1e-12))))
    if values[0] <= RELATIVE_RANK:
        kept = 0
    # An eigenvector's sign is arbitrary: fix it, so that every machine agrees.
    vectors = vectors[:, :kept]
    sign = np.sign(vectors[np.abs(vectors).argmax(0), np.arange(kept)])
    return values[:kept], vectors * sign


def _range(columns: Floats) -> tuple[Floats, Floats]:
    low = columns.min(0) if columns.size else np.zeros(columns.shape[1])
    span = np.ptp(columns, 0) if columns.size else np.ones(columns.shape[1])
    return low, np.where(span > 0, span, 1.0)
