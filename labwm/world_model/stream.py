"""The exact posterior of a pool in single precision, block by block.

Shapes: `n` rows learnt from, `q` questions of a block, `b` of those worked on at once.

For ranking a pool: relative errors stay below `TOLERANCE`, which is looked at on some
questions of every call. A prediction that is stated, stored or drawn from is
`Surrogate.mean_and_variance`, in double precision. Memory depends on the block and on
`n**2`, never on the pool.
"""

from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Final

import torch
from torch import Tensor

from labwm.world_model.inputs import Inputs
from labwm.world_model.kernel import (
    MEAN_VARIANCE,
    PAIRS_AT_ONCE,
    matern52,
    overlaps,
    squared_distance,
)
from labwm.world_model.linear_algebra import inverse_of_factor, threads_for
from labwm.world_model.surrogate import Surrogate, blocks

N_STRIPES: Final = 8
"""The inverse factor is triangular: in eight stripes, 7/16 of the work is left out."""
LEAST_AT_ONCE: Final = 64
"""Questions below which a matrix product is slower than the cache is worth."""
RELIABLE: Final = 0.005
"""Variances below this share of the prior's are computed again in double precision:
they are a small difference of large numbers."""
TOLERANCE: Final = 1e-4
"""Of `relative_error`."""
N_CHECKED: Final = 64
"""Questions of every call that are predicted in double precision too."""


