"""The rows that a question is most like, by prior covariance.

Shapes: `n` rows learnt from, `q` questions, `k` neighbours.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import torch
from torch import Tensor

from labwm.world_model.inputs import Inputs
from labwm.world_model.kernel import Kernel, matern52, squared_distance
from labwm.world_model.token_index import TokenIndex, tie_breaks, token_index

ROWS_AT_ONCE: Final = 16384
ROUNDED: Final = 1e-9
"""Scores closer than this are equal: a matrix product's last digits depend on what else
is asked, and neighbours must not."""


@dataclass(frozen=True)
class Neighbours:
    """Finds neighbours among `n` rows, and compares rows with each other.

    Attributes:
        kernel: Prior covariance.
        inputs: The rows.
    """

    kernel: Kernel
    inputs: Inputs

    @cached_property
    def _tokens(self) -> tuple[TokenIndex, ...]:
        return tuple(token_index(counts) for counts in self.inputs.counts)

    @cached_property
    def _scaled(self) -> Tensor:
        return self.kernel.scaled(self.inputs)

    @cached_property
    def _ties(self) -> Tensor:
        return 0.5 * ROUNDED * tie_breaks(len(self.inputs))

    def nearest(
        self, asked: Inputs, k: int, *, without: Tensor | None = None
    ) -> Tensor:
        """Return the places of the `k` rows of the largest covariance, `q x k`.

        Args:
            asked: `q` questions.
            k: At most `n`, or `n - 1` with `without`.
            without: For each question a row that does not count, length `q`.
        """
        scaled = self.kernel.scaled(asked)
        best = torch.empty(len(asked), 0, dtype=torch.float64)
        places = torch.empty(len(asked), 0, dtype=torch.int64)
        for first in range(0, len(self.inputs), ROWS_AT_ONCE):
            last = min(first + ROWS_AT_ONCE, len(self.inputs))
            score = self._score(first, last, asked, scaled)
            score.div_(ROUNDED).round_().mul_(ROUNDED).add_(self._ties[first:last])
            if without is not None:
                inside = torch.nonzero((without >= first) & (without < last))[:, 0]
                score[inside, without[inside] - first] = -torch.inf
            top = score.topk(min(k, last - first), sorted=False)
            best = torch.cat([best, top.values], 1)
            places = torch.cat([places, top.indices + first], 1)
            if best.shape[1] > k:
                top = best.topk(k, sorted=False)
                best, places = top.values, places.gather(1, top.indices)
        # Sorted by place, so that the answer does not depend on how they were found.
        return places.sort(dim=1).values

    def _score(self, first: int, last: int, asked: Inputs, scaled: Tensor) -> Tensor:
        """Return what grows with the covariance, `q x (last - first)`."""
        kernel, dense = self.kernel, scaled.shape[1] > 0
        far = squared_distance(scaled, self._scaled[first:last]) if dense else None
        if all(term.kind == "constant" for term in kernel.terms):
            assert far is not None  # a kernel compares something
            return far.neg_()
        total = torch.zeros((), dtype=torch.float64)
        for i, term in enumerate(kernel.terms):
            weight = kernel.weights[i]
            match term.kind:
                case "constant":
                    part = torch.ones((), dtype=torch.float64)
                case "minmax":
                    index = self._tokens[term.block]
                    part = index.similarity(first, last, asked.counts[term.block]).T
                case "matern":
                    squared = squared_distance(
                        asked.smooth[term.block],
                        self.inputs.smooth[term.block][first:last],
                    )
                    part = matern52(squared / kernel.widths[i] ** 2)
            total = total + weight * part
        return total if far is None else total * matern52(far)

    def scratch(self, k: int) -> tuple[Tensor, ...]:
        """Return room that `among` needs, for groups of `k` rows."""
        return tuple(torch.zeros(len(own.vocabulary), k) for own in self._tokens)

    def among(self, places: Tensor, scratch: tuple[Tensor, ...]) -> Tensor:
        """Return prior covariances among each question's neighbours, `q x k x k`.

        The unknown mean's variance is left out.
        """
        kernel, (q, k) = self.kernel, places.shape
        total = torch.zeros((), dtype=torch.float64)
        for i, term in enumerate(kernel.terms):
            match term.kind:
                case "constant":
                    part = torch.ones((), dtype=torch.float64)
                case "minmax":
                    own, room = self._tokens[term.block], scratch[term.block]
                    part = torch.stack([own.group(rows, room) for rows in places])
                case "matern":
                    block = self.inputs.smooth[term.block][places]
                    part = matern52(_squared(block) / kernel.widths[i] ** 2)
            total = total + kernel.weights[i] * part
        if self._scaled.shape[1]:
            total = total * matern52(_squared(self._scaled[places]))
        return total.expand(q, k, k)

    def cross(self, asked: Inputs, places: Tensor) -> Tensor:
        """Return prior covariances of questions with their own neighbours, `q x k`.

        The unknown mean's variance is left out.
        """
        kernel = self.kernel
        total = torch.zeros((), dtype=torch.float64)
        for i, term in enumerate(kernel.terms):
            match term.kind:
                case "constant":
                    part = torch.ones((), dtype=torch.float64)
                case "minmax":
                    own = self._tokens[term.block]
                    part = own.with_each(asked.counts[term.block], places)
                case "matern":
                    block = self.inputs.smooth[term.block][places]
                    own_rows = asked.smooth[term.block][:, None, :]
                    squared = ((block - own_rows) ** 2).sum(2)
                    part = matern52(squared / kernel.widths[i] ** 2)
            total = total + kernel.weights[i] * part
        if self._scaled.shape[1]:
            scaled = kernel.scaled(asked)[:, None, :]
            total = total * matern52(((self._scaled[places] - scaled) ** 2).sum(2))
        return total.expand(*places.shape)


def _squared(rows: Tensor) -> Tensor:
    square = (rows * rows).sum(2)
    product = torch.bmm(rows, rows.transpose(1, 2))
    return (square[:, :, None] + square[:, None, :] - 2.0 * product).clamp_min(0.0)
