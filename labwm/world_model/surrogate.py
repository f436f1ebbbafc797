"""The inner seam: one readout's exact posterior in standardised torch.

Shapes: `n` rows learnt from, `q`, `a`, `b` rows asked about.

A surrogate speaks of the *latent* function, without the noise of a measurement, in
standardised units: `natural = location + scale * standardised`. The noise of one
measurement has the variance `noise_variance`, in the same units. Calibration is not
applied here: it is a monotone map of each marginal.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from labwm.space.questions import Questions
from labwm.world_model.encoding import Encoder
from labwm.world_model.inputs import Inputs, join
from labwm.world_model.kernel import Kernel
from labwm.world_model.linear_algebra import (
    cholesky,
    inverse_of_factor,
    threads_for,
)

if TYPE_CHECKING:
    from labwm.world_model.stream import PosteriorStream

NOISE_REACH = 2.5
"""Standard units of the mean beyond which noise changes no more."""
BLOCK = 512
"""Rows compared at once: larger blocks cost memory and gain no speed."""


@dataclass(frozen=True)
class Latent:
    """What a surrogate says of questions, standardised; length `q` each.

    Attributes:
        mean: Of the latent function.
        variance: Of the latent function.
        noise: Variance of measuring once.
        known: Share of the prior variance around the mean that data removed, in [0, 1].
    """

    mean: Tensor
    variance: Tensor
    noise: Tensor
    known: Tensor


def joined(parts: Sequence[Latent]) -> Latent:
    """Return what is said of several blocks, one after another."""
    return Latent(
        torch.cat([part.mean for part in parts]),
        torch.cat([part.variance for part in parts]),
        torch.cat([part.noise for part in parts]),
        torch.cat([part.known for part in parts]),
    )


@dataclass(frozen=True)
class Surrogate:
    """Gaussian-process posterior of one readout.

    Attributes:
        encoder: From questions to `Inputs`.
        kernel: Prior covariance.
        inputs: Rows learnt from, `n`.
        targets: Their standardised values, length `n`.
        noise: Their noise variances, length `n`.
        factor: Lower Cholesky factor of the kernel matrix plus noise, `n x n`.
        location: Zero of the standardised units, in the readout's unit.
        scale: One standardised unit, in the readout's unit; negative where the readout
            falls when those that it is learnt together with rise.
        noise_variance: Of measuring once more where the mean is zero.
        noise_slope: Change of its logarithm per standard unit of the mean; 0 where
            noise is the same everywhere.
    """

    encoder: Encoder
    kernel: Kernel
    inputs: Inputs
    targets: Tensor
    noise: Tensor
    factor: Tensor
    location: float
    scale: float
    noise_variance: float
    noise_slope: float = 0.0

    def encode(self, questions: Questions) -> Inputs:
        """Encode questions once; every other method takes what this returns."""
        with threads_for(len(self.targets)):
            return self.encoder.encode(questions)

    @cached_property
    def weights(self) -> Tensor:
        """`(K + noise)^-1 targets`, length `n`."""
        return torch.cholesky_solve(self.targets[:, None], self.factor)[:, 0]

    @cached_property
    def precision(self) -> Tensor:
        """Diagonal of `(K + noise)^-1`, length `n`."""
        with threads_for(len(self.targets)):
            return inverse_of_factor(self.factor).square_().sum(0)

    @cached_property
    def stream(self) -> "PosteriorStream":
        """The same posterior in single precision, for very many questions."""
        from labwm.world_model.stream import PosteriorStream

        return PosteriorStream(self)

    def mean_and_variance(self, block: Inputs) -> tuple[Tensor, Tensor]:
        """Return posterior mean and variance of the latent function, length `q` each.

        Costs `q n**2`, in blocks: memory does not grow with `q n`.
        """
        means, variances = [], []
        with threads_for(len(self.targets)):
            for part in blocks(block):
                cross = self.kernel.matrix(part, self.inputs)
                means.append(cross @ self.weights)
                half = torch.linalg.solve_triangular(self.factor, cross.T, upper=False)
                variances.append(self.kernel.variance - (half * half).sum(0))
        empty = torch.empty(0, dtype=torch.float64)
        # Rounding may leave a variance just below zero where a question was measured.
        return torch.cat([empty, *means]), torch.cat([empty, *variances]).clamp_min(
            1e-12
        )

    def latent(self, block: Inputs) -> Latent:
        """Return all that is said of the marginals of questions."""
        return self._said(*self.mean_and_variance(block))

    def latent_of_pool(self, block: Inputs) -> Latent:
        """Return the same in single precision where that is precise, for many rows."""
        return self._said(*self.stream(block))

    def _said(self, mean: Tensor, variance: Tensor) -> Latent:
        known = (1.0 - variance / self.kernel.signal_variance).clamp(0.0, 1.0)
        return Latent(mean, variance, self.noise_at(mean), known)

    def noise_at(self, mean: Tensor) -> Tensor:
        """Return the variance of measuring once where this is expected, length `q`."""
        bent = (self.noise_slope * mean.clamp(-NOISE_REACH, NOISE_REACH)).exp()
        return self.noise_variance * bent

    def covariance(self, a: Inputs, b: Inputs) -> Tensor:
        """Return the posterior covariance of the latent function, `a x b`."""
        with threads_for(len(self.targets)):
            left = self._whitened(a)
            right = left if b is a else self._whitened(b)
            return self.kernel.matrix(a, b) - left.T @ right

    def _whitened(self, inputs: Inputs) -> Tensor:
        cross = self.kernel.matrix(self.inputs, inputs)
        return torch.linalg.solve_triangular(self.factor, cross, upper=False)

    def append(
        self, inputs: Inputs, y: Tensor, noise: Tensor | None = None
    ) -> "Surrogate":
        """Return the posterior after more rows; costs `n**2` per row.

        Args:
            inputs: `k` rows.
            y: Their standardised values, length `k`.
            noise: Their noise variances; by default those of one measurement each.
        """
        if noise is None:
            noise = torch.full_like(y, self.noise_variance)
            if self.noise_slope:
                noise = self.noise_at(self.mean_and_variance(inputs)[0])
        with threads_for(len(self.targets)):
            corner = self.kernel.matrix(inputs, inputs) + torch.diag(noise)
            low = self._whitened(inputs)
            last = cholesky(corner - low.T @ low)
            n, k = len(self.targets), len(y)
            factor = torch.zeros(n + k, n + k, dtype=torch.float64)
            factor[:n, :n], factor[n:, :n], factor[n:, n:] = self.factor, low.T, last
        return replace(
            self,
            inputs=join([self.inputs, inputs]),
            targets=torch.cat([self.targets, y]),
            noise=torch.cat([self.noise, noise]),
            factor=factor,
        )

    def standardised(self, y: Tensor) -> Tensor:
        """Return values in the readout's unit in standardised units."""
        return (y - self.location) / self.scale


def condition(
    encoder: Encoder,
    kernel: Kernel,
    data: tuple[Inputs, Tensor, Tensor],
    *,
    units: tuple[float, float],
    noise_variance: float,
    prior: Tensor | None = None,
) -> Surrogate:
    """Return the posterior given inputs, standardised targets and noise variances.

    Args:
        encoder: From questions to inputs.
        kernel: Prior covariance.
        data: Of `n` rows.
        units: Location and scale of the standardised units.
        noise_variance: Of one measurement.
        prior: Covariance of the rows, `n x n`, where it is known already.
    """
    inputs, targets, noise = data
    with threads_for(len(targets)):
        known = kernel.matrix(inputs, inputs) if prior is None else prior
        matrix = known.clone()
        matrix.diagonal().add_(noise)
        factor = cholesky(matrix)
    return Surrogate(
        encoder, kernel, inputs, targets, noise, factor, *units, noise_variance
    )


def blocks(inputs: Inputs) -> Iterator[Inputs]:
    """Return the rows in blocks of `BLOCK`."""
    if len(inputs) <= BLOCK:
        if len(inputs):
            yield inputs
        return
    for start in range(0, len(inputs), BLOCK):
        yield inputs.take(torch.arange(start, min(start + BLOCK, len(inputs))))
