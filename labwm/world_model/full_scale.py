"""One readout's posterior for very many rows: landmarks for what is far, rows for near.

Shapes: `n` rows learnt from, `m` landmarks, `q` rows asked about, `k` neighbours.

The prior is split without loss at `m` landmarks among the rows: `f(x) = phi(x) w +
r(x)`, with `w` standard normal and `r` a process of the kernel that the landmarks leave
over. All rows teach `w` (with each row's leftover variance as noise of its own); a
question's `k` nearest rows then teach `r`, given `w`. With landmarks at every row, or
neighbours enough, it is the exact posterior; memory and time grow as `n m`, not `n**2`.

Reference:
    Snelson & Ghahramani, AISTATS 2007 (local and global); Sang & Huang, JRSS B 74
    (2012) 111; Gyger, Furrer & Sigrist, arXiv 2507.05064 (inducing points and
    neighbours).
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

import torch
from torch import Tensor

from labwm.space.questions import Questions
from labwm.world_model.encoding import Encoder
from labwm.world_model.inputs import Inputs, join
from labwm.world_model.kernel import MEAN_VARIANCE, Kernel
from labwm.world_model.linear_algebra import cholesky, threads_for
from labwm.world_model.neighbours import Neighbours
from labwm.world_model.spread import Spread, describe, no_spread
from labwm.world_model.surrogate import Latent

N_NEIGHBOURS: Final = 128
JITTER: Final = 1e-5
"""Least noise variance, standardised: landmark features have single precision."""
QUESTIONS_AT_ONCE: Final = 256
SOLVED_AT_ONCE: Final = 32
ROWS_AT_ONCE: Final = 2048


@dataclass(frozen=True)
class Local:
    """What a block of questions gets from landmarks and neighbours.

    Attributes:
        places: Neighbours, `q x k`.
        phi: Landmark features, `q x m`.
        gain: Weight of each neighbour's leftover, `q x k`.
        reach: What remains of `phi` beside the neighbours' own, `q x m`.
        leftover: Variance that neither landmarks nor neighbours explain, length `q`.
        mean: Of the latent function, length `q`.
    """

    places: Tensor
    phi: Tensor
    gain: Tensor
    reach: Tensor
    leftover: Tensor
    mean: Tensor


@dataclass(frozen=True)
class FullScaleSurrogate:
    """Gaussian-process posterior of one readout; see `Surrogate` for the seam.

    Attributes:
        encoder: From questions to `Inputs`.
        kernel: Prior covariance.
        inputs: Rows learnt from, `n`.
        targets: Their standardised values, length `n`.
        noise: Their noise variances, length `n`.
        landmarks: Rows that are landmarks, sorted, length `m`.
        precision: Of `w` given all rows, `m x m`.
        shift: `precision` times the mean of `w`, length `m`.
        location: Zero of the standardised units, in the readout's unit.
        scale: One standardised unit, in the readout's unit.
        noise_variance: Of measuring once more, before `spread`.
        spread: Factor on every deviation, by question.
    """

    encoder: Encoder
    kernel: Kernel
    inputs: Inputs
    targets: Tensor
    noise: Tensor
    landmarks: Tensor
    precision: Tensor
    shift: Tensor
    location: float
    scale: float
    noise_variance: float
    spread: Spread

    def encode(self, questions: Questions) -> Inputs:
        """Encode questions once; every other method takes what this returns."""
        with threads_for(len(self.targets)):
            return self.encoder.encode(questions)

    def latent(self, block: Inputs) -> Latent:
        """Return all that is said of the marginals of questions, spread included.

        Costs about `n + k**2 m` a question, in blocks: memory does not grow with `q`.
        """
        parts = [self.said_of(local) for local, _ in self.locals(block)]
        if not parts:
            return Latent(*(torch.empty(0, dtype=torch.float64) for _ in range(4)))
        columns = zip(
            *((p.mean, p.variance, p.noise, p.known) for p in parts), strict=True
        )
        return Latent(*(torch.cat(column) for column in columns))

    def mean_and_variance(self, block: Inputs) -> tuple[Tensor, Tensor]:
        """Return mean and variance of the latent function, length `q` each."""
        said = self.latent(block)
        return said.mean, said.variance

    def said_of(self, local: Local) -> Latent:
        """Return what is said of one block of questions."""
        variance, factor = self._variance(local), self.factor_of(local) ** 2
        known = (1.0 - variance / self.kernel.signal_variance).clamp(0.0, 1.0)
        noise = torch.full_like(variance, self.noise_variance)
        return Latent(local.mean, variance * factor, noise * factor, known)

    def covariance(self, a: Inputs, b: Inputs) -> Tensor:
        """Return the posterior covariance of the latent function, `a x b`.

        Exact on the diagonal. What two questions share beyond the landmarks is the
        leftover kernel, shrunk by what each one's neighbours explain.
        """
        left, right = self._factors(a), self._factors(b)
        shared = self.kernel.matrix(a, b) - left[0] @ right[0].T
        shared = left[2][:, None] * shared * right[2][None, :]
        return left[3][:, None] * (left[1] @ right[1].T + shared) * right[3][None, :]

    def append(
        self, inputs: Inputs, y: Tensor, noise: Tensor | None = None
    ) -> "FullScaleSurrogate":
        """Return the posterior after more rows; costs `m**2` per row and `m**3` once.

        Args:
            inputs: `k` rows.
            y: Their standardised values, length `k`.
            noise: Their noise variances; by default `noise_variance` each.
        """
        if noise is None:
            noise = torch.full_like(y, self.noise_variance)
        noise = noise.clamp_min(JITTER)
        phi = self.features(inputs)
        own = noise + self.left_of(phi)
        grown = replace(
            self,
            inputs=join([self.inputs, inputs]),
            targets=torch.cat([self.targets, y]),
            noise=torch.cat([self.noise, noise]),
            precision=self.precision + phi.T @ (phi / own[:, None]),
            shift=self.shift + phi.T @ (y / own),
        )
        return grown.keeping(torch.cat([self._row_features, phi.float()]))

    def with_spread(self, spread: Spread) -> "FullScaleSurrogate":
        """Return the posterior with another factor on its deviations."""
        return replace(self, spread=spread).keeping(self._row_features)

    def keeping(self, row_features: Tensor) -> "FullScaleSurrogate":
        """Return itself, with features of its rows that are known already."""
        self.__dict__["_row_features"] = row_features
        return self

    def standardised(self, y: Tensor) -> Tensor:
        """Return values in the readout's unit in standardised units."""
        return (y - self.location) / self.scale

    def features(self, inputs: Inputs) -> Tensor:
        """Return landmark features, `q x m`: their products are what landmarks say."""
        cross = self.kernel.matrix(inputs, self.landmark_inputs)
        return cross @ self._whitening.T

    def locals(
        self, block: Inputs, *, without: Tensor | None = None
    ) -> Iterator[tuple[Local, Inputs]]:
        """Yield what each block of questions gets, with the block.

        Args:
            block: `q` questions.
            without: For each question a row that does not count, length `q`.
        """
        with threads_for(len(self.targets)):
            for first in range(0, len(block), QUESTIONS_AT_ONCE):
                rows = torch.arange(first, min(first + QUESTIONS_AT_ONCE, len(block)))
                part = block.take(rows)
                own = None if without is None else without[rows]
                yield self._local(part, own), part

    def factor_of(self, local: Local) -> Tensor:
        """Return the factor on deviations at a block of questions, length `q`."""
        return self.spread(self.characteristics(local))

    def characteristics(self, local: Local) -> Tensor:
        """Return what the factor depends on, `q x c`."""
        return describe(
            local.mean,
            self._variance(local) + self.noise_variance,
            self.targets[local.places],
            self.residuals[local.places],
        )

    def left_out(self, rows: Tensor) -> Iterator[tuple[Local, Tensor]]:
        """Yield what is said of some rows without them, and the latent variance.

        The landmarks' share is left out by a rank-one update, in closed form.
        """
        block, done = self.inputs.take(rows), 0
        for local, part in self.locals(block, without=rows):
            own = rows[done : done + len(part)]
            done += len(part)
            noise = self.noise[own] + self.left_of(local.phi)
            white = local.phi @ self.whiten_weights.T
            room = (noise - (white * white).sum(1)).clamp_min(1e-3 * noise)
            overlap = ((local.reach @ self.whiten_weights.T) * white).sum(1)
            missed = self.targets[own] - local.phi @ self.mean_of_weights
            mean = local.mean - overlap * missed / room
            variance = self._variance(local) + overlap**2 / room
            yield replace(local, mean=mean), variance

    @cached_property
    def mean_of_weights(self) -> Tensor:
        """Posterior mean of `w`, length `m`."""
        return torch.cholesky_solve(self.shift[:, None], self._precision_factor)[:, 0]

    @cached_property
    def whiten_weights(self) -> Tensor:
        """Inverse of the Cholesky factor of `precision`, `m x m`."""
        eye = torch.eye(len(self.landmarks), dtype=torch.float64)
        return torch.linalg.solve_triangular(self._precision_factor, eye, upper=False)

    @cached_property
    def residuals(self) -> Tensor:
        """What the landmarks alone, without each row, miss at that row, length `n`."""
        parts = []
        for first in range(0, len(self.targets), ROWS_AT_ONCE):
            last = min(first + ROWS_AT_ONCE, len(self.targets))
            phi = self._row_features[first:last].double()
            own = self.noise[first:last] + self.left_of(phi)
            reach = phi @ self.whiten_weights.T
            leverage = (reach * reach).sum(1) / own
            missed = self.targets[first:last] - phi @ self.mean_of_weights
            parts.append(missed / (1.0 - leverage).clamp_min(1e-3))
        return torch.cat(parts)

    def row_features(self, rows: Tensor) -> Tensor:
        """Return landmark features of some rows learnt from, in double precision."""
        return self._row_features[rows].double()

    def weights_of(self, values: Tensor) -> Tensor:
        """Return `w` of a function with these values at the landmarks, length `m`."""
        return self._whitening @ values

    @cached_property
    def neighbours(self) -> Neighbours:
        """The rows, ready to be searched."""
        return Neighbours(self.kernel, self.inputs)

    @cached_property
    def landmark_inputs(self) -> Inputs:
        """The landmarks, `m` rows."""
        return self.inputs.take(self.landmarks)

    @cached_property
    def _whitening(self) -> Tensor:
        return whitening(self.kernel, self.landmark_inputs)

    @cached_property
    def _precision_factor(self) -> Tensor:
        return cholesky(self.precision)

    @cached_property
    def _row_features(self) -> Tensor:
        """Landmark features of the rows, `n x m`, float32."""
        phi = torch.empty(len(self.targets), len(self.landmarks))
        for first in range(0, len(phi), ROWS_AT_ONCE):
            rows = torch.arange(first, min(first + ROWS_AT_ONCE, len(phi)))
            phi[rows] = self.features(self.inputs.take(rows)).float()
        return phi

    def left_of(self, phi: Tensor) -> Tensor:
        """Return the prior variance that the landmarks leave over, length `q`."""
        return (self.kernel.variance - (phi * phi).sum(1)).clamp_min(0.0)

    def _variance(self, local: Local) -> Tensor:
        reach = local.reach @ self.whiten_weights.T
        return (local.leftover + (reach * reach).sum(1)).clamp_min(1e-12)

    def _factors(self, inputs: Inputs) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        phi, reach, shrink, factor = [], [], [], []
        for local, _ in self.locals(inputs):
            phi.append(local.phi)
            reach.append(local.reach @ self.whiten_weights.T)
            left = self.left_of(local.phi).clamp_min(1e-12)
            shrink.append((local.leftover / left).clamp(0.0, 1.0).sqrt())
            factor.append(self.factor_of(local))
        return torch.cat(phi), torch.cat(reach), torch.cat(shrink), torch.cat(factor)

    def _local(self, part: Inputs, without: Tensor | None) -> Local:
        n = len(self.targets) - (without is not None)
        k = min(N_NEIGHBOURS, n)
        places = self.neighbours.nearest(part, k, without=without)
        phi = self.features(part)
        scratch = self.neighbours.scratch(k)
        gains, reaches, lefts = [], [], []
        for first in range(0, len(part), SOLVED_AT_ONCE):
            rows = slice(first, min(first + SOLVED_AT_ONCE, len(part)))
            solved = self._solved(part, rows, places[rows], phi[rows], scratch)
            gains.append(solved[0])
            reaches.append(solved[1])
            lefts.append(solved[2])
        gain = torch.cat(gains)
        missed = self.targets - self._landmark_mean
        mean = phi @ self.mean_of_weights + (gain * missed[places]).sum(1)
        return Local(places, phi, gain, torch.cat(reaches), torch.cat(lefts), mean)

    @cached_property
    def _landmark_mean(self) -> Tensor:
        mean = self.mean_of_weights.float()
        return (self._row_features @ mean).double()

    def _solved(
        self,
        part: Inputs,
        rows: slice,
        places: Tensor,
        phi: Tensor,
        scratch: tuple[Tensor, ...],
    ) -> tuple[Tensor, Tensor, Tensor]:
        # In double precision: a question's answer must not depend on its block.
        near = self._row_features[places].double()
        among = self.neighbours.among(places, scratch) + MEAN_VARIANCE
        among = among - torch.bmm(near, near.transpose(1, 2))
        index = torch.arange(rows.start, rows.stop)
        cross = self.neighbours.cross(part.take(index), places) + MEAN_VARIANCE
        cross = cross - torch.bmm(near, phi[:, :, None])[:, :, 0]
        among.diagonal(dim1=1, dim2=2).add_(self.noise[places] + JITTER)
        factor = torch.linalg.cholesky(among)
        gain = torch.cholesky_solve(cross[:, :, None], factor)[:, :, 0]
        reach = phi - torch.bmm(gain[:, None, :], near)[:, 0]
        left = self.left_of(phi) - (gain * cross).sum(1)
        return gain, reach, left.clamp_min(0.0)


