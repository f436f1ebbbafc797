"""The exact posterior of a pool in single precision, block by block.

Shapes: `n` rows learnt from, `q` questions of a block.

For ranking a pool: relative errors stay below 1e-4. A prediction that is stated, stored
or drawn from is `Surrogate.mean_and_variance`, in double precision. Memory depends on
the block and on `n**2`, never on the pool.
"""

from collections.abc import Iterable, Iterator
from typing import Final

import torch
from torch import Tensor

from labwm.world_model.inputs import Inputs
from labwm.world_model.kernel import MEAN_VARIANCE, matern52, squared_distance
from labwm.world_model.linear_algebra import threads_for
from labwm.world_model.surrogate import Surrogate, blocks

N_STRIPES: Final = 8
"""The inverse factor is triangular: in eight stripes, 7/16 of the work is left out."""
RELIABLE: Final = 0.02
"""Variances below this share of the prior's are computed again in double precision:
they are a small difference of large numbers."""


class PosteriorStream:
    """Mean and variance of a surrogate's latent function, for any number of questions.

    Args:
        surrogate: The posterior.
        device: Where blocks are computed, `cpu` or `cuda`.
    """

    def __init__(self, surrogate: Surrogate, device: str = "cpu"):
        self.surrogate, self.device = surrogate, device
        self._rows = surrogate.inputs.to(device)
        self._smooth = tuple(block.float() for block in self._rows.smooth)
        self._weights = surrogate.weights.float().to(device)
        with threads_for(len(surrogate.targets)):
            n = len(surrogate.targets)
            eye = torch.eye(n, dtype=torch.float64)
            inverse = torch.linalg.solve_triangular(surrogate.factor, eye, upper=False)
        self._stripes = [
            inverse[rows[0] : rows[-1] + 1, : rows[-1] + 1].float().to(device)
            for rows in torch.arange(n).tensor_split(min(N_STRIPES, n))
        ]

    def __call__(self, inputs: Inputs) -> tuple[Tensor, Tensor]:
        """Return mean and variance, standardised, length `q` each, on the CPU."""
        parts = list(self.over(blocks(inputs)))
        empty = torch.empty(0, dtype=torch.float64)
        return (
            torch.cat([empty, *(mean for mean, _ in parts)]),
            torch.cat([empty, *(variance for _, variance in parts)]),
        )

    def over(self, pool: Iterable[Inputs]) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield mean and variance of one block after another."""
        own = self.surrogate
        prior = float(own.kernel.variance)
        for block in pool:
            with threads_for(len(own.targets)):
                cross = self._cross(block.to(self.device))
                mean = (cross @ self._weights).cpu().double()
                variance = prior - self._explained(cross).cpu().double()
            again = torch.nonzero(variance < RELIABLE * prior)[:, 0]
            if len(again):
                exact = own.mean_and_variance(block.take(again))
                mean[again], variance[again] = exact
            yield mean, variance

    def _explained(self, cross: Tensor) -> Tensor:
        total = torch.zeros(len(cross), device=self.device)
        for stripe in self._stripes:
            half = cross[:, : stripe.shape[1]] @ stripe.T
            total += torch.linalg.vecdot(half, half)
        return total

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
                    total.add_(self._minmax(block, term.block), alpha=weight)
                case "matern":
                    squared = squared_distance(
                        block.smooth[term.block].float(), self._smooth[term.block]
                    )
                    squared /= float(kernel.widths[i]) ** 2
                    total.add_(matern52(squared), alpha=weight)
        if self._rows.dense.shape[1]:
            # Few columns, maybe many lengthscales long: their differences are exact.
            squared = squared_distance(self._scaled(block), self._scaled(self._rows))
            total *= matern52(squared.float())
        return total.add_(MEAN_VARIANCE)

    def _scaled(self, inputs: Inputs) -> Tensor:
        kernel = self.surrogate.kernel
        return inputs.dense / kernel.lengthscales[kernel.groups].to(self.device)

    def _minmax(self, block: Inputs, which: int) -> Tensor:
        asked, rows = block.counts[which], self._rows.counts[which]
        common = rows.table.common_with(asked.tokens, asked.offsets).float()
        union = torch.add(asked.sizes[:, None], rows.sizes[None, :]).sub_(common)
        similarity = common.div_(union)
        if not asked.is_one_to_one:
            similarity = similarity[asked.row]
        return similarity if rows.is_one_to_one else similarity[:, rows.row]
