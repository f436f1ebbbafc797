"""What was observed: values that keep their status, censoring and origin."""

from enum import StrEnum

from pydantic import AwareDatetime, Field, model_validator

from labwm.schema.record import Record, Scalar, Sha256


class Origin(StrEnum):
    """Where an observation comes from: fixed by the adapter, part of its hash."""

    MEASURED = "measured"
    IMPORTED = "imported"
    COMPUTED = "computed"
    REPLAYED = "replayed"
    VIRTUAL = "virtual"


class Status(StrEnum):
    """What kind of observation a value is; a missing number alone is never a state."""

    OK = "ok"
    BELOW = "below"
    """Below the detection limit that `value` holds: `<5`."""
    ABOVE = "above"
    """Above the detection limit that `value` holds: `>99`."""
    NOT_DETECTED = "not_detected"
    TRACE = "trace"
    OUT_OF_BOUNDS = "out_of_bounds"
    """A number outside the readout's declared bounds: kept and flagged."""
    MISSING = "missing"
    FAILED = "failed"
    """The experiment ran and gave no value; `reason` says why."""
    UNREADABLE = "unreadable"
    """A cell that no rule could read; `raw` keeps it."""


class Value(Record):
    """One value of one readout."""

    value: float | None = None
    """The number, or the limit for `below` and `above`; in the readout's unit."""
    status: Status = Status.OK
    raw: str | None = None
    """The cell or message as it came, where it was not a plain number."""
    reason: str | None = None

    @model_validator(mode="after")
    def _number_where_the_status_has_one(self) -> "Value":
        needs = {Status.OK, Status.BELOW, Status.ABOVE, Status.OUT_OF_BOUNDS}
        if (self.status in needs) and self.value is None:
            raise ValueError(
                f"status {self.status} needs a number; got none. Use missing or failed"
            )
        return self


Conditions = dict[str, Scalar]
"""Conditions of one experiment, keyed by `Protocol.condition_names`."""


class Measurement(Record):
    """What one replicate of one experiment gave; its digest is its identity."""

    conditions: Conditions
    readouts: dict[str, Value]
    origin: Origin
    replicate: int = Field(default=0, ge=0)
    revision: int = Field(default=0, ge=0)
    """Same job, well and replicate with another value: the next revision."""
    job_key: str | None = None
    """Submission key of the job that it answers; none for imported data."""
    well: str | None = None
    proposal_id: str | None = None
    measured_at: AwareDatetime | None = None
    duration: float | None = Field(default=None, ge=0)
    """Seconds that the lab worked on it."""
    raw_sha256: Sha256 | None = None
    """Object that holds the raw bytes it was read from."""
