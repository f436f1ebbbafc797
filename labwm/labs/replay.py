"""A lab that answers from a table: what was measured once is measured again."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from labwm.errors import LabError, NotEnoughDataError
from labwm.labs.instrument import Outcome, failed, run_in_process
from labwm.labs.spool import SpoolLab
from labwm.schema import (
    ContextParameter,
    Measurement,
    Origin,
    Protocol,
    Status,
    Value,
    Well,
    sha256_of,
)

_Key = tuple[tuple[str, float | str], ...]


def replay_lab(
    folder: Path,
    protocol: Protocol,
    measurements: Sequence[Measurement],
    *,
    name: str = "replay",
) -> SpoolLab:
    """Return a lab that plays a table, row by row.

    Replicate `r` of some conditions is their row `r` in the order of `measurements`;
    a replicate that the table lacks is a failed well, and conditions that it lacks are
    refused at submission. Rows that differ in context only (a plate) are replicates,
    unless the well states the context.

    Raises:
        NotEnoughDataError: If there are no measurements.
    """
    if not measurements:
        raise NotEnoughDataError(
            "A replay lab plays measured rows; got none. Give a table with the "
            "protocol's columns."
        )
    table = MeasuredTable(protocol, tuple(measurements))
    return SpoolLab(
        name, Origin.REPLAYED, folder, protocol.digest(), table, run_in_process
    )


@dataclass(frozen=True)
class MeasuredTable:
    """Rows of a table as an instrument."""

    protocol: Protocol
    measurements: tuple[Measurement, ...] = field(repr=False)

    @property
    def readouts(self) -> tuple[str, ...]:
        """Names of the protocol's readouts."""
        return self.protocol.readout_names

    @property
    def digest(self) -> str:
        """Digest of protocol and rows in their order."""
        return self._digest

    @cached_property
    def _digest(self) -> str:
        rows = [
            [
                m.conditions,
                {k: v.model_dump(mode="json") for k, v in m.readouts.items()},
            ]
            for m in self.measurements
        ]
        return sha256_of([self.protocol.digest(), rows])

    def check(self, well: Well) -> None:
        """Refuse conditions that no row has: nothing could come of them.

        Raises:
            LabError: If a condition is unknown, or nothing was measured there.
        """
        if unknown := set(well.conditions) - set(self.protocol.condition_names):
            raise LabError(
                f"Conditions name parameters of the protocol; got {sorted(unknown)} in "
                f"well {well.name!r}. Known: {list(self.protocol.condition_names)}."
            )
        if not self._fitting(well):
            raise LabError(
                "A replay lab measures what its table holds; no row has the conditions "
                f"{well.conditions} of well {well.name!r}. The nearest row has "
                f"{self._nearest(well)}: measure that, or choose a lab that computes."
            )

    def prepare(self) -> None:
        """A table is always ready."""

    def measure(self, well: Well) -> Outcome:
        """Return the row of these conditions and replicate."""
        rows = self._fitting(well)
        if well.replicate >= len(rows):
            reason = f"the table holds {len(rows)} replicates of these conditions"
            return failed(self, f"{reason}; got replicate {well.replicate}")
        row = rows[well.replicate]
        absent = Value(status=Status.MISSING)
        readouts = {name: row.readouts.get(name, absent) for name in self.readouts}
        return Outcome(readouts, row.duration)

    def _fitting(self, well: Well) -> list[Measurement]:
        found = self._rows.get(self._key(well.conditions), [])
        return [measurement for measurement in found if self._fits(measurement, well)]

    def _nearest(self, well: Well) -> dict[str, float | str]:
        """Return the row that differs in the fewest levels, then least in numbers."""

        def far(measurement: Measurement) -> tuple[int, float]:
            n_other, distance = 0, 0.0
            for name, wanted in well.conditions.items():
                has = measurement.conditions.get(name)
                if isinstance(wanted, str) or has is None or isinstance(has, str):
                    n_other += has != wanted
                else:
                    distance += abs(has - wanted) / (abs(has) + abs(wanted) or 1.0)
            return n_other, distance

        return min(self.measurements, key=far).conditions

    @cached_property
    def _contexts(self) -> frozenset[str]:
        parameters = self.protocol.parameters
        return frozenset(p.name for p in parameters if isinstance(p, ContextParameter))

    @cached_property
    def _rows(self) -> dict[_Key, list[Measurement]]:
        rows: dict[_Key, list[Measurement]] = {}
        for measurement in self.measurements:
            rows.setdefault(self._key(measurement.conditions), []).append(measurement)
        return rows

    def _key(self, conditions: dict[str, float | str]) -> _Key:
        chosen = [item for item in conditions.items() if item[0] not in self._contexts]
        return tuple(sorted((name, _plain(value)) for name, value in chosen))

    def _fits(self, measurement: Measurement, well: Well) -> bool:
        stated = self._contexts & set(well.conditions)
        return all(
            str(measurement.conditions.get(name)) == str(well.conditions[name])
            for name in stated
        )


def _plain(value: float | str) -> float | str:
    # -0.0 and 0.0 are one condition.
    return value if isinstance(value, str) else float(value) + 0.0
