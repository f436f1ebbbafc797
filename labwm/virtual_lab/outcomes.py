"""What a world answers, as the lab would report it: limits, bounds and failures.

Shapes: `n` questions, `m` readouts.
"""

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from labwm.errors import ProtocolError
from labwm.schema import Protocol, Readout, ReadoutKind, Status
from labwm.space.questions import Observations, Questions
from labwm.world_model.contract import World


def failure_rate(observations: Observations) -> float:
    """Return the share of experiments that failed; 0 where there are none."""
    return float(observations.is_failed.mean()) if len(observations) else 0.0


@dataclass(frozen=True)
class VirtualOutcomes:
    """One world as an instrument: pure in (seed, question, replicate).

    Attributes:
        world: Plays the values, noise included.
        protocol: Says at which limits values are censored, at which bounds flagged.
        failure_rate: Share of experiments that fail, independent of the conditions.
        seed: Decides which ones fail.
    """

    world: World
    protocol: Protocol
    failure_rate: float
    seed: int

    def measure(
        self, questions: Questions, replicate: NDArray[np.int64]
    ) -> Observations:
        """Measure each question once.

        Args:
            questions: `n` rows.
            replicate: Replicate number of each row, length `n`.
        """
        values = np.array(self.world.outcome(questions, replicate), dtype=float)
        chances = (
            [
                chance_of_failure(self.seed, key, number)
                for key, number in zip(questions.keys(), replicate, strict=True)
            ]
            if self.failure_rate
            else [1.0] * len(questions)
        )
        fails = np.array(chances, dtype=float) < self.failure_rate
        read = report(self.protocol, self.world.readouts, values, fails)
        return Observations(questions, self.world.readouts, *read)


def report(
    protocol: Protocol,
    readouts: tuple[str, ...],
    values: NDArray[np.float64],
    fails: NDArray[np.bool_],
) -> tuple[NDArray[np.float64], NDArray[np.int8], NDArray[np.object_]]:
    """Return values, censoring and statuses as the lab would report them, `n x m`.

    Args:
        protocol: Says at which limits values are censored, at which bounds flagged.
        readouts: Names, length `m`.
        values: What happened, `n x m`; NaN where there is nothing.
        fails: Experiments that fail, length `n`.
    """
    values = values.copy()
    statuses = np.full(values.shape, Status.OK, dtype=object)
    statuses[np.isnan(values)] = Status.MISSING
    censoring = np.zeros(values.shape, dtype=np.int8)
    for j, name in enumerate(readouts):
        _report(protocol.readout(name), values[:, j], statuses[:, j], censoring[:, j])
    values[fails], statuses[fails], censoring[fails] = np.nan, Status.FAILED, 0
    return values, censoring, statuses


def chance_of_failure(seed: int, key: bytes, replicate: int) -> float:
    """Return a number in [0, 1) below which the rate makes an experiment fail."""
    return _chance(f"{seed}/{replicate}/".encode() + key)


def refuse_curves(protocol: Protocol) -> None:
    """Refuse what no world plays yet.

    Raises:
        ProtocolError: If a readout is a curve.
    """
    for readout in protocol.readouts:
        if readout.kind is ReadoutKind.CURVE:
            raise ProtocolError(
                "A virtual lab plays one number per readout; got the curve "
                f"{readout.name!r} in protocol {protocol.name!r}. Declare a summary of "
                "it as a scalar readout."
            )


def _report(
    readout: Readout,
    values: NDArray[np.float64],
    statuses: NDArray[np.object_],
    censoring: NDArray[np.int8],
) -> None:
    """Write into the columns what the lab's rules make of one readout's values."""
    if readout.bounds is not None:
        low, high = readout.bounds
        statuses[(values < low) | (values > high)] = Status.OUT_OF_BOUNDS
    limit = readout.detection_limit
    if limit is not None and limit.below is not None:
        is_below = values < limit.below
        statuses[is_below], censoring[is_below] = Status.BELOW, -1
        values[is_below] = limit.below
    if limit is not None and limit.above is not None:
        is_above = values > limit.above
        statuses[is_above], censoring[is_above] = Status.ABOVE, 1
        values[is_above] = limit.above


def _chance(key: bytes) -> float:
    """Return a number in [0, 1) that depends on the key alone."""
    return int.from_bytes(hashlib.sha256(key).digest()[:8]) / 2**64
