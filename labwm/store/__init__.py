"""The ledger and the object store: the one stateful place."""

from labwm.store.engine import shown_address
from labwm.store.ledger import Ledger
from labwm.store.machines import ApprovalState, SubmissionState, WellState
from labwm.store.objects import ObjectStore, open_objects
from labwm.store.views import (
    BatchView,
    CampaignView,
    EventView,
    JobView,
    Overview,
    Principal,
    Revision,
    Verified,
)
from labwm.store.writer import Writer

__all__ = [
    "ApprovalState",
    "BatchView",
    "CampaignView",
    "EventView",
    "JobView",
    "Ledger",
    "ObjectStore",
    "Overview",
    "Principal",
    "Revision",
    "SubmissionState",
    "Verified",
    "WellState",
    "Writer",
    "open_objects",
    "shown_address",
]
