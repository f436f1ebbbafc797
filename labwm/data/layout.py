"""Where each measurement stands in a dataset: experiment by replicate."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from labwm.schema import Conditions, Measurement, canonical_json


@dataclass(frozen=True)
class Layout:
    """Rows of distinct conditions, columns of replicates.

    Attributes:
        conditions: Distinct conditions in order of first appearance.
        places: (experiment, replicate) of each measurement.
        n_replicates: Most replicates of one experiment.
    """

    conditions: tuple[Conditions, ...]
    places: tuple[tuple[int, int], ...]
    n_replicates: int

    @property
    def shape(self) -> tuple[int, int]:
        """Experiments and replicates."""
        return len(self.conditions), self.n_replicates

    def grid(self, fill: float | np.generic) -> NDArray[np.generic]:
        """Return an array of the layout's shape, and of the fill's type."""
        return np.full(self.shape, fill)

    def texts(self) -> NDArray[np.object_]:
        """Return an array of empty texts."""
        return np.full(self.shape, "", dtype=object)


def layout_of(measurements: Sequence[Measurement]) -> Layout:
    """Give each measurement the next free replicate of its conditions."""
    experiments: dict[bytes, int] = {}
    conditions: list[Conditions] = []
    counts: list[int] = []
    places: list[tuple[int, int]] = []
    for measurement in measurements:
        key = canonical_json(measurement.conditions)
        if key not in experiments:
            experiments[key] = len(conditions)
            conditions.append(measurement.conditions)
            counts.append(0)
        e = experiments[key]
        places.append((e, counts[e]))
        counts[e] += 1
    return Layout(tuple(conditions), tuple(places), max(counts, default=0))
