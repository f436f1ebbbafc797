"""MinMax similarities of few molecules with very many.

Shapes: `n` rows indexed, `v` tokens of the index, `q` rows asked, `k` rows of a group.

For 10**5 rows a table of their counts would take gigabytes. Here the table is of the
few molecules asked about, in the vocabulary of the rows: it stays in the processor's
cache, and the rows' tokens are looked up once, when the index is made.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from labwm.world_model.count_table import LEVELS, MAX_EXACT
from labwm.world_model.inputs import Counts


@dataclass(frozen=True)
class TokenIndex:
    """Count fingerprints of `n` rows, by place in one vocabulary.

    Attributes:
        vocabulary: Tokens met, sorted, length `v`.
        depths: Rows of the vocabulary at level 1, 2, …
        tops: Place of the highest token of each column, row after row, int32.
        top_offsets: Start of each row's `tops` and the end of the last, `n + 1`.
        places: Place of every token, row after row, int32.
        offsets: Start of each row's `places`, `n + 1`.
        sizes: Tokens of each row, length `n`, float32.
    """

    vocabulary: Tensor
    depths: tuple[Tensor, ...]
    tops: Tensor
    top_offsets: Tensor
    places: Tensor
    offsets: Tensor
    sizes: Tensor

    def similarity(self, first: int, last: int, asked: Counts) -> Tensor:
        """Return MinMax of rows `first` to `last` with those asked, float32."""
        table, sizes = self.table_of(asked)
        start, end = int(self.top_offsets[first]), int(self.top_offsets[last])
        common = torch.nn.functional.embedding_bag(
            self.tops[start:end],
            table,
            (self.top_offsets[first:last] - start).int(),
            mode="sum",
        ).float()
        total = self.sizes[first:last, None] + sizes[None, :]
        return common.div_(total.sub_(common))

    def table_of(self, asked: Counts) -> tuple[Tensor, Tensor]:
        """Return counts up to each token's level, `v x q`, and sizes, length `q`."""
        sizes = asked.offsets.diff()
        owner = torch.repeat_interleave(torch.arange(len(sizes)), sizes)
        place = torch.searchsorted(self.vocabulary, asked.tokens)
        place.clamp_max_(len(self.vocabulary) - 1)
        known = self.vocabulary[place] == asked.tokens
        largest = int(sizes.max()) if len(sizes) else 0
        kind = torch.float16 if largest <= MAX_EXACT else torch.float32
        table = torch.zeros(len(self.vocabulary), len(sizes), dtype=kind)
        table[place[known], owner[known]] = 1.0
        for rows in self.depths:
            table[rows] += table[rows - 1]
        return table[:, asked.row], asked.sizes[asked.row]

    def group(self, rows: Tensor, scratch: Tensor) -> Tensor:
        """Return MinMax among some rows, `k x k`, float32.

        Args:
            rows: Length `k`.
            scratch: Zeros, `v x k`; they are zeros again afterwards.
        """
        index, size, ends = self._spans(rows, self.offsets)
        places = self.places[index].long()
        owner = torch.repeat_interleave(torch.arange(len(rows)), size)
        scratch[places, owner] = 1.0
        common = torch.nn.functional.embedding_bag(
            places, scratch, ends - size, mode="sum"
        )
        scratch[places, owner] = 0.0
        own = self.sizes[rows]
        return common / (own[:, None] + own[None, :] - common)

    def with_each(self, asked: Counts, places: Tensor) -> Tensor:
        """Return MinMax of each question with its own rows, `q x k`, float32."""
        table, sizes = self.table_of(asked)
        found = []
        for j, rows in enumerate(places):
            index, _, ends = self._spans(rows, self.top_offsets)
            parts = table[self.tops[index].long(), j].float()
            sums = torch.cat([parts.new_zeros(1), parts.cumsum(0)])[ends]
            common = sums - torch.cat([sums.new_zeros(1), sums[:-1]])
            found.append(common / (self.sizes[rows] + sizes[j] - common))
        return torch.stack(found)

    def _spans(self, rows: Tensor, offsets: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        start, size = offsets[rows], offsets[rows + 1] - offsets[rows]
        ends = size.cumsum(0)
        shift = torch.repeat_interleave(start - (ends - size), size)
        return torch.arange(int(ends[-1])) + shift, size, ends


def token_index(counts: Counts) -> TokenIndex:
    """Index the rows of count fingerprints; costs a sort of their tokens."""
    rows = counts if counts.is_one_to_one else _by_row(counts)
    vocabulary, place = torch.unique(rows.tokens, return_inverse=True)
    top = torch.ones(len(rows.tokens), dtype=torch.bool)
    top[:-1] = rows.tokens.diff() != 1
    top[rows.offsets[1:] - 1] = True
    ends = torch.cat([torch.zeros(1, dtype=torch.int64), top.cumsum(0)])
    level = torch.where(vocabulary < 0, 0, vocabulary % LEVELS)
    depths = [
        torch.nonzero(level == depth)[:, 0] for depth in range(1, int(level.max()) + 1)
    ]
    return TokenIndex(
        vocabulary,
        tuple(depths),
        place[top].int(),
        ends[rows.offsets],
        place.int(),
        rows.offsets,
        rows.sizes,
    )


def _by_row(counts: Counts) -> Counts:
    sizes = counts.offsets.diff()[counts.row]
    offsets = torch.cat([sizes.new_zeros(1), sizes.cumsum(0)])
    shift = torch.repeat_interleave(counts.offsets[counts.row] - offsets[:-1], sizes)
    index = torch.arange(int(offsets[-1])) + shift
    return Counts(counts.tokens[index], offsets, torch.arange(len(sizes)))


def tie_breaks(n: int) -> Tensor:
    """Return a fixed number in [0, 1) for each row: equal scores keep one order."""
    return torch.from_numpy(np.random.default_rng(0).random(n))
