"""Curves by column: conditions, and reads over time on grids of their own.

Shapes: `n` curves, `t` reads of a curve, `m` readouts. Torch-free and xarray-free.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from labwm.errors import InvalidInputError, suggest
from labwm.space.questions import Questions

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Reads:
    """Reads of one readout of one curve, in the order of time.

    Attributes:
        time: Length `t`, strictly increasing, from 0 on, in the unit of the axis.
        value: Length `t`, in the readout's unit; each is a number.

    Raises:
        InvalidInputError: If times do not increase or are negative, a value is no
            number, or the lengths differ.
    """

    time: Floats
    value: Floats

    def __post_init__(self) -> None:
        if self.time.shape != self.value.shape or self.time.ndim != 1:
            raise InvalidInputError(
                "A read is a time and a value; got the shapes "
                f"{self.time.shape} and {self.value.shape}. Pass two of one length."
            )
        refuse_times(self.time)
        if not np.isfinite(self.value).all():
            raise InvalidInputError(
                "A read has a finite value; got "
                f"{self.value[~np.isfinite(self.value)][0]}. Leave missing reads out."
            )

    def __len__(self) -> int:
        return len(self.time)

    def until(self, n: int) -> "Reads":
        """Return the first `n` reads."""
        return Reads(self.time[:n], self.value[:n])


def refuse_times(time: Floats) -> None:
    """Refuse times that no clock shows.

    Raises:
        InvalidInputError: If one is negative or not finite, or they do not increase.
    """
    if len(time) and not (np.isfinite(time).all() and time.min() >= 0.0):
        bad = time[~(np.isfinite(time) & (time >= 0.0))][0]
        raise InvalidInputError(
            f"Time counts from the start of a curve, 0 or more; got {bad:g}. Subtract "
            "the time at which it started."
        )
    if np.any(steps := np.diff(time) <= 0.0):
        at = time[int(np.argmax(steps)) + 1]
        raise InvalidInputError(
            f"The reads of a curve follow one another; got {at:g} twice or out of "
            "order. Sort them, and say what tells two curves apart."
        )


NO_READS = Reads(np.empty(0), np.empty(0))


@dataclass(frozen=True)
class Curves:
    """Many curves of the same readouts.

    Attributes:
        questions: Conditions, `n` rows.
        names: What tells curves of equal conditions apart, length `n`.
        readouts: Names, length `m`.
        times: Times of each curve's reads, `n` arrays of length `t`.
        values: Values of each curve, `n` arrays `t x m`; NaN where a read is missing.
    """

    questions: Questions
    names: tuple[str, ...]
    readouts: tuple[str, ...]
    times: tuple[Floats, ...] = field(repr=False)
    values: tuple[Floats, ...] = field(repr=False)

    def __post_init__(self) -> None:
        counts = {len(part) for part in (self.questions, self.names, self.times)}
        if counts != {len(self.values)}:
            raise InvalidInputError(
                "Each curve has conditions, a name, times and values; got "
                f"{len(self.questions)}, {len(self.names)}, {len(self.times)} and "
                f"{len(self.values)} of them."
            )
        for name, time, value in zip(self.names, self.times, self.values, strict=True):
            if value.shape != (len(time), len(self.readouts)):
                raise InvalidInputError(
                    "A curve has a value per time and readout, "
                    f"{len(time)} x {len(self.readouts)}; got {value.shape} in "
                    f"{name!r}."
                )
            refuse_times(time)

    def __len__(self) -> int:
        return len(self.names)

    def take(self, rows: ArrayLike) -> "Curves":
        """Return some of the curves, in the order asked for."""
        index = [int(i) for i in np.asarray(rows).reshape(-1)]
        return Curves(
            self.questions.take(np.array(index, dtype=int)),
            tuple(self.names[i] for i in index),
            self.readouts,
            tuple(self.times[i] for i in index),
            tuple(self.values[i] for i in index),
        )

    def reads(self, readout: str) -> list[Reads]:
        """Return each curve's reads of one readout; missing ones are left out.

        Raises:
            InvalidInputError: If there is no such readout.
        """
        if readout not in self.readouts:
            raise InvalidInputError(
                f"Curves are of {list(self.readouts)}; got {readout!r}. "
                f"{suggest(readout, self.readouts)}"
            )
        j = self.readouts.index(readout)
        return list(self._reads(j))

    def _reads(self, j: int) -> Iterator[Reads]:
        for time, value in zip(self.times, self.values, strict=True):
            is_number = np.isfinite(value[:, j])
            yield Reads(time[is_number], value[is_number, j])

    def conditions_of(self) -> tuple[NDArray[np.int64], int]:
        """Return which distinct conditions each curve has, `n`, and their number."""
        keys, numbers = self.questions.keys(), dict[bytes, int]()
        for key in keys:
            numbers.setdefault(key, len(numbers))
        return np.array([numbers[key] for key in keys], dtype=np.int64), len(numbers)

    def digest(self) -> str:
        """Return a sha256 that depends on the curves as a set, not on their order."""
        total = hashlib.sha256("/".join(self.readouts).encode())
        for one in sorted(self._digests()):
            total.update(one)
        return total.hexdigest()

    def _digests(self) -> Iterator[bytes]:
        parts = zip(
            self.questions.keys(), self.names, self.times, self.values, strict=True
        )
        for key, name, time, value in parts:
            own = hashlib.sha256(key + name.encode())
            own.update(time.astype("<f8").tobytes() + value.astype("<f8").tobytes())
            yield own.digest()


def curves_from(
    questions: Questions, names: Sequence[str], readout: str, reads: Sequence[Reads]
) -> Curves:
    """Return curves of one readout."""
    return Curves(
        questions,
        tuple(names),
        (readout,),
        tuple(one.time for one in reads),
        tuple(one.value[:, None] for one in reads),
    )
