"""Which combinations of conditions are allowed."""

from typing import Annotated, Literal

from pydantic import Field

from labwm.schema.record import Name, Record, Scalar


class LinearConstraint(Record):
    """`low <= sum(weight * value) <= high` over numeric columns."""

    kind: Literal["linear"]
    weights: dict[str, float] = Field(min_length=1)
    low: float | None = None
    high: float | None = None


class ExcludeConstraint(Record):
    """Conditions that may not stand together; each key lists its forbidden values."""

    kind: Literal["exclude"]
    when: dict[str, tuple[Scalar, ...]] = Field(min_length=1)


class DependsConstraint(Record):
    """A parameter that only exists while another has one of some values."""

    kind: Literal["depends"]
    parameter: Name
    on: Name
    values: tuple[Scalar, ...] = Field(min_length=1)


class CardinalityConstraint(Record):
    """At least and at most so many of some numeric columns differ from zero."""

    kind: Literal["cardinality"]
    of: tuple[str, ...] = Field(min_length=1)
    at_least: int = Field(default=0, ge=0)
    at_most: int = Field(ge=1)


Constraint = Annotated[
    LinearConstraint | ExcludeConstraint | DependsConstraint | CardinalityConstraint,
    Field(discriminator="kind"),
]
