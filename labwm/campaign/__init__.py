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
from labwm.campaign.approval import decide
from labwm.campaign.database import (
    backup_database,
    doctor,
    downgrade_database,
    upgrade_database,
    verify_database,
)
from labwm.campaign.dispatch import check_lab, install_lab, list_labs, work_lab
from labwm.campaign.doubt import settle
from labwm.campaign.evaluating import CampaignCalibration, calibrations
from labwm.campaign.notes import round_note
from labwm.campaign.notices import take_notice
from labwm.campaign.opening import open_campaign
from labwm.campaign.proposing import propose, submit
from labwm.campaign.protocols import protocol_of
from labwm.campaign.reporting import drawing, report
from labwm.campaign.reviewing import ModelReview, review, review_note
from labwm.campaign.spending import raise_budget, supply
from labwm.campaign.status import list_campaigns, measurements, status

__all__ = [
    "LOCAL_PERSON",
    "CampaignCalibration",
    "ModelReview",
    "advance",
    "authenticate",
    "backup_database",
    "calibrations",
    "check_lab",
    "create_key",
    "decide",
    "doctor",
    "downgrade_database",
    "drawing",
    "install_lab",
    "list_campaigns",
    "list_keys",
    "list_labs",
    "measurements",
    "open_campaign",
    "open_ids",
    "predict",
    "propose",
    "protocol_of",
    "raise_budget",
    "report",
    "review",
    "review_note",
    "revoke_key",
    "round_note",
    "settle",
    "status",
    "submit",
    "suggest",
    "supply",
    "take_notice",
    "upgrade_database",
    "verify_database",
    "work_lab",
]
