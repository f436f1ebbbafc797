"""Covariance functions: Matérn-5/2, MinMax on counts, and their sum and product.

Shapes: `a`, `b` rows, `d` dense columns, `g` lengthscales, `t` terms.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import torch
from torch import Tensor

from labwm.world_model.inputs import Counts, Inputs

MEAN_VARIANCE: Final = 1.0
"""Prior variance of the mean, in units of the readout's variance: the mean is unknown
and integrated out, so that its uncertainty is part of every answer."""

PAIRS_AT_ONCE: Final = 2**17
"""Few enough for what is compared to stay in a processor's cache."""


@dataclass(frozen=True)
class Term:
    """One summand of a kernel: `constant`, or a comparison of one block of inputs."""

    kind: Literal["constant", "minmax", "matern"]
    block: int = 0


def matern52(squared: Tensor) -> Tensor:
    """Return Matérn-5/2 of squared distances in units of the lengthscale."""
    r = (5.0 * squared).sqrt_()
    decay = r.neg().exp_()
    return torch.addcmul(r, r, r, value=1.0 / 3.0).add_(1.0).mul_(decay)


def matern52_and_slope(squared: Tensor) -> tuple[Tensor, Tensor]:
    """Return Matérn-5/2 and its derivative by the squared distance, finite at zero."""
    r = (5.0 * squared).sqrt()
    decay = (-r).exp()
    linear = r + 1.0
    slope = (linear * decay).mul_(-5.0 / 6.0)
    # r**2 / 3; buffers are used again, for allocating them costs more than the sums.
    return r.square_().div_(3.0).add_(linear).mul_(decay), slope


def squared_distance(a: Tensor, b: Tensor) -> Tensor:
    """Return squared Euclidean distances, `a x b`, by one matrix product."""
    square = (a * a).sum(1)[:, None] + (b * b).sum(1)[None, :]
    return square.addmm_(a, b.T, alpha=-2.0).clamp_min_(0.0)


def minmax(a: Counts, b: Counts) -> Tensor:
    """Return the MinMax (count Tanimoto) similarity of rows, `a x b`, float64, exact.

    Numerators are gathered from a table of `b`, so keep the larger set in `a` and use
    one `b` for many calls.
    """
    similarity = torch.empty(
        len(a.sizes), len(b.sizes), dtype=torch.float64, device=a.tokens.device
    )
    for rows, common, union in overlaps(a, b):
        similarity[rows] = common.div_(union)
    if not a.is_one_to_one:
        similarity = similarity[a.row]
    return similarity if b.is_one_to_one else similarity[:, b.row]


def overlaps(a: Counts, b: Counts) -> Iterator[tuple[slice, Tensor, Tensor]]:
    """Yield what molecules of `a` have in common with `b`, and their union, in blocks.

    Float32, exact; what is yielded is overwritten by the next block.
    """
    at_once = max(1, PAIRS_AT_ONCE // max(len(b.sizes), 1))
    room = torch.empty(2, at_once, len(b.sizes), device=a.tokens.device)
    indexed, starts = b.table.rows_of(a.tokens, a.offsets)
    ends = [*starts.tolist(), len(indexed)]
    for first in range(0, len(a.sizes), at_once):
        rows = slice(first, min(first + at_once, len(a.sizes)))
        common, union = room[:, : rows.stop - first]
        own = indexed[ends[first] : ends[rows.stop]]
        common.copy_(b.table.sums(own, starts[rows] - ends[first]))
        torch.add(a.sizes[rows, None], b.sizes[None, :], out=union).sub_(common)
        yield rows, common, union


def comparisons(terms: Sequence[Term], a: Inputs, b: Inputs) -> list[Tensor | None]:
    """Return what each term compares and no hyperparameter changes, `a x b` each."""
    blocks: list[Tensor | None] = []
    for term in terms:
        match term.kind:
            case "constant":
                blocks.append(None)
            case "minmax":
                blocks.append(minmax(a.counts[term.block], b.counts[term.block]))
            case "matern":
                blocks.append(
                    squared_distance(a.smooth[term.block], b.smooth[term.block])
                )
    return blocks


@dataclass(frozen=True)
class Kernel:
    """`MEAN_VARIANCE + (sum_t weight_t * term_t) * matern52(dense)`.

    Attributes:
        terms: Summands, length `t`.
        groups: Lengthscale of each dense column, length `d`, in `0..g-1`.
        lengthscales: Of the dense columns, length `g`.
        weights: Variance of each term, length `t`, in the readout's variance.
        widths: Lengthscale of each Matérn term, 1 for the others, length `t`.
    """

    terms: tuple[Term, ...]
    groups: Tensor
    lengthscales: Tensor
    weights: Tensor
    widths: Tensor

    @property
    def signal_variance(self) -> Tensor:
        """Prior variance around the mean."""
        return self.weights.sum()

    @property
    def variance(self) -> Tensor:
        """Prior variance at any one question, the unknown mean included."""
        return self.signal_variance + MEAN_VARIANCE

    def scaled(self, inputs: Inputs) -> Tensor:
        """Return the dense columns in units of their lengthscales, `q x d`."""
        return inputs.dense / self.lengthscales[self.groups]

    def matrix(self, a: Inputs, b: Inputs) -> Tensor:
        """Return the prior covariance of two sets of questions, `a x b`."""
        return self.assemble(a, b, comparisons(self.terms, a, b))

    def assemble(
        self, a: Inputs, b: Inputs, compared: Sequence[Tensor | None]
    ) -> Tensor:
        """Return the prior covariance from what `comparisons` gave before."""
        total = torch.zeros((), dtype=torch.float64)
        for i, (term, block) in enumerate(zip(self.terms, compared, strict=True)):
            if block is None:
                total = total + self.weights[i]
            elif term.kind == "minmax":
                total = total + self.weights[i] * block
            else:
                total = total + self.weights[i] * matern52(block / self.widths[i] ** 2)
        if a.dense.shape[1]:
            squared = squared_distance(self.scaled(a), self.scaled(b))
            total = total * matern52(squared)
        return (total + MEAN_VARIANCE).expand(len(a), len(b))
