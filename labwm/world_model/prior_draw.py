"""A function drawn from the prior, defined for every question, fixed by its seed.

Shapes: `f` random features, `q` questions, `u` molecules, `d` dense columns.

Each term of the kernel is drawn as `sum_j a_j phi_j(x) / sqrt(f)` with normal `a` and
random features whose products have the term as their expectation: cosines for Matérn
and the lowest bit of a min-wise hash for MinMax. Features are drawn anew for each seed,
so over seeds mean and covariance are those of the kernel, without an approximation
error; a single draw is normal up to the central limit theorem over `f` features.

Reference:
    Rahimi & Recht, NIPS 2007; Broder, Compression and Complexity 1997 (min-wise
    hashing); Tripp et al., arXiv 2306.14809 (features of MinMax kernels).
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from labwm.world_model.inputs import Counts, Inputs
from labwm.world_model.kernel import MEAN_VARIANCE, Kernel

N_FEATURES: Final = 1024
TOKENS_AT_ONCE: Final = 128
"""Few enough for their hashes to stay in the cache of a core."""


@dataclass(frozen=True)
class _Waves:
    """Random cosines: their products' expectation is Matérn-5/2."""

    frequency: Tensor
    phase: Tensor

    def __call__(self, scaled: Tensor) -> Tensor:
        return (scaled @ self.frequency + self.phase).cos() * np.sqrt(2.0)


@dataclass(frozen=True)
class _Hashes:
    """Random signs of sets: two are equal as often as their sets' MinMax says."""

    multiplier: NDArray[np.uint64]
    shift: NDArray[np.uint64]

    def __call__(self, counts: Counts) -> Tensor:
        mixed = _mix(counts.tokens.numpy().astype(np.uint64))
        offsets = counts.offsets.numpy()
        signs = np.empty((len(offsets) - 1, len(self.shift)))
        for first, last in _chunks(offsets):
            part = mixed[offsets[first] : offsets[last], None]
            starts = offsets[first:last] - offsets[first]
            hashed = part * self.multiplier
            hashed += self.shift
            lowest = np.minimum.reduceat(hashed, starts, axis=0)
            bit = (lowest >> np.uint64(17)) & np.uint64(1)
            signs[first:last] = 1.0 - 2.0 * bit.astype(float)
        return torch.from_numpy(signs)[counts.row]


@dataclass(frozen=True)
class PriorDraw:
    """One function; call it with encoded questions."""

    kernel: Kernel
    offset: float
    amplitudes: tuple[Tensor, ...]
    features: tuple[_Waves | _Hashes | None, ...]
    dense: tuple[_Waves | None, ...]

    def __call__(self, inputs: Inputs) -> Tensor:
        """Return the value at each question, standardised, length `q`."""
        total = torch.full((len(inputs),), self.offset, dtype=torch.float64)
        scaled = self.kernel.scaled(inputs)
        for i, term in enumerate(self.kernel.terms):
            phi = torch.ones(1, 1, dtype=torch.float64)
            match self.features[i]:
                case _Hashes() as hashes:
                    phi = hashes(inputs.counts[term.block])
                case _Waves() as waves:
                    phi = waves(inputs.smooth[term.block] / self.kernel.widths[i])
                case None:
                    pass
            if (dense := self.dense[i]) is not None:
                phi = phi * dense(scaled)
            n = phi.shape[1]
            weight = (self.kernel.weights[i] / n).sqrt()
            total = total + weight * (phi @ self.amplitudes[i][:n])
        return total


def draw_prior(
    kernel: Kernel,
    example: Inputs,
    seed: tuple[int, int],
    *,
    n_features: int = N_FEATURES,
) -> PriorDraw:
    """Draw a function from the prior; `example` tells the widths of the inputs."""
    rng = np.random.default_rng(seed)
    offset = float(rng.normal() * np.sqrt(MEAN_VARIANCE))
    amplitudes, features, dense = [], [], []
    n_dense = example.dense.shape[1]
    for term in kernel.terms:
        amplitudes.append(torch.from_numpy(rng.normal(size=n_features)))
        match term.kind:
            case "constant":
                features.append(None)
            case "minmax":
                features.append(_draw_hashes(rng, n_features))
            case "matern":
                features.append(
                    _draw_waves(rng, example.smooth[term.block].shape[1], n_features)
                )
        dense.append(_draw_waves(rng, n_dense, n_features) if n_dense else None)
    return PriorDraw(kernel, offset, tuple(amplitudes), tuple(features), tuple(dense))


def _draw_waves(rng: np.random.Generator, width: int, n: int) -> _Waves:
    # The spectral density of Matérn-5/2 is a Student-t with five degrees of freedom.
    stretch = np.sqrt(5.0 / rng.chisquare(5.0, n))
    return _Waves(
        torch.from_numpy(rng.normal(size=(width, n)) * stretch),
        torch.from_numpy(rng.uniform(0.0, 2 * np.pi, n)),
    )


def _draw_hashes(rng: np.random.Generator, n: int) -> _Hashes:
    top = np.iinfo(np.uint64).max
    multiplier = rng.integers(top, size=n, dtype=np.uint64, endpoint=True)
    shift = rng.integers(top, size=n, dtype=np.uint64, endpoint=True)
    return _Hashes(multiplier | np.uint64(1), shift)


def _mix(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    # splitmix64: neighbouring tokens must not have neighbouring hashes.
    x = x + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def _chunks(offsets: NDArray[np.int64]) -> list[tuple[int, int]]:
    chunks, first = [], 0
    while first < len(offsets) - 1:
        last = int(np.searchsorted(offsets, offsets[first] + TOKENS_AT_ONCE, "right"))
        last = max(first + 1, last - 1)
        chunks.append((first, last))
        first = last
    return chunks
