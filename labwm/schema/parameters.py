"""What may be varied: the parameters of an experiment."""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, model_validator

from labwm.schema.record import Name, Record


class Change(StrEnum):
    """How often a parameter may take a new value: hard-to-change factors say so."""

    PER_EXPERIMENT = "per_experiment"
    PER_BATCH = "per_batch"
    PER_PLATE = "per_plate"


class Scale(StrEnum):
    """On which scale distances are meaningful."""

    LINEAR = "linear"
    LOG = "log"
    LOG1P = "log1p"


class ParameterBase(Record):
    """What every parameter has."""

    name: Name
    column: str | None = None
    """Column of a table that holds it; the parameter's name when not given."""
    unit: str | None = None
    change: Change = Change.PER_EXPERIMENT

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of a table that this parameter reads."""
        return (self.column or self.name,)


class ContinuousParameter(ParameterBase):
    """Any number between two bounds."""

    kind: Literal["continuous"]
    bounds: tuple[float, float]
    scale: Scale = Scale.LINEAR

    @model_validator(mode="after")
    def _bounds_are_ordered(self) -> "ContinuousParameter":
        low, high = self.bounds
        if not low < high:
            raise ValueError(
                f"the lower bound of {self.name!r} must be below the upper; got "
                f"[{low}, {high}]. Swap or widen them"
            )
        if self.scale is Scale.LOG and low <= 0:
            raise ValueError(
                f"a log scale needs positive bounds; {self.name!r} starts at {low}. "
                "Use log1p or a positive bound"
            )
        return self


class DiscreteParameter(ParameterBase):
    """One of some numbers."""

    kind: Literal["discrete"]
    levels: tuple[float, ...] = Field(min_length=1)
    scale: Scale = Scale.LINEAR

    @model_validator(mode="after")
    def _levels_are_distinct(self) -> "DiscreteParameter":
        _refuse_repeats(self.name, self.levels)
        return self


class CategoricalParameter(ParameterBase):
    """One of some names without an order; without `levels` they come from the table."""

    kind: Literal["categorical"]
    levels: tuple[str, ...] | None = None

    @model_validator(mode="after")
    def _levels_are_distinct(self) -> "CategoricalParameter":
        _refuse_repeats(self.name, self.levels or ())
        return self


class BuildingBlocks(Record):
    """Molecules by enumeration: a file of blocks and the rule that joins them."""

    file: str
    rule: str


class MoleculeParameter(ParameterBase):
    """A molecule, by a list of SMILES, a library file, or building blocks.

    Without any of the three the levels come from the table at hand.
    """

    kind: Literal["molecule"]
    role: str | None = None
    smiles: tuple[str, ...] | None = None
    library: str | None = None
    """A CSV or SMILES file, relative to the protocol file, with `smiles_column`."""
    building_blocks: BuildingBlocks | None = None
    smiles_column: str | None = None
    label_column: str | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of a table that this parameter reads; the SMILES comes first."""
        first = self.smiles_column or self.column or self.name
        return (first, self.label_column) if self.label_column else (first,)

    @model_validator(mode="after")
    def _has_one_source(self) -> "MoleculeParameter":
        _refuse_repeats(self.name, self.smiles or ())
        sources = [self.smiles, self.library, self.building_blocks]
        if sum(source is not None for source in sources) > 1:
            raise ValueError(
                f"{self.name!r} takes its molecules from one of smiles, library, "
                "building_blocks; got several. Keep one"
            )
        return self


class MixtureParameter(ParameterBase):
    """Fractions of some parts that sum to one."""

    kind: Literal["mixture"]
    parts: tuple[Name, ...] = Field(min_length=2)

    @model_validator(mode="after")
    def _parts_are_distinct(self) -> "MixtureParameter":
        _refuse_repeats(self.name, self.parts)
        return self

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of a table that this parameter reads: one per part."""
        return tuple(self.part_columns)

    @property
    def part_columns(self) -> tuple[str, ...]:
        """Names `mixture.part` under which conditions hold the fractions."""
        return tuple(f"{self.name}.{part}" for part in self.parts)


class ContextParameter(ParameterBase):
    """Known but not chosen: the assay, plate or batch that an experiment ran in."""

    kind: Literal["context"]


Parameter = Annotated[
    ContinuousParameter
    | DiscreteParameter
    | CategoricalParameter
    | MoleculeParameter
    | MixtureParameter
    | ContextParameter,
    Field(discriminator="kind"),
]


def _refuse_repeats(name: str, levels: tuple[object, ...]) -> None:
    if repeated := sorted({str(level) for level in levels if levels.count(level) > 1}):
        raise ValueError(
            f"the levels of {name!r} must differ; got {repeated} more than once. "
            "Remove the repeats"
        )
