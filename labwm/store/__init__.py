"""The ledger and the object store: the one stateful place."""

from labwm.store.ledger import Ledger
from labwm.store.machines import ApprovalState, SubmissionState, WellState
from labwm.store.migrate import backup, current_revision, upgrade
from labwm.store.objects import Objects
from labwm.store.views import (
    Revision,
    StoredBatch,
    StoredCampaign,
    StoredEvent,
    StoredJob,
    Verified,
)
from labwm.store.writer import Writer

__all__ = [
    "ApprovalState",
    "Ledger",
    "Objects",
    "Revision",
    "StoredBatch",
    "StoredCampaign",
    "StoredEvent",
    "StoredJob",
    "SubmissionState",
    "Verified",
    "WellState",
    "Writer",
    "backup",
    "current_revision",
    "upgrade",
]
