"""What is observed, and what it is wanted for."""

from enum import StrEnum

from pydantic import Field, model_validator

from labwm.schema.record import Name, Record, Seconds
from labwm.schema.stock import is_empty


class ReadoutKind(StrEnum):
    """The shape of one observation."""

    SCALAR = "scalar"
    CURVE = "curve"
    PASS_FAIL = "pass_fail"


class DetectionLimit(Record):
    """Values outside are not numbers but `<below` or `>above`."""

    below: float | None = None
    above: float | None = None


class Axis(Record):
    """What a curve runs over."""

    name: Name
    unit: str | None = None
    column: str | None = None
    """Column of a table that holds it; the axis' name when not given."""
    curve: tuple[str, ...] = Field(default=(), exclude_if=is_empty)
    """Columns that tell curves of equal conditions apart: replicate, well, run."""


class Readout(Record):
    """One observed quantity."""

    name: Name
    column: str | None = None
    """Column of a table that holds it; the readout's name when not given."""
    unit: str | None = None
    kind: ReadoutKind = ReadoutKind.SCALAR
    over: Axis | None = None
    bounds: tuple[float, float] | None = None
    """Values outside are kept with the status `out_of_bounds`, never dropped."""
    detection_limit: DetectionLimit | None = None
    replicates: int = Field(default=1, ge=1)
    """Replicates measured per experiment."""
    noise_sd: float | None = Field(default=None, gt=0)
    """Known standard deviation of a replicate, in `unit`, if any."""

    @model_validator(mode="after")
    def _curve_runs_over_something(self) -> "Readout":
        if (self.kind is ReadoutKind.CURVE) != (self.over is not None):
            raise ValueError(
                f"a curve, and only a curve, says what it runs over; {self.name!r} is "
                f"{self.kind} with over={self.over}. Add or remove `over`"
            )
        if self.bounds and not self.bounds[0] < self.bounds[1]:
            raise ValueError(
                f"the lower bound of {self.name!r} must be below the upper; got "
                f"{list(self.bounds)}. Swap or widen them"
            )
        return self


class Goal(StrEnum):
    """The direction in which a readout is better."""

    MAXIMISE = "maximise"
    MINIMISE = "minimise"
    MATCH = "match"


class Objective(Record):
    """What a readout is wanted for."""

    readout: Name
    goal: Goal
    target: float | None = None
    """With `match`: the value to come close to, in the readout's unit."""
    summary: str | None = None
    """With a curve: the number taken from it, such as `initial_rate`."""
    reference: float | None = None
    """Worst value still of interest, on the goal's scale: hypervolume counts from it.

    With `match` it is the largest distance from the target still of interest.
    """

    @model_validator(mode="after")
    def _match_has_a_target(self) -> "Objective":
        if (self.goal is Goal.MATCH) != (self.target is not None):
            raise ValueError(
                f"the goal match, and only it, has a target; {self.readout!r} has goal "
                f"{self.goal} and target {self.target}. Add or remove `target`"
            )
        return self


class OutcomeConstraint(Record):
    """A readout that must stay within limits for an experiment to count."""

    readout: Name
    at_least: float | None = None
    at_most: float | None = None


class Fidelity(Record):
    """A cheaper way to the same readout."""

    name: Name
    cost_ratio: float = Field(gt=0)
    readout: Name
    until: Seconds | None = None
