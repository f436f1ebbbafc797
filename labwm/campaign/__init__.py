"""The use-cases: plain functions, record in, record out. Every door registers these."""

from labwm.campaign.access import (
    LOCAL_PERSON,
    authenticate,
    create_key,
    list_keys,
    revoke_key,
)
from labwm.campaign.advance import advance, open_ids
from labwm.campaign.agents import predict, suggest
from labwm.campaign.alarms import unfreeze
from labwm.campaign.amending import amend, amendments
from labwm.campaign.approval import decide
from labwm.campaign.database import (
    backup_database,
    doctor,
    downgrade_database,
    upgrade_database,
    verify_database,
)
from labwm.campaign.dispatch import check_lab, install_lab, list_labs, work_lab
from labwm.campaign.doorbell import ring
from labwm.campaign.doubt import settle
from labwm.campaign.evaluating import CampaignCalibration, calibrations
from labwm.campaign.late import awaited_ids
from labwm.campaign.model_notes import model_note
from labwm.campaign.notes import round_note
from labwm.campaign.notices import take_notice
from labwm.campaign.opening import open_campaign
from labwm.campaign.proposing import propose, submit
from labwm.campaign.protocols import protocol_of
from labwm.campaign.recipes import RECIPES, Champion, Use, champions, promote, roll_back
from labwm.campaign.references import Reference, attach_reference
from labwm.campaign.reporting import drawing, report
from labwm.campaign.reviewing import ModelReview, is_due_for_review, review
from labwm.campaign.spending import raise_budget, supply
from labwm.campaign.status import batch, list_campaigns, measurements, status
from labwm.campaign.steering import close, pause, resume
from labwm.campaign.tracing import trace
from labwm.campaign.typed_results import typed_values

__all__ = [
    "LOCAL_PERSON",
    "RECIPES",
    "CampaignCalibration",
    "Champion",
    "ModelReview",
    "Reference",
    "Use",
    "advance",
    "amend",
    "amendments",
    "attach_reference",
    "authenticate",
    "awaited_ids",
    "backup_database",
    "batch",
    "calibrations",
    "champions",
    "check_lab",
    "close",
    "create_key",
    "decide",
    "doctor",
    "downgrade_database",
    "drawing",
    "install_lab",
    "is_due_for_review",
    "list_campaigns",
    "list_keys",
    "list_labs",
    "measurements",
    "model_note",
    "open_campaign",
    "open_ids",
    "pause",
    "predict",
    "promote",
    "propose",
    "protocol_of",
    "raise_budget",
    "report",
    "resume",
    "review",
    "revoke_key",
    "ring",
    "roll_back",
    "round_note",
    "settle",
    "status",
    "submit",
    "suggest",
    "supply",
    "take_notice",
    "trace",
    "typed_values",
    "unfreeze",
    "upgrade_database",
    "verify_database",
    "work_lab",
]
