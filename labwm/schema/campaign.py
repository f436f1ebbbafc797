"""A campaign as a scientist starts it, and how it stands."""

from enum import StrEnum
from typing import Literal

from pydantic import Field

from labwm.schema.record import Record

PolicyName = Literal[
    "active_learning",
    "default",
    "expected_improvement",
    "greedy",
    "hypervolume_improvement",
    "improvement_per_cost",
    "random",
    "space_filling",
    "thompson",
]
"""Ways to choose experiments: the names that `design.propose` knows."""


class CampaignSpec(Record):
    """Everything needed to start a campaign; the form in the UI shows these fields."""

    name: str = Field(
        title="Campaign name",
        pattern=r"^[a-z0-9][a-z0-9-]{2,39}$",
        description="3 to 40 lower case letters, digits and '-'",
    )
    protocol: str = Field(
        title="Protocol",
        description="Name of a shipped protocol, or the path of a protocol file",
        min_length=1,
    )
    lab: Literal["protocol", "virtual", "replay", "xtb", "folder", "http"] = Field(
        default="protocol",
        title="Lab",
        description="Where experiments run; 'protocol' takes the lab that it names",
    )
    data: str | None = Field(
        default=None,
        title="Data set or table",
        description="Catalogue name or file: what replay plays, what virtual learns",
    )
    policy: PolicyName = Field(
        default="default",
        title="Policy",
        description="How experiments are chosen; 'default' is what labwm advises",
    )
    budget: int = Field(
        default=48,
        title="Budget [experiments]",
        ge=1,
        le=100_000,
        description="The campaign is done when so many were measured or have failed",
    )
    batch_size: int | None = Field(
        default=None,
        title="Batch size [experiments]",
        ge=1,
        le=10_000,
        description="The protocol's batch size when not given",
    )
    n_initial: int | None = Field(
        default=None,
        title="First experiments without a model [experiments]",
        ge=1,
        description="One batch when not given",
    )
    seed: int = Field(
        default=0,
        title="Random seed",
        ge=0,
        lt=2**31,
        description="The same seed, protocol and results choose the same experiments",
    )


class CampaignState(StrEnum):
    """Where a campaign stands."""

    OPEN = "open"
    DONE = "done"
    STOPPED = "stopped"


class WaitsFor(StrEnum):
    """Why `advance` returned."""

    NOTHING = "Moving"
    APPROVAL = "AwaitingApproval"
    LAB = "AwaitingLab"
    PERSON = "AwaitingPerson"
    DONE = "Done"


class Step(Record):
    """What one `advance` did, and what the campaign waits for now."""

    campaign_id: str
    did: str
    """What happened, in words."""
    waits_for: WaitsFor
    round: int = Field(ge=0)
    n_measured: int = Field(ge=0)
    budget: int = Field(ge=1)
    link: str

    @property
    def is_moving(self) -> bool:
        """Is there more to do right now?"""
        return self.waits_for is WaitsFor.NOTHING
