"""Amending a running campaign: what a person asks for, and what it led to."""

from typing import Annotated, Literal

from pydantic import AwareDatetime, Field, model_validator

from labwm.schema.measurement import Conditions, Value
from labwm.schema.protocol import Protocol
from labwm.schema.readouts import Objective
from labwm.schema.record import Name, Record, Scalar, Sha256


class DropLevel(Record):
    """A level that can be had no longer: a reagent out of stock.

    It stays a level that models know, so that what was measured with it still teaches;
    an exclusion keeps it out of every new experiment.
    """

    kind: Literal["drop"] = "drop"
    parameter: Name
    level: Scalar
    """The level, or the name that people know it by."""


class AddLevel(Record):
    """A new level, or one that was dropped before."""

    kind: Literal["add"] = "add"
    parameter: Name
    level: Scalar
    label: str | None = Field(default=None, max_length=200)
    """With a molecule: the name that people know it by."""


class MoveBounds(Record):
    """Other bounds of a continuous parameter, in its unit."""

    kind: Literal["bounds"] = "bounds"
    parameter: Name
    bounds: tuple[float, float]


class SetObjectives(Record):
    """Other objectives instead of all the present ones."""

    kind: Literal["objectives"] = "objectives"
    objectives: tuple[Objective, ...] = Field(min_length=1)


class Carrying(Record):
    """How experiments of the version before are read under the new one."""

    renamed: dict[str, str] = {}
    """Condition before to condition now."""
    levels: dict[str, dict[str, Scalar]] = {}
    """Condition now to level before (as text) to level now."""
    filled: dict[str, Scalar] = {}
    """New condition to the value that it always had before."""
    left_out: tuple[str, ...] = ()
    """Conditions before that say nothing any more."""

    @property
    def is_identity(self) -> bool:
        """Does it change nothing?"""
        return not (self.renamed or self.levels or self.filled or self.left_out)


class NewVersion(Record):
    """Another version of the whole protocol."""

    kind: Literal["protocol"] = "protocol"
    protocol: Protocol
    carrying: Carrying = Carrying()


class OwnResult(Record):
    """A result of a person's own: outside any batch, or instead of what was planned."""

    kind: Literal["result"] = "result"
    conditions: Conditions
    """What was really done."""
    readouts: dict[str, Value] = Field(min_length=1)
    instead_of: str | None = Field(default=None, max_length=200)
    """Well `JOB/WELL`, or proposal, that was done differently; none for one's own."""
    measured_at: AwareDatetime | None = None


class CorrectResult(Record):
    """Other values of a stored result; the old ones are kept as an earlier revision."""

    kind: Literal["correct"] = "correct"
    observation: str = Field(min_length=3, max_length=200)
    """The result that counts now: its digest or the first 8 letters of it or more; or
    the well `JOB/WELL` or the proposal that it is of, where it is the only one."""
    readouts: dict[str, Value] = {}
    """Those that change; the others stay."""
    conditions: Conditions = {}
    """Those that change: what was really done."""

    @model_validator(mode="after")
    def _changes_something(self) -> "CorrectResult":
        if not self.readouts and not self.conditions:
            raise ValueError(
                "a correction changes a readout or a condition; got none. Name one"
            )
        return self


class RetractResult(Record):
    """A stored result that must not count; it is kept and marked."""

    kind: Literal["retract"] = "retract"
    observation: str = Field(min_length=3, max_length=200)
    """The result that counts now: its digest or the first 8 letters of it or more; or
    the well `JOB/WELL` or the proposal that it is of, where it is the only one."""


Change = Annotated[
    DropLevel
    | AddLevel
    | MoveBounds
    | SetObjectives
    | NewVersion
    | OwnResult
    | CorrectResult
    | RetractResult,
    Field(discriminator="kind"),
]


class AmendRequest(Record):
    """Amend a running campaign; only people do."""

    campaign_id: str
    changes: tuple[Change, ...] = Field(min_length=1, max_length=1000)
    """Made in this order, all or none."""
    reason: str = Field(min_length=3, max_length=2000)
    idempotency_key: str | None = Field(default=None, min_length=8, max_length=128)
    """The same key again returns the first answer; with other content it is refused."""
    dry_run: bool = False
    """Only say what would happen."""


class VersionName(Record):
    """One version of a protocol."""

    name: Name
    version: int
    sha256: Sha256


class Reasoned(Record):
    """Something named, and why it is there."""

    id: str
    why: str


class TakenIn(Record):
    """A result that an amendment stored."""

    observation_id: Sha256
    what: str
    terms: int = Field(ge=0)
    """Amendments that its conditions already follow: others are read on top."""


class Amendment(Record):
    """What an amendment did, or would do: the body of its event."""

    campaign_id: str
    number: int = Field(ge=1)
    by: str
    reason: str
    changes: tuple[Change, ...]
    before: VersionName
    after: VersionName
    carrying: Carrying
    pool_sha256: Sha256
    pool_object: Sha256
    labels_object: Sha256
    n_candidates: int
    n_carried: int
    """Results of before under which models go on learning."""
    not_carried: tuple[Reasoned, ...]
    """Results that are kept and that no model of the new version can read."""
    voided: tuple[str, ...]
    """Batches whose approval, asked for or given, is void; nothing of them was sent."""
    kept: tuple[str, ...]
    """Jobs that a lab has: their results are taken in under their own version."""
    queued_again: tuple[str, ...]
    """Proposals of voided batches and of agents that stand; they go first."""
    withdrawn: tuple[Reasoned, ...]
    """Proposals that the new version does not allow."""
    results: tuple[TakenIn, ...]
    idempotency_key: str | None = None
    request_sha256: Sha256
    is_dry_run: bool = False

    @property
    def changes_protocol(self) -> bool:
        """Is there a new version?"""
        return self.before != self.after


class ReasonRequest(Record):
    """Pause, resume or close a campaign, and why."""

    campaign_id: str
    reason: str = Field(min_length=3, max_length=2000)
