"""Many assays, each with values of its own items: what a task distribution learns from.

Shapes: `n` rows of one assay.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from labwm.errors import InvalidInputError

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Assay:
    """What one assay measured.

    Attributes:
        name: Of the assay.
        items: Molecules or sequences, length `n`; replicates are separate rows.
        values: Measured, length `n`; NaN where no number was given.
        limits: 0 where the value is a number, -1 where the outcome is at most the
            value, +1 where it is at least the value, length `n`.
        is_active: Counts each row as active? Length `n`.
    """

    name: str
    items: tuple[str, ...]
    values: Floats
    limits: NDArray[np.int8]
    is_active: NDArray[np.bool_]

    def __post_init__(self) -> None:
        n = len(self.items)
        shapes = [np.shape(a) for a in (self.values, self.limits, self.is_active)]
        if shapes != [(n,)] * 3:
            raise InvalidInputError(
                f"An assay has one value, limit and label per item; got {n} items and "
                f"shapes {shapes} in {self.name!r}. Give one of each per row."
            )
        if np.isinf(self.values).any():
            raise InvalidInputError(
                f"Values of an assay are finite or absent; got infinity in "
                f"{self.name!r}. Write a limit as its value with a relation."
            )

    def __len__(self) -> int:
        return len(self.items)

    @property
    def limit_share(self) -> float:
        """Share of the rows with a value whose value is a limit."""
        known = ~np.isnan(self.values)
        return float((self.limits[known] != 0).mean()) if known.any() else 0.0

    def take(self, rows: NDArray[np.int64]) -> "Assay":
        """Return some of the rows."""
        return Assay(
            self.name,
            tuple(self.items[i] for i in rows),
            self.values[rows],
            self.limits[rows],
            self.is_active[rows],
        )


def above_median(values: Floats) -> NDArray[np.bool_]:
    """Label the upper half of some values as active; a row without one is not."""
    known = ~np.isnan(values)
    if not known.any():
        return np.zeros(len(values), dtype=bool)
    with np.errstate(invalid="ignore"):
        return np.asarray(known & (values > np.median(values[known])))


def digest(assays: Iterable[Assay]) -> str:
    """Return the sha256 of the assays' content, whatever their order."""
    each = sorted(_digest(assay) for assay in assays)
    return hashlib.sha256(b"".join(each)).hexdigest()


def _digest(assay: Assay) -> bytes:
    order = sorted(
        range(len(assay)), key=lambda i: (assay.items[i], str(assay.values[i]))
    )
    rows = np.array(order, dtype=np.int64)
    found = hashlib.sha256(assay.name.encode())
    found.update("\n".join(assay.items[i] for i in order).encode())
    found.update(np.ascontiguousarray(assay.values[rows], dtype="<f8").tobytes())
    found.update(np.ascontiguousarray(assay.limits[rows], dtype=np.int8).tobytes())
    found.update(np.ascontiguousarray(assay.is_active[rows], dtype=bool).tobytes())
    return found.digest()
