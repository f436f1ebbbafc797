"""One encoder per condition: questions to columns on about [0, 1].

Shapes: `q` questions, `w` columns of one encoder.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from labwm.errors import SpaceError
from labwm.schema import Scale
from labwm.space.questions import Questions
from labwm.world_model.embedding import KernelPca
from labwm.world_model.molecules import distinct

Floats = NDArray[np.float64]


class ColumnEncoder(Protocol):
    """Turns one condition into columns."""

    @property
    def width(self) -> int:
        """Columns that it makes."""
        ...

    @property
    def is_tied(self) -> bool:
        """Do its columns share one lengthscale?"""
        ...

    def columns(self, questions: Questions) -> Floats:
        """Return `q x w` columns."""
        ...


@dataclass(frozen=True)
class NumberEncoder:
    """A number on its declared scale; bounds map to 0 and 1.

    A conditional parameter gets a second column that says whether it is active, and
    lies at the middle where it is not.
    """

    name: str
    low: float
    high: float
    scale: Scale
    is_conditional: bool

    @property
    def width(self) -> int:
        """One, or two where the parameter is conditional."""
        return 2 if self.is_conditional else 1

    @property
    def is_tied(self) -> bool:
        """Each column has its own lengthscale."""
        return False

    def columns(self, questions: Questions) -> Floats:
        """Return `q x w` columns.

        Raises:
            SpaceError: If a number is absent though the parameter is always active, or
                not positive on a log scale.
        """
        values = np.asarray(questions.columns[self.name], dtype=float)
        absent = np.isnan(values)
        if absent.any() and not self.is_conditional:
            raise SpaceError(
                f"The parameter {self.name!r} needs a number in every row; got none "
                f"in row {int(np.argmax(absent))}. Fill it in, or declare with a "
                "`depends` constraint when it is active."
            )
        low, high = self._on_scale(np.array([self.low, self.high]))
        scaled = (self._on_scale(values) - low) / (high - low or 1.0)
        if not self.is_conditional:
            return scaled[:, None]
        return np.stack([np.where(absent, 0.5, scaled), 1.0 - absent], axis=1)

    def _on_scale(self, values: Floats) -> Floats:
        if self.scale is Scale.LINEAR:
            return values
        floor = 0.0 if self.scale is Scale.LOG else -1.0
        if np.any(values <= floor):
            raise SpaceError(
                f"The scale {self.scale} of {self.name!r} needs numbers above "
                f"{floor:g}; got {np.nanmin(values):g}. Change the value or the scale."
            )
        return np.log(values) if self.scale is Scale.LOG else np.log1p(values)


@dataclass(frozen=True)
class NamesEncoder:
    """One column per level and one for any other name; two levels are 1 apart."""

    name: str
    levels: tuple[str, ...]

    @property
    def width(self) -> int:
        """One per level, and one for any other."""
        return len(self.levels) + 1

    @property
    def is_tied(self) -> bool:
        """Every pair of levels is equally far apart, until the data say otherwise."""
        return True

    @cached_property
    def _place(self) -> dict[str, int]:
        return {level: i for i, level in enumerate(self.levels)}

    def columns(self, questions: Questions) -> Floats:
        """Return `q x w` columns."""
        places = [
            self._place.get(str(value), len(self.levels))
            for value in questions.columns[self.name]
        ]
        return (np.eye(self.width) / np.sqrt(2.0))[places]


@dataclass(frozen=True)
class MoleculeEncoder:
    """Components that tell the molecules of one role apart."""

    name: str
    embedding: KernelPca
    is_tied: bool = False
    """Do all components share one lengthscale? Each has its own otherwise."""

    @property
    def width(self) -> int:
        """One per component."""
        return self.embedding.width

    def columns(self, questions: Questions) -> Floats:
        """Return `q x w` columns."""
        names, row = distinct(smiles_of(questions, self.name))
        return self.embedding.columns(names)[row]


@dataclass(frozen=True)
class TimeEncoder:
    """The time asked about, 0 and 1 at the first and last that was measured."""

    low: float
    high: float

    @property
    def width(self) -> int:
        """One."""
        return 1

    @property
    def is_tied(self) -> bool:
        """It has its own lengthscale."""
        return False

    def columns(self, questions: Questions) -> Floats:
        """Return `q x 1`.

        Raises:
            SpaceError: If the questions name no time.
        """
        if questions.time is None:
            raise SpaceError(
                "A model of a curve needs the time of each question; got none. Set "
                "`Questions.time`."
            )
        return ((questions.time - self.low) / (self.high - self.low or 1.0))[:, None]


@dataclass(frozen=True)
class ReadoutColumn:
    """Which readout a row is of, where one process describes several of them.

    Attributes:
        readout: Place of the readout.
        n_readouts: How many there are; two of them are 1 apart.
    """

    readout: int
    n_readouts: int

    @property
    def width(self) -> int:
        """One per readout."""
        return self.n_readouts

    @property
    def is_tied(self) -> bool:
        """Every pair is equally far apart."""
        return True

    def columns(self, questions: Questions) -> Floats:
        """Return `q x w` columns, all rows equal."""
        row = np.eye(self.n_readouts)[self.readout] / np.sqrt(2.0)
        return np.tile(row, (len(questions), 1))


def smiles_of(questions: Questions, name: str) -> Sequence[str]:
    """Return the SMILES of one parameter as text, empty where there is none."""
    return [str(value) for value in questions.columns[name]]
