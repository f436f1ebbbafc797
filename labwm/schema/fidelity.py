"""How far a virtual lab ranks policies as the real one does, as a record to keep."""

from pydantic import Field

from labwm.schema.record import Record, Sha256


class PolicyValue(Record):
    """What one policy of the panel returned in both labs."""

    policy: str
    virtual: float
    virtual_error: float | None = Field(default=None, ge=0)
    """Standard error over seeds; None where one was played."""
    real: float
    real_error: float | None = Field(default=None, ge=0)


class FidelityFigure(Record):
    """One measure of agreement, beside what the real lab's own noise would give."""

    metric: str
    value: float | None
    """None where it is not defined: a lab in which all policies return the same."""
    low: float | None = None
    high: float | None = None
    floor: float | None = None
    """The same measure between two halves of the real seeds."""
    aim: float | None = None
    """At least so much of a correlation, at most so much of a loss."""

    @property
    def is_met(self) -> bool | None:
        """Is the aim met? None where there is no aim, or no value."""
        if self.aim is None or self.value is None:
            return None
        if self.metric in CORRELATIONS:
            return self.value >= self.aim
        return self.value <= self.aim


CORRELATIONS = frozenset({"pearson", "spearman", "kendall"})


class FidelityReport(Record):
    """Agreement of one world model with one measured table.

    A gate reads `figures` and `meets_aims`; everything that decides them is named.
    """

    recipe: str
    """Of the world model."""
    data: str
    data_sha256: Sha256
    protocol_name: str
    behaviour: str
    n_log: int = Field(ge=1)
    n_logs: int = Field(ge=1)
    n_seeds: int = Field(ge=1)
    budget: int = Field(ge=1)
    returned: str
    """What a policy is valued by: `area` or `best`."""
    is_bounded: bool
    n_apart: int = Field(ge=1)
    """Policies more than two standard errors apart in the real lab."""
    policies: tuple[PolicyValue, ...]
    """Means over logs."""
    figures: tuple[FidelityFigure, ...]

    def figure(self, metric: str) -> FidelityFigure | None:
        """Return the figure of that name, if there is one."""
        return next((f for f in self.figures if f.metric == metric), None)

    @property
    def meets_aims(self) -> bool:
        """Is every aim met? Not so where a figure with an aim is undefined."""
        return all(f.is_met for f in self.figures if f.aim is not None)