class PosteriorStream:
    """Mean and variance of a surrogate's latent function, for any number of questions.

    Args:
        surrogate: The posterior.
        device: Where blocks are computed, `cpu` or `cuda`.
    """

    def __init__(self, surrogate: Surrogate, device: str = "cpu"):
        self.surrogate, self.device = surrogate, device
        self._rows = surrogate.inputs.to(device)
        self._weights = surrogate.weights.float().to(device)
        self._sum = float(surrogate.weights.sum())

    def __call__(self, inputs: Inputs) -> tuple[Tensor, Tensor]:
        """Return mean and variance, standardised, length `q` each, on the CPU.

        All in double precision where single precision is not enough for this posterior.
        """
        if not self._is_precise(inputs):
            return self.surrogate.mean_and_variance(inputs)
        parts = list(self.over(blocks(inputs)))
        empty = torch.empty(0, dtype=torch.float64)
        return (
            torch.cat([empty, *(mean for mean, _ in parts)]),
            torch.cat([empty, *(variance for _, variance in parts)]),
        )

    def over(self, pool: Iterable[Inputs]) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield mean and variance of one block after another, unchecked."""
        own = self.surrogate
        prior = float(own.kernel.variance)
        for block in pool:
            with threads_for(len(own.targets)):
                mean, explained = self._block(block.to(self.device))
            variance = prior - explained
            again = torch.nonzero(variance < RELIABLE * prior)[:, 0]
            if len(again):
                exact = own.mean_and_variance(block.take(again))
                mean[again], variance[again] = exact
            yield mean, variance

    def _is_precise(self, inputs: Inputs) -> bool:
        step = max(len(inputs) // N_CHECKED, 1)
        some = inputs.take(torch.arange(0, len(inputs), step)[:N_CHECKED])
        if not len(some):
            return True
        exact = self.surrogate.mean_and_variance(some)
        (found,) = self.over([some])
        # Less than is allowed: others may be a little worse than those looked at.
        return relative_error(self.surrogate, found, exact) < 0.7 * TOLERANCE

    def _block(self, block: Inputs) -> tuple[Tensor, Tensor]:
        """Return mean and explained variance of a block, float64, on the CPU."""
        cross = self._cross(block)
        # What a question has in common with all rows is large and cancels in products:
        # it is taken out, and put back by sums that were made in double precision.
        level = cross.mean(1)
        cross.sub_(level[:, None])
        mean = (cross @ self._weights).double() + self._sum * level.double()
        at_once = max(LEAST_AT_ONCE, PAIRS_AT_ONCE // len(self._rows))
        parts = [
            self._explained(part, own)
            for part, own in zip(
                cross.split(at_once), level.split(at_once), strict=True
            )
        ]
        return mean.cpu(), torch.cat(parts).cpu().double()

    def _explained(self, cross: Tensor, level: Tensor) -> Tensor:
        total = torch.zeros(len(cross), device=self.device)
        for stripe, sums in self._stripes:
            half = torch.addr(cross[:, : stripe.shape[1]] @ stripe.T, level, sums)
            total += torch.linalg.vecdot(half, half)
        return total

    @cached_property
    def _stripes(self) -> list[tuple[Tensor, Tensor]]:
        """The inverse factor in groups of rows, without its zeros; its row sums."""
        n = len(self.surrogate.targets)
        with threads_for(n):
            inverse = inverse_of_factor(self.surrogate.factor)
        sums, device = inverse.sum(1), self.device
        return [
            (
                inverse[rows[0] : rows[-1] + 1, : rows[-1] + 1].float().to(device),
                sums[rows].float().to(device),
            )
            for rows in torch.arange(n).tensor_split(min(N_STRIPES, n))
        ]

    def _cross(self, block: Inputs) -> Tensor:
        """Return prior covariances with the rows, `q x n`, float32."""
        kernel = self.surrogate.kernel
        total = torch.zeros(len(block), len(self._rows), device=self.device)
        for i, term in enumerate(kernel.terms):
            weight = float(kernel.weights[i])
            match term.kind:
                case "constant":
                    total += weight
                case "minmax":
                    self._add_minmax(total, block, term.block, weight)
                case "matern":
                    self._add_matern(total, block, i)
        if self._rows.dense.shape[1]:
            # Few columns, maybe many lengthscales long: their differences are exact.
            squared = squared_distance(self._scaled(block), self._scaled(self._rows))
            total *= matern52(squared.float())
        return total.add_(MEAN_VARIANCE)

    def _scaled(self, inputs: Inputs) -> Tensor:
        kernel = self.surrogate.kernel
        return inputs.dense / kernel.lengthscales[kernel.groups].to(self.device)

    def _add_matern(self, total: Tensor, block: Inputs, i: int) -> None:
        own = self.surrogate.kernel
        place, width = own.terms[i].block, float(own.widths[i])
        rows = self._smooth[place]
        asked = block.smooth[place].float()
        for part, into in self._parts(asked, total):
            squared = squared_distance(part, rows).div_(width**2)
            into.add_(matern52(squared), alpha=float(own.weights[i]))

    @cached_property
    def _smooth(self) -> tuple[Tensor, ...]:
        return tuple(block.float() for block in self._rows.smooth)

    def _parts(self, asked: Tensor, total: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        at_once = max(1, PAIRS_AT_ONCE // len(self._rows))
        return zip(asked.split(at_once), total.split(at_once), strict=True)

    def _add_minmax(
        self, total: Tensor, block: Inputs, which: int, weight: float
    ) -> None:
        asked, rows = block.counts[which], self._rows.counts[which]
        if asked.is_one_to_one and rows.is_one_to_one:
            for part, common, union in overlaps(asked, rows):
                total[part].addcdiv_(common, union, value=weight)
            return
        similarity = torch.empty(len(asked.sizes), len(rows.sizes), device=self.device)
        for part, common, union in overlaps(asked, rows):
            similarity[part] = common.div_(union)
        total.add_(similarity[asked.row][:, rows.row], alpha=weight)


def relative_error(
    surrogate: Surrogate,
    found: tuple[Tensor, Tensor],
    exact: tuple[Tensor, Tensor],
) -> float:
    """Return the largest error of means and variances, relative.

    A mean's is relative to the larger of itself and the deviation of one measurement.
    """
    mean, variance = exact
    size = (variance + surrogate.noise_variance).sqrt()
    of_mean = (found[0] - mean).abs() / torch.maximum(mean.abs(), size)
    of_variance = (found[1] - variance).abs() / variance
    return float(torch.maximum(of_mean, of_variance).max())