def condition_many(
    encoder: Encoder,
    kernel: Kernel,
    data: tuple[Inputs, Tensor, Tensor],
    landmarks: Tensor,
    *,
    units: tuple[float, float],
    noise_variance: float,
) -> FullScaleSurrogate:
    """Return the posterior given inputs, standardised targets and noise variances.

    Args:
        encoder: From questions to `Inputs`.
        kernel: Prior covariance.
        data: Of `n` rows.
        landmarks: Places of `m` of the rows, sorted.
        units: Location and scale of the standardised units.
        noise_variance: Of one measurement.
    """
    inputs, targets, noise = data
    m, noise = len(landmarks), noise.clamp_min(JITTER)
    empty = FullScaleSurrogate(
        encoder, kernel, inputs, targets, noise, landmarks,
        torch.eye(m, dtype=torch.float64), torch.zeros(m, dtype=torch.float64),
        *units, noise_variance, no_spread(),
    )  # fmt: skip
    precision, shift = empty.precision.clone(), empty.shift.clone()
    kept = torch.empty(len(targets), m)
    with threads_for(len(targets)):
        for first in range(0, len(targets), ROWS_AT_ONCE):
            rows = torch.arange(first, min(first + ROWS_AT_ONCE, len(targets)))
            phi = empty.features(inputs.take(rows))
            kept[rows] = phi.float()
            own = noise[rows] + empty.left_of(phi)
            weighted = phi / own[:, None]
            precision.addmm_(phi.T, weighted)
            shift += targets[rows] @ weighted
    return replace(empty, precision=precision, shift=shift).keeping(kept)


def whitening(kernel: Kernel, landmarks: Inputs) -> Tensor:
    """Return the inverse Cholesky factor of the landmarks' covariance, `m x m`."""
    matrix = kernel.matrix(landmarks, landmarks).clone()
    matrix.diagonal().add_(JITTER)
    factor = cholesky(matrix)
    eye = torch.eye(len(matrix), dtype=torch.float64)
    return torch.linalg.solve_triangular(factor, eye, upper=False)
