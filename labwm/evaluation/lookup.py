"""A measured table as a world to play against: ask for a row, get what was measured.

Shapes: `N` distinct conditions, `m` readouts, `k` objectives.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from labwm.design.sources import Source
from labwm.errors import NotEnoughDataError
from labwm.schema import Measurement, Protocol
from labwm.space.questions import Observations, Questions, observations_from
from labwm.space.space import with_levels
from labwm.world_model.reward import utilities

Floats = NDArray[np.float64]
MIN_ROWS = 4


@dataclass(frozen=True)
class Lookup:
    """Everything that was ever measured, by distinct conditions.

    Attributes:
        protocol: What an experiment is and what it is wanted for; levels that it does
            not list are the table's, as in a campaign.
        observed: Every measurement of the table, replicates as separate rows.
        pool: The distinct conditions, `N` rows, in the table's order.
        replicates: For each row of the pool the rows of `observed` that measured it.
        truth: Mean over replicates, `N x m`; NaN where all of them gave no number.
        sha256: Digest of the measurements.
        sources: Earlier assays that policies may lean on.
    """

    protocol: Protocol
    observed: Observations
    pool: Questions
    replicates: tuple[NDArray[np.int64], ...]
    truth: Floats
    sha256: str
    sources: tuple[Source, ...] = ()

    def __len__(self) -> int:
        return len(self.pool)

    @property
    def utilities(self) -> Floats:
        """Utility of each row's truth by objective, `N x k`; NaN where it failed."""
        return utilities(self.protocol, self.truth)

    def measure(self, row: int, *, seed: int) -> int:
        """Return the row of `observed` that measuring a row of the pool gives.

        Of several replicates one is drawn by (seed, conditions) alone: neither the
        policy nor the order of the experiments changes it.
        """
        choices = self.replicates[row]
        if len(choices) == 1:
            return int(choices[0])
        key = hashlib.sha256(str(sorted(self.pool.row(row).items())).encode()).digest()
        entropy = [seed, int.from_bytes(key[:8], "big")]
        return int(np.random.default_rng(entropy).choice(choices))


def lookup_from(protocol: Protocol, measurements: Sequence[Measurement]) -> Lookup:
    """Group the measurements of a table by their conditions.

    Raises:
        NotEnoughDataError: If fewer than `MIN_ROWS` conditions differ, or an objective
            has no number at all.
    """
    observed = observations_from(protocol, measurements)
    groups: dict[bytes, list[int]] = {}
    for i, key in enumerate(observed.questions.keys()):
        groups.setdefault(key, []).append(i)
    if len(groups) < MIN_ROWS:
        raise NotEnoughDataError(
            f"A back-test needs at least {MIN_ROWS} distinct conditions; got "
            f"{len(groups)} in {len(measurements)} measurements. Measure more, or "
            "check that the protocol names the columns that differ."
        )
    replicates = tuple(np.array(rows, dtype=np.int64) for rows in groups.values())
    truth = _means(observed.values, replicates)
    _refuse_empty_objectives(protocol, truth)
    pool = observed.questions.take([rows[0] for rows in replicates])
    return Lookup(
        with_levels(protocol, pool),
        observed,
        pool,
        replicates,
        truth,
        observed.digest(),
    )


def _means(values: Floats, groups: Sequence[NDArray[np.int64]]) -> Floats:
    out = np.full((len(groups), values.shape[1]), np.nan)
    for i, rows in enumerate(groups):
        has_number = ~np.isnan(values[rows])
        counts = has_number.sum(axis=0)
        sums = np.where(has_number, values[rows], 0.0).sum(axis=0)
        out[i, counts > 0] = sums[counts > 0] / counts[counts > 0]
    return out


def _refuse_empty_objectives(protocol: Protocol, truth: Floats) -> None:
    for objective in protocol.objectives:
        column = truth[:, protocol.readout_names.index(objective.readout)]
        if np.all(np.isnan(column)):
            raise NotEnoughDataError(
                "A back-test needs numbers for every objective; got none for "
                f"{objective.readout!r} in {len(truth)} rows. Check the readout's "
                "column in the protocol."
            )
