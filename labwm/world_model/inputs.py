"""Encoded questions: what a kernel compares.

Shapes: `q` rows, `d` columns, `u` distinct molecules.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from labwm.world_model.count_table import CountTable, count_table


@dataclass(frozen=True)
class Counts:
    """Count fingerprints of `q` rows, held once per distinct molecule.

    A count of three in one column becomes three tokens, so that the MinMax similarity
    of two counts is the Jaccard similarity of two sets of tokens, exactly.

    Attributes:
        tokens: Tokens of the `u` molecules one after another, int64; none is empty.
        offsets: Start of each molecule's tokens and the end of the last, `u + 1`.
        row: Molecule of each row, length `q`, in `0..u-1`.
    """

    tokens: Tensor
    offsets: Tensor
    row: Tensor

    def take(self, rows: Tensor) -> "Counts":
        """Return some rows, holding only the molecules that they name."""
        used, row = torch.unique(self.row[rows], return_inverse=True)
        sizes = self.offsets.diff()[used]
        offsets = torch.cat([sizes.new_zeros(1), sizes.cumsum(0)])
        shift = torch.repeat_interleave(self.offsets[used] - offsets[:-1], sizes)
        index = torch.arange(int(offsets[-1]), device=shift.device) + shift
        return Counts(self.tokens[index], offsets, row)

    @cached_property
    def sizes(self) -> Tensor:
        """Tokens of each molecule, length `u`, float32."""
        return self.offsets.diff().float()

    @cached_property
    def table(self) -> CountTable:
        """What the molecules have in common with others is gathered from here."""
        return count_table(self.tokens, self.offsets)

    def to(self, device: str) -> "Counts":
        """Return the same counts on a device."""
        return Counts(*(t.to(device) for t in (self.tokens, self.offsets, self.row)))

    @property
    def is_one_to_one(self) -> bool:
        """Is row `i` molecule `i`?"""
        return len(self.row) == len(self.sizes) and bool(
            torch.equal(self.row, torch.arange(len(self.row), device=self.row.device))
        )


@dataclass(frozen=True)
class Inputs:
    """What a structure's kernel compares, for `q` rows.

    Attributes:
        dense: Columns on about [0, 1], `q x d`, float64; `d` may be 0.
        smooth: Feature blocks that each have one lengthscale, `q x p` each.
        counts: Count fingerprints.
    """

    dense: Tensor
    smooth: tuple[Tensor, ...] = ()
    counts: tuple[Counts, ...] = ()

    def __len__(self) -> int:
        return len(self.dense)

    def take(self, rows: Tensor) -> "Inputs":
        """Return some of the rows, in the order asked for."""
        return Inputs(
            self.dense[rows],
            tuple(block[rows] for block in self.smooth),
            tuple(block.take(rows) for block in self.counts),
        )

    def to(self, device: str) -> "Inputs":
        """Return the same rows on a device."""
        return Inputs(
            self.dense.to(device),
            tuple(block.to(device) for block in self.smooth),
            tuple(block.to(device) for block in self.counts),
        )


def join(parts: Sequence[Inputs]) -> Inputs:
    """Return the rows of several encoded questions, one after another."""
    first = parts[0]
    return Inputs(
        torch.cat([part.dense for part in parts]),
        tuple(
            torch.cat([part.smooth[i] for part in parts])
            for i in range(len(first.smooth))
        ),
        tuple(
            _join_counts([part.counts[i] for part in parts])
            for i in range(len(first.counts))
        ),
    )


def _join_counts(parts: Sequence[Counts]) -> Counts:
    # Equal molecules of two parts are held twice: their tokens still compare equal.
    starts, rows, n_tokens, n_molecules = [], [], 0, 0
    for part in parts:
        starts.append(part.offsets[:-1] + n_tokens)
        rows.append(part.row + n_molecules)
        n_tokens += len(part.tokens)
        n_molecules += len(part.sizes)
    return Counts(
        torch.cat([part.tokens for part in parts]),
        torch.cat([*starts, torch.tensor([n_tokens])]),
        torch.cat(rows),
    )
