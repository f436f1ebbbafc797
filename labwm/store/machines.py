"""The state machines that the database enforces, as data.

A machine's legal steps are rows of `<name>_legal`; a step taken is a row of
`<name>_moves`, tied by foreign keys to a legal step and to the step before it. An
illegal, repeated or gapped step is therefore refused by the database itself.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from labwm.schema import CampaignState

NEW: Final = "new"
"""State of what does not exist yet; each first step starts from it."""


class ApprovalState(StrEnum):
    """How the approval of a batch stands."""

    DRAFTED = "drafted"
    AWAITING = "awaiting"
    APPROVED = "approved"
    REJECTED = "rejected"
    EXPIRED = "expired"


class SubmissionState(StrEnum):
    """How the submission of a job stands, as far as we know."""

    RESERVED = "reserved"
    SUBMITTING = "submitting"
    IN_DOUBT = "in_doubt"
    ACCEPTED = "accepted"
    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"
    CANCELLED = "cancelled"


class WellState(StrEnum):
    """What became of a well."""

    PLANNED = "planned"
    MEASURED = "measured"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXCLUDED = "excluded"


ENDED: Final = frozenset(
    {SubmissionState.FINISHED, SubmissionState.FAILED, SubmissionState.CANCELLED}
)
"""States in which a lab does nothing more for a job."""


@dataclass(frozen=True)
class Machine:
    """One kind of subject and the steps that it may take."""

    name: str
    subject: tuple[str, ...]
    """Columns that name one subject."""
    legal: frozenset[tuple[str, str]]
    """Pairs of state before and state after."""

    def after(self, state: str) -> list[str]:
        """Return the states that may follow."""
        return sorted(to for start, to in self.legal if start == state)


def _machine(name: str, subject: tuple[str, ...], steps: dict[str, str]) -> Machine:
    pairs = ((str(start), to) for start, ends in steps.items() for to in ends.split())
    return Machine(name, subject, frozenset(pairs))


CAMPAIGN: Final = _machine(
    "campaign",
    ("campaign_id",),
    {
        NEW: CampaignState.OPEN,
        CampaignState.OPEN: "done stopped",
        CampaignState.STOPPED: CampaignState.OPEN,
        # A person raised the budget.
        CampaignState.DONE: CampaignState.OPEN,
    },
)

APPROVAL: Final = _machine(
    "approval",
    ("batch_id",),
    {
        NEW: ApprovalState.DRAFTED,
        ApprovalState.DRAFTED: "awaiting expired",
        ApprovalState.AWAITING: "approved rejected expired",
        ApprovalState.APPROVED: ApprovalState.EXPIRED,
    },
)

SUBMISSION: Final = _machine(
    "submission",
    ("submission_key",),
    {
        NEW: SubmissionState.RESERVED,
        SubmissionState.RESERVED: "submitting cancelled",
        SubmissionState.SUBMITTING: "accepted in_doubt failed",
        SubmissionState.IN_DOUBT: (
            "submitting accepted running finished failed cancelled"
        ),
        SubmissionState.ACCEPTED: "running finished failed cancelled in_doubt",
        SubmissionState.RUNNING: "finished failed cancelled in_doubt",
    },
)

WELL: Final = _machine(
    "well",
    ("submission_key", "well"),
    {
        NEW: WellState.PLANNED,
        WellState.PLANNED: "measured failed cancelled",
        WellState.MEASURED: "failed excluded",
        WellState.FAILED: "measured excluded",
        WellState.CANCELLED: "measured failed",
        WellState.EXCLUDED: "measured failed",
    },
)

MACHINES: Final = (CAMPAIGN, APPROVAL, SUBMISSION, WELL)
