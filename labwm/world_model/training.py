"""From observations of one readout to the rows that a Gaussian process learns from.

Shapes: `n` rows after replicates were put together.

Replicates are put together without loss: for Gaussian noise of variance `s2`, their
likelihood is that of their mean with noise `s2 / r`, times that of their scatter, which
is kept as a sum of squares with its degrees of freedom.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from labwm.errors import NotEnoughDataError
from labwm.space.questions import Observations, Questions

Floats = NDArray[np.float64]

MIN_ROWS: Final = {"default": 5, "explore": 2}
"""Fewer values than these are not learnt from: a search may begin sooner, because its
prior is stronger."""

LARGEST: Final = 1e100
SMALLEST: Final = 1e-100
"""Sizes beyond which a sum of squares would overflow, or be zero."""


@dataclass(frozen=True)
class Rows:
    """What one readout gave, one row per distinct conditions, in canonical order.

    Attributes:
        source: A row of the observations that has these conditions, length `n`.
        key: Canonical bytes of the conditions, length `n`.
        mean: Mean of the replicates, natural units, length `n`.
        n_replicates: Measurements in each mean, length `n`.
        limit: Where values are censored: 1 the truth is above, -1 below, 0 known.
        values: Every uncensored value, with `group` its row.
        group: Row of each of `values`.
    """

    source: NDArray[np.int64]
    key: tuple[bytes, ...]
    mean: Floats
    n_replicates: Floats
    limit: NDArray[np.int64]
    values: Floats
    group: NDArray[np.int64]

    @property
    def is_censored(self) -> NDArray[np.bool_]:
        """Rows of which only a limit is known, length `n`."""
        return self.limit != 0

    def take(self, rows: NDArray[np.int64]) -> "Rows":
        """Return some rows, in ascending order, with all of their values."""
        inside = np.isin(self.group, rows)
        return Rows(
            self.source[rows],
            tuple(self.key[i] for i in rows),
            self.mean[rows],
            self.n_replicates[rows],
            self.limit[rows],
            self.values[inside],
            np.searchsorted(rows, self.group[inside]),
        )

    @property
    def scatter(self) -> tuple[float, int]:
        """Sum of squares of replicates around their means, and degrees of freedom."""
        residual = self.values - self.mean[self.group]
        n_groups = int(np.sum(~self.is_censored))
        return float(residual @ residual), len(self.values) - n_groups


def canonical_rank(questions: Questions) -> NDArray[np.int64]:
    """Return the place of each row in an order that its conditions alone decide.

    Equal conditions share a place. Numbers are compared as numbers, so that another
    unit gives the same order.
    """
    columns = list(questions.columns.values())
    if questions.time is not None:
        columns.append(questions.time)
    codes = [
        np.unique(c.astype(str) if c.dtype == object else c, return_inverse=True)[1]
        for c in columns
    ]
    return np.unique(np.stack(codes, axis=1), axis=0, return_inverse=True)[1]


def rows_of(observations: Observations, readout: int, keys: Sequence[bytes]) -> Rows:
    """Collect the rows of one readout that have a number; limits stand alone.

    The order depends on the rows as a set: permuting them changes nothing.
    """
    rank = canonical_rank(observations.questions)
    groups: dict[tuple[int, int, int], list[int]] = {}
    column, limits = observations.values[:, readout], observations.censoring[:, readout]
    order = sorted(
        np.flatnonzero(np.isfinite(column)).tolist(),
        key=lambda i: (rank[i], limits[i], column[i]),
    )
    for i in order:
        side = int(limits[i])
        # A limit is no value to average: each censored row stays by itself.
        groups.setdefault((int(rank[i]), side, i if side else -1), []).append(i)
    members = list(groups.values())
    limit = np.array([side for _, side, _ in groups], dtype=np.int64)
    group = np.repeat(np.arange(len(members)), [len(m) for m in members])
    flat = np.array([i for m in members for i in m], dtype=np.int64)
    known = limit[group] == 0
    return Rows(
        source=np.array([m[0] for m in members], dtype=np.int64),
        key=tuple(keys[m[0]] for m in members),
        mean=np.array([float(np.mean(column[m])) for m in members]),
        n_replicates=np.array([float(len(m)) for m in members]),
        limit=limit,
        values=column[flat][known],
        group=group[known],
    )


def standard_units(rows: Rows) -> tuple[float, float]:
    """Return location and scale of the uncensored values, in the readout's unit.

    Where all values are equal the scale is a guess: their size, or 1.
    """
    location, scale = float(rows.values.mean()), float(rows.values.std(ddof=1))
    if scale <= 1e-12 * abs(location) or scale == 0.0:
        scale = abs(location) or 1.0
    return location, scale


def require_rows(rows: Rows, readout: str, recipe: str) -> None:
    """Refuse a readout with fewer known values than a recipe learns from.

    Raises:
        NotEnoughDataError: If fewer than `MIN_ROWS` of the recipe are known, or their
            squares could not be numbers.
    """
    least = MIN_ROWS[recipe]
    largest = float(np.max(np.abs(rows.values), initial=0.0))
    if largest > LARGEST or 0.0 < largest < SMALLEST:
        raise NotEnoughDataError(
            f"A Gaussian process learns from numbers of {SMALLEST:g} to {LARGEST:g} in "
            f"size; got {largest:g} of {readout!r}. Declare the readout in another "
            "unit, or correct the value."
        )
    if len(rows.values) < least:
        raise NotEnoughDataError(
            f"A Gaussian process needs at least {least} measured values; got "
            f"{len(rows.values)} of {readout!r}. Add measurements, or start from a "
            "space-filling design."
        )
