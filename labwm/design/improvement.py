"""Expected improvement of one objective, of two, and of more.

Every improvement answers for candidates whose readouts are normal and independent of
each other, in each of `s` draws of what the batch has chosen before.
Shapes: `s` draws, `c` candidates, `k` objectives, `f` points of a front.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol as Seam

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from labwm.design.utility import expected_excess, log_expected_excess
from labwm.schema import Objective

Floats = NDArray[np.float64]

N_DIRECTIONS = 96
N_QUANTILES = 16


class Improvement(Seam):
    """What a candidate is expected to add to what is known."""

    def log_gain(self, mean: Floats, sd: Floats, known: Floats) -> Floats:
        """Return the logarithm of the expected gain, `s x c`.

        Args:
            mean: `s x c x k`.
            sd: `c x k`.
            known: Utilities known in each draw, `s x f x k`.
        """
        ...


@dataclass(frozen=True)
class BestImprovement:
    """Expected gain over the best known utility of one objective."""

    objective: Objective
    floor: float
    """Utility that counts as known where nothing is."""

    def log_gain(self, mean: Floats, sd: Floats, known: Floats) -> Floats:
        """Return the logarithm of the expected improvement, in closed form."""
        best = np.max(known[:, :, 0], axis=1, initial=self.floor)
        return log_expected_excess(
            self.objective, mean[:, :, 0], sd[None, :, 0], best[:, None]
        )


@dataclass(frozen=True)
class AreaImprovement:
    """Expected gain of hypervolume of two objectives, in closed form.

    The plane is cut into vertical strips between the known points. In a strip the gain
    is width beyond its left edge times height above the front there, and as the
    objectives are independent, so are the two expectations.

    Reference:
        Yang, Emmerich, Deutz & Bäck, J. Glob. Optim. 75, 3 (2019), eq. 16, as strips.
    """

    objectives: Sequence[Objective]
    reference: Floats
    """Length 2."""

    def log_gain(self, mean: Floats, sd: Floats, known: Floats) -> Floats:
        """Return the logarithm of the expected hypervolume improvement."""
        edges, heights = _strips(known, self.reference)
        across = expected_excess(
            self.objectives[0], mean[:, :, :1], sd[:, :1], edges[:, None, :]
        )
        # The last strip is open to the right: nothing is taken off its width.
        width = across - np.concatenate(
            [across[:, :, 1:], np.zeros_like(across[:, :, :1])], axis=2
        )
        height = expected_excess(
            self.objectives[1], mean[:, :, 1:], sd[:, 1:], heights[:, None, :]
        )
        return _log(np.sum(np.maximum(width, 0.0) * height, axis=2))


@dataclass(frozen=True)
class VolumeImprovement:
    """Expected gain of hypervolume of any number of objectives, by directions.

    Hypervolume is the mean over directions of the `k`-th power of how far the points
    reach along each; quantiles of the candidates stand for their distribution.

    Reference:
        Zhang & Golovin, ICML 2020, arXiv 2006.04655, lemma 5.
    """

    objectives: Sequence[Objective]
    reference: Floats
    scale: Floats
    """Spread of each utility, length `k`: directions are even in these units."""
    seed: int

    def log_gain(self, mean: Floats, sd: Floats, known: Floats) -> Floats:
        """Return the logarithm of the expected hypervolume improvement, estimated."""
        from labwm.world_model.reward import utility

        rng = np.random.default_rng(self.seed)
        k = len(self.objectives)
        directions = np.abs(rng.normal(size=(N_DIRECTIONS, k)))
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        quantiles = _latin_normal(rng, N_QUANTILES, k)
        reached = _reach(known, self.reference, self.scale, directions)
        best = reached.max(axis=1, initial=0.0)
        total = np.zeros(mean.shape[:2])
        for z in quantiles:
            drawn = mean + sd * z
            gained = np.stack(
                [utility(o, drawn[..., j]) for j, o in enumerate(self.objectives)], -1
            )
            there = _reach(gained, self.reference, self.scale, directions)
            more = np.maximum(there**k - best[:, None, :] ** k, 0.0)
            total += more.mean(axis=2)
        return _log(total / N_QUANTILES)


def _strips(known: Floats, reference: Floats) -> tuple[Floats, Floats]:
    """Return left edges of the strips and the front's height in each, `s x (f + 1)`."""
    known = np.maximum(known, reference)
    order = np.argsort(known[:, :, 0], axis=1)
    x = np.take_along_axis(known[:, :, 0], order, axis=1)
    y = np.take_along_axis(known[:, :, 1], order, axis=1)
    s = len(known)
    edges = np.concatenate([np.full((s, 1), reference[0]), x], axis=1)
    # Right of its edge a strip is covered by every point further right.
    heights = np.concatenate([y, np.full((s, 1), reference[1])], axis=1)
    heights = np.maximum.accumulate(heights[:, ::-1], axis=1)[:, ::-1]
    return edges, heights


def _reach(
    utilities: Floats, reference: Floats, scale: Floats, directions: Floats
) -> Floats:
    above = np.maximum(utilities - reference, 0.0) / scale
    return np.min(above[:, :, None, :] / np.maximum(directions, 1e-9), axis=3)


def _latin_normal(rng: np.random.Generator, n: int, k: int) -> Floats:
    steps = np.stack([rng.permutation(n) for _ in range(k)], axis=1)
    return ndtri((steps + rng.random((n, k))) / n)


def _log(gain: Floats) -> Floats:
    return np.log(np.maximum(gain, 1e-300))
