"""Jobs for a lab, and what labs answer."""

from enum import StrEnum
from typing import Literal

from pydantic import AwareDatetime, Field, model_validator

from labwm.schema.measurement import Conditions, Origin, Value
from labwm.schema.plate import PlateLayout
from labwm.schema.record import Name, Record, Sha256, sha256_of
from labwm.schema.stock import is_none


class Well(Record):
    """One place of a job: conditions to be measured once."""

    name: str
    """On a plate its place, such as `B7`."""
    proposal_id: str | None
    """None for the wells of a control."""
    conditions: Conditions
    replicate: int = Field(default=0, ge=0)
    control: Name | None = Field(default=None, exclude_if=is_none)
    """Name of the control that it belongs to; no experiment then."""

    @model_validator(mode="after")
    def _is_of_a_proposal_or_a_control(self) -> "Well":
        if (self.proposal_id is None) == (self.control is None):
            raise ValueError(
                f"a well is of a proposal or of a control; {self.name!r} is of "
                f"{self.proposal_id!r} and {self.control!r}. Give one of them"
            )
        return self


class Job(Record):
    """A batch of wells for one lab, under one submission key for ever."""

    submission_key: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{7,63}$")
    campaign_id: str
    round: int = Field(ge=0)
    lab: Name
    protocol_name: Name
    protocol_version: int
    protocol_sha256: Sha256
    wells: tuple[Well, ...] = Field(min_length=1)
    plate: PlateLayout | None = Field(default=None, exclude_if=is_none)

    @model_validator(mode="after")
    def _wells_are_distinct(self) -> "Job":
        names = [well.name for well in self.wells]
        if len(set(names)) < len(names):
            raise ValueError(
                f"each well of a job has its own name; got {names}. Rename"
            )
        if self.plate is not None:
            beyond = [name for name in names if not self.plate.has(name)]
            if beyond:
                raise ValueError(
                    f"the wells of a plate are named by its places; got {beyond}. "
                    "Lay the job out again"
                )
        return self

    @property
    def conditions(self) -> tuple[Conditions, ...]:
        """Conditions of each well, the controls' too."""
        return tuple(well.conditions for well in self.wells)

    @property
    def content_sha256(self) -> str:
        """What an approval binds to: all but the submission key."""
        return sha256_of(self.model_dump(mode="json", exclude={"submission_key"}))


class JobState(StrEnum):
    """How a lab sees a job."""

    UNKNOWN = "unknown"
    """The lab knows no job by this key."""
    ACCEPTED = "accepted"
    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"
    CANCELLED = "cancelled"


class JobStatus(Record):
    """A lab's answer to how a job stands."""

    submission_key: str
    state: JobState
    n_done: int = Field(default=0, ge=0)
    n_wells: int = Field(default=0, ge=0)
    message: str = ""


class Acknowledgement(Record):
    """A lab's answer to a submission."""

    submission_key: str
    external_id: str
    is_duplicate: bool
    """The lab had accepted this key before; nothing was started twice."""


class WellResult(Record):
    """What a lab says of one well; the same bytes again change nothing."""

    submission_key: str
    well: str
    readouts: dict[str, Value]
    origin: Origin
    revision: int = Field(default=0, ge=0)
    measured_at: AwareDatetime | None = None
    duration: float | None = Field(default=None, ge=0)
    """Seconds of work."""
    raw_sha256: Sha256 | None = None
    """Of the bytes in which the lab said so: a file, or a part of its answer."""


class Notice(Record):
    """A lab says, without being asked, that there is something to collect."""

    type: Literal["results"]
    submission_key: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{7,63}$")


class NoticeTaken(Record):
    """A notice was taken; the campaign looks soon."""

    submission_key: str
    campaign_id: str


class Capabilities(Record):
    """What a lab can do; one conformance suite proves each claim."""

    dedup_by_key: bool
    """The same key submitted twice starts one job."""
    query_by_key: bool
    """It says of any key whether it has a job under it."""
    refuse_key: bool
    """It can be told never to accept a key."""
    cancel: bool
    """It can be asked to stop, and starts no further well then."""
    partial_results: bool
    """Results of some wells are there before those of all."""
    push: bool
    """It posts a signed notice when there is something to collect."""
    computes: bool
    """It has no instrument of its own: `work` must be called for jobs to proceed."""
