"""A plate as a protocol declares it, and as a job lays it out."""

import re
from collections import Counter
from typing import Annotated

from pydantic import Field, model_validator

from labwm.schema.record import Name, Record, Scalar
from labwm.schema.stock import Quantity

WellName = Annotated[str, Field(pattern=r"^[A-Z]{1,2}[1-9][0-9]?$")]
"""A place on a plate: a row's letters and a column's number, such as `B7`."""


def well_name(row: int, column: int) -> str:
    """Return the name of a place, counted from 0; the rows after Z are AA, AB, …."""
    letters = chr(ord("A") + row % 26)
    return f"{'A' if row >= 26 else ''}{letters}{column + 1}"


def place_of(name: str) -> tuple[int, int] | None:
    """Return row and column of a place, from 0; None if the name is none."""
    if not (match := re.fullmatch(r"(A?)([A-Z])([1-9][0-9]?)", name)):
        return None
    row = ord(match[2]) - ord("A") + (26 if match[1] else 0)
    return row, int(match[3]) - 1


class Grid(Record):
    """Rows and columns of a plate."""

    rows: int = Field(ge=1, le=52)
    columns: int = Field(ge=1, le=99)

    @property
    def places(self) -> tuple[str, ...]:
        """Names of every place, down the first column first, as people pipette."""
        return tuple(
            well_name(row, column)
            for column in range(self.columns)
            for row in range(self.rows)
        )

    def has(self, name: str) -> bool:
        """Is there a place of this name?"""
        place = place_of(name)
        return place is not None and place[0] < self.rows and place[1] < self.columns


class PlateLayout(Grid):
    """The plate of a job: its wells are named by their places."""

    seed: int = Field(ge=0)
    """Of the random order in which wells were given their places."""


class Control(Record):
    """Wells with known conditions on every plate; no model learns from them."""

    name: Name
    conditions: dict[str, Scalar] = Field(min_length=1)
    wells: tuple[WellName, ...] = ()
    """Fixed places; or none, and `count` wells are placed at random."""
    count: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _is_somewhere(self) -> "Control":
        if bool(self.wells) == bool(self.count):
            raise ValueError(
                f"a control has either fixed wells or a count; {self.name!r} has wells "
                f"{list(self.wells)} and count {self.count}. Give one of them"
            )
        return self

    @property
    def n_wells(self) -> int:
        """Wells that it takes."""
        return len(self.wells) or self.count


class Plate(Grid):
    """The plate that every batch goes to."""

    controls: tuple[Control, ...] = ()
    replicates: int = Field(default=1, ge=1)
    """Wells of each experiment, at least."""
    unused: tuple[WellName, ...] = ()
    """Places that stay empty, such as corners."""
    well_volume: Quantity | None = None
    """What one well holds; the volumes of the stocks in it must not exceed it."""

    @model_validator(mode="after")
    def _fits(self) -> "Plate":
        _refuse_twice("control", [control.name for control in self.controls])
        fixed = [name for control in self.controls for name in control.wells]
        _refuse_twice("place", [*fixed, *self.unused])
        if beyond := [name for name in (*fixed, *self.unused) if not self.has(name)]:
            raise ValueError(
                f"places lie on the plate of {self.rows} x {self.columns}; got "
                f"{beyond}. Correct them, or the plate's size"
            )
        if self.n_free < self.replicates:
            raise ValueError(
                "a plate has room for one experiment beside its controls; "
                f"{max(self.n_free, 0)} wells are left. Use fewer controls"
            )
        return self

    @property
    def n_free(self) -> int:
        """Wells that are left for experiments."""
        taken = sum(control.n_wells for control in self.controls)
        return self.rows * self.columns - len(self.unused) - taken


def _refuse_twice(what: str, names: list[str]) -> None:
    if twice := sorted(name for name, n in Counter(names).items() if n > 1):
        raise ValueError(f"each {what} stands once on a plate; got {twice} twice")
