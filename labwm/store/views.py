"""What the ledger answers: frozen views of stored records and where they stand."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from labwm.schema import CampaignSpec, CampaignState, Job, Origin
from labwm.store.chain import Json
from labwm.store.content import Draft, Reservation
from labwm.store.machines import ApprovalState, SubmissionState


@dataclass(frozen=True)
class CampaignView:
    """A campaign as it was opened, and its state."""

    id: str
    spec: CampaignSpec
    protocol_name: str
    protocol_version: int
    protocol_sha256: str
    origins: frozenset[Origin]
    """Origins that its data set admits."""
    state: CampaignState
    detail: Json
    """What was said with its steps, for example the `reason` of stopping."""
    opened_at: str
    opened_by: str


@dataclass(frozen=True)
class EventView:
    """One link of a campaign's chain."""

    seq: int
    kind: str
    body: Json
    at: str
    actor: str
    token: int | None
    """Of the lease under which it was written; None outside any lease."""
    sha256: str


@dataclass(frozen=True)
class BatchView:
    """A batch put up for approval."""

    id: str
    campaign_id: str
    round: int
    proposer: str
    body: str = field(repr=False)
    """Its record, read when first asked for."""
    content_sha256: str
    """What the approval binds to."""
    state: ApprovalState
    detail: Json
    moved_by: str
    """Who took its last step: where approved, the approver."""
    moved_at: str

    @cached_property
    def job(self) -> Job:
        """Exactly what would be sent."""
        return Draft.model_validate_json(self.body).job


@dataclass(frozen=True)
class JobView:
    """A job and how its submission stands."""

    submission_key: str
    batch_id: str
    attempt: int
    body: str = field(repr=False)
    """Its record, read when first asked for."""
    state: SubmissionState
    detail: Json
    """Merged from all its steps."""
    moved_at: str

    @cached_property
    def job(self) -> Job:
        """Exactly what was sent, or is to be."""
        return Reservation.model_validate_json(self.body).job

    @property
    def external_id(self) -> str | None:
        """The lab's own name of the job, once it acknowledged."""
        value = self.detail.get("external_id")
        return None if value is None else str(value)


@dataclass(frozen=True)
class Overview:
    """How a campaign stands, in numbers that do not grow with what it measured."""

    id: str
    state: CampaignState
    head_at: str
    """When its last event was written."""
    has_jobs: bool
    """Was anything of it ever meant for a lab?"""
    tally: Mapping[str, int]
    """What became of its experiments; see `labwm.store.tallies`."""
    last: Mapping[str, EventView]
    """The last event of each kind that was asked for."""
    batch: BatchView | None
    """The last batch."""
    job: JobView | None
    """The last job of that batch."""
    since: tuple[EventView, ...]
    """Events of the kinds asked for that came after that batch."""


@dataclass(frozen=True)
class Revision:
    """An observation as it was stored; only one revision of a slot counts."""

    id: str
    slot: str
    is_current: bool
    event_seq: int


@dataclass(frozen=True)
class Principal:
    """Who holds a key."""

    name: str
    kind: Literal["person", "agent", "service"]
    scopes: frozenset[str]
    key_id: str
    is_revoked: bool = False


@dataclass(frozen=True)
class Verified:
    """What verifying a campaign went through without finding a fault."""

    campaign_id: str
    n_events: int
    head_sha256: str
    """Digest of the last event: keep it elsewhere to notice a rewritten chain."""
    n_records: int
    n_moves: int
    n_measured: int
    dataset_sha256: str
