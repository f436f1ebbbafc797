"""Common counts of many pairs of molecules, gathered from one table.

Shapes: `u` molecules of the table, `v` pairs of column and level, `q` molecules asked.

Row `(column, level)` of the table holds `min(level, count)` of every molecule, so the
sum of the rows of one molecule's own columns and counts is what it has in common with
each molecule of the table. A row is read once per column that is not empty, whatever
its count, and columns that the table's molecules do not have are not read at all.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import torch
from torch import Tensor

LEVELS: Final = 256
"""Tokens per column: token `LEVELS * column + level`, levels from 0."""
MAX_EXACT: Final = 2048
"""Integers up to here are exact in half precision, and sums of them too."""


@dataclass(frozen=True)
class CountTable:
    """What `u` molecules have of every column and level.

    Attributes:
        vocabulary: Tokens met, sorted, length `v`.
        common: Counts up to each token's level, `v x u`; half precision where exact.
    """

    vocabulary: Tensor
    common: Tensor

    def common_with(self, tokens: Tensor, offsets: Tensor) -> Tensor:
        """Return how much each of `q` molecules has in common, `q x u`, exact.

        Args:
            tokens: Tokens of the molecules one after another, grouped by column, levels
                ascending from 0.
            offsets: Start of each molecule and the end of the last, `q + 1`.
        """
        return self.sums(*self.rows_of(tokens, offsets))

    def sums(self, rows: Tensor, starts: Tensor) -> Tensor:
        """Return sums of some rows of the table, from each start to the next."""
        return torch.nn.functional.embedding_bag(rows, self.common, starts, mode="sum")

    def rows_of(self, tokens: Tensor, offsets: Tensor) -> tuple[Tensor, Tensor]:
        """Return the rows that hold what each of `q` molecules has, and their starts.

        Arguments as in `common_with`.
        """
        last = torch.ones(len(tokens), dtype=torch.bool, device=tokens.device)
        torch.ne(tokens[1:] - tokens[:-1], 1, out=last[:-1])
        last[offsets[1:] - 1] = True
        top = torch.nonzero(last)[:, 0]
        asked = (tokens[top] + LEVELS).clamp_max_(len(self._place) - 1)
        place = self._place[asked]
        kept = torch.nonzero(place >= 0)[:, 0]
        starts = torch.searchsorted(top[kept], offsets[:-1])
        return place[kept], starts.int()

    @cached_property
    def _place(self) -> Tensor:
        """Row of each token, or of the highest level below it that is met, or -1.

        The first column is of the token without an environment, the last is of none.
        """
        n_columns = int(self.vocabulary.max()) // LEVELS + 3
        place = torch.full((n_columns * LEVELS,), -1, dtype=torch.int32)
        rows = torch.arange(len(self.vocabulary), dtype=torch.int32)
        place[self.vocabulary.cpu() + LEVELS] = rows
        filled = place.view(n_columns, LEVELS).cummax(1).values
        return filled.flatten().to(self.vocabulary.device)


def count_table(tokens: Tensor, offsets: Tensor) -> CountTable:
    """Build the table of molecules from their tokens; see `common_with`."""
    sizes = offsets.diff()
    vocabulary, position = torch.unique(tokens, return_inverse=True)
    owner = torch.repeat_interleave(
        torch.arange(len(sizes), device=tokens.device), sizes
    )
    largest = int(sizes.max()) if len(sizes) else 0
    kind = torch.float16 if largest <= MAX_EXACT else torch.float32
    table = torch.zeros(len(vocabulary), len(sizes), dtype=kind, device=tokens.device)
    table[position, owner] = 1.0
    level = vocabulary % LEVELS
    # The token of a row without any environment has a column of its own.
    level[vocabulary < 0] = 0
    for depth in range(1, int(level.max()) + 1 if len(level) else 0):
        rows = torch.nonzero(level == depth)[:, 0]
        table[rows] += table[rows - 1]
    return CountTable(vocabulary, table)
