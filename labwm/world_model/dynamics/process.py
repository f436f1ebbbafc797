"""One curve as a Gaussian process on knots: what is expected, seen, and drawn.

Shapes: `G` knots, `t` reads or times, `s` draws.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from labwm.space.curves import Reads
from labwm.world_model.dynamics.functions import Knots

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Process:
    """A Gaussian over the values of one curve at the knots, and the noise of a read.

    Attributes:
        knots: Where the function is held.
        mean: At the knots, `G`, in the readout's unit.
        covariance: Of the values at the knots, `G x G`.
        noise: Variance of a read around the function.
    """

    knots: Knots
    mean: Floats
    covariance: Floats
    noise: float

    def after(self, reads: Reads) -> "Process":
        """Return the process given some reads of the curve; costs `t**3`, or `G**3`."""
        if not len(reads):
            return self
        weights = self.knots.weights(reads.time)
        away = reads.value - weights @ self.mean
        if len(reads) > len(self.knots):
            # Many reads say no more of the knots than their normal equations do.
            gram = weights.T @ weights
            size, axes = np.linalg.eigh(gram)
            kept = size > 1e-12 * size[-1]
            root = axes[:, kept] * np.sqrt(size[kept])
            away = (axes[:, kept].T @ (weights.T @ away)) / np.sqrt(size[kept])
            weights = root.T
        across = self.covariance @ weights.T
        seen = weights @ across + self.noise * np.eye(len(weights))
        gain = np.linalg.solve(seen, across.T).T
        covariance = self.covariance - gain @ across.T
        return replace(
            self,
            mean=self.mean + gain @ away,
            covariance=0.5 * (covariance + covariance.T),
        )

    def at(self, time: Floats) -> tuple[Floats, Floats]:
        """Return mean and variance of the function at times, each of length `t`."""
        weights = self.knots.weights(time)
        variance = np.einsum("ti,ij,tj->t", weights, self.covariance, weights)
        return weights @ self.mean, np.maximum(variance, 0.0)

    def distance(self, reads: Reads) -> float:
        """Return how far reads are from what is expected: chi-squared of `t` reads.

        The reads are taken together: a curve that is twice as high as expected
        everywhere is one surprise, not `t` of them.
        """
        weights = self.knots.weights(reads.time)
        away = reads.value - weights @ self.mean
        # By Woodbury's identity, so that many reads cost no more than the knots.
        across = weights @ self._root
        inner = self.noise * np.eye(len(self.knots)) + across.T @ across
        told = across.T @ away
        return float(away @ away - told @ np.linalg.solve(inner, told)) / self.noise

    def draw(self, normal: Floats) -> Floats:
        """Return functions, `s x G`, made of standard normal numbers, `s x G`."""
        return self.mean + normal @ self._root.T

    @cached_property
    def _root(self) -> Floats:
        return root_of(self.covariance)


def root_of(covariance: Floats) -> Floats:
    """Return a matrix whose product with its transpose is the covariance."""
    size, axes = np.linalg.eigh(covariance)
    return axes * np.sqrt(np.maximum(size, 0.0))
