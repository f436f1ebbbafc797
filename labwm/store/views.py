"""What the ledger answers: frozen views of stored records and where they stand."""

from dataclasses import dataclass
from datetime import datetime

from labwm.schema import CampaignState, Job, Origin
from labwm.store.chain import Json
from labwm.store.machines import ApprovalState, SubmissionState


@dataclass(frozen=True)
class StoredCampaign:
    """A campaign as it was opened, and its state."""

    id: str
    body: Json
    """What it was opened with."""
    admits: frozenset[Origin]
    """Origins that its data set admits."""
    state: CampaignState
    reason: str | None
    """Why it took its last step, where that was said."""
    opened_at: datetime
    opened_by: str


@dataclass(frozen=True)
class StoredEvent:
    """One link of a campaign's chain."""

    seq: int
    kind: str
    body: Json
    at: datetime
    actor: str
    token: int | None
    """Of the lease under which it was written; None outside any lease."""
    sha256: str


@dataclass(frozen=True)
class StoredBatch:
    """A batch: what would be sent, and where its approval and its job stand."""

    batch_id: str
    job: Job
    """Exactly what would be sent; where it was sent again, under the last key."""
    proposal_ids: tuple[str, ...]
    approval: ApprovalState
    approval_detail: Json
    """Notes and rules that were given with the steps of the approval."""
    decided_by: str
    """Who took the last step of the approval."""
    submission: SubmissionState | None
    """None before there is a job."""
    submission_detail: Json
    is_closed: bool

    @property
    def round(self) -> int:
        """Round that it belongs to."""
        return self.job.round

    @property
    def counts_as_spent(self) -> bool:
        """Does it use the budget? All but what was rejected or expired does."""
        return self.approval not in {ApprovalState.REJECTED, ApprovalState.EXPIRED}

    @property
    def external_id(self) -> str | None:
        """The lab's own name of the job, once it acknowledged."""
        return self.submission_detail.get("external_id")


@dataclass(frozen=True)
class StoredJob:
    """A job and how its submission stands."""

    job: Job
    batch_id: str
    attempt: int
    state: SubmissionState
    detail: Json
    """What was said with its steps: `external_id`, the last `reason`."""


@dataclass(frozen=True)
class Revision:
    """An observation as it was stored; only one revision of a slot counts."""

    id: str
    slot: str
    is_current: bool
    event_seq: int


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
