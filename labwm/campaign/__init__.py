"""The use-cases: plain functions, record in, record out. Every door registers these."""

from labwm.campaign.access import (
    LOCAL_PERSON,
    authenticate,
    create_key,
    list_keys,
    revoke_key,
)
from labwm.campaign.advance import advance
from labwm.campaign.agents import predict, propose, submit
from labwm.campaign.agents import suggest_next as suggest
from labwm.campaign.approval import decide
from labwm.campaign.database import (
    backup_database,
    doctor,
    upgrade_database,
    verify_database,
)
from labwm.campaign.opening import open_campaign
from labwm.campaign.reporting import report
from labwm.campaign.status import list_campaigns, measurements, status

__all__ = [
    "LOCAL_PERSON",
    "advance",
    "authenticate",
    "backup_database",
    "create_key",
    "decide",
    "doctor",
    "list_campaigns",
    "list_keys",
    "measurements",
    "open_campaign",
    "predict",
    "propose",
    "report",
    "revoke_key",
    "status",
    "submit",
    "suggest",
    "upgrade_database",
    "verify_database",
]
