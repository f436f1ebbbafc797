"""Open a campaign and move it until it has to wait; run it again to move it on."""

import time
from datetime import UTC, datetime
from typing import Final

from prefect import flow, get_run_logger, task
from prefect.artifacts import create_markdown_artifact, create_progress_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.deployments import run_deployment
from prefect.exceptions import ObjectNotFound
from prefect.states import Completed, Failed

from labwm import campaign
from labwm.errors import LabwmError, LeaseHeldError
from labwm.schema import CampaignSpec, Step, WaitsFor

PATIENCE_S: Final = 600.0
"""How long a campaign's run lets another mover finish its round."""


# The ledger makes a step safe to repeat; Prefect neither retries nor caches it.
@task(name="advance", cache_policy=NO_CACHE, retries=0)
def advance(campaign_id: str, patience_s: float) -> Step | None:
    """Move the campaign by one step and show the round as an artifact.

    Returns:
        What it waits for; none if somebody else is moving it for all that time.
    """
    step = _advance_when_free(campaign_id, patience_s)
    if step is None:
        return None
    create_markdown_artifact(
        key=f"campaign-{campaign_id}",
        markdown=campaign.round_note(campaign_id),
        description=f"Round {step.round} of {campaign_id}",
    )
    create_progress_artifact(
        progress=100 * min(1.0, step.n_measured / step.budget),
        description=f"{step.n_measured} of {step.budget} experiments measured",
    )
    if campaign.is_due_for_review(campaign_id):
        _ask_for_review(campaign_id)
    return step


def _ask_for_review(campaign_id: str) -> None:
    """Start `retrain` for campaigns with enough new data; once an hour is enough."""
    try:
        run_deployment(
            "retrain/retrain",
            parameters={"form": {"only_due": True}},
            timeout=0,
            as_subflow=False,
            idempotency_key=f"due-{campaign_id}-{datetime.now(UTC):%Y%m%d%H}",
        )
    except ObjectNotFound:  # a flow run by hand: nothing is deployed here
        get_run_logger().info("%s is due for review: run `retrain`", campaign_id)


def _advance_when_free(campaign_id: str, patience_s: float) -> Step | None:
    deadline = time.monotonic() + patience_s
    while True:
        try:
            return campaign.advance(campaign_id, progress=get_run_logger().info)
        except LeaseHeldError as error:
            if time.monotonic() > deadline:
                get_run_logger().info("%s: %s", campaign_id, error)
                return None
        time.sleep(1.0)


def _move(campaign_id: str, *, patience_s: float) -> Step | None:
    while (step := advance(campaign_id, patience_s)) and step.is_moving:
        pass
    return step


@flow(name="campaign", flow_run_name="{spec.name}")
def run_campaign(spec: CampaignSpec) -> State:
    """Open a campaign (once per name) and move it until it waits.

    Args:
        spec: What to measure, where, and how much of it.
    """
    campaign_id = campaign.open_campaign(spec)
    step = _move(campaign_id, patience_s=PATIENCE_S)
    if step is None:
        return Completed(
            name="MovedByAnother", message=f"{campaign_id} is moved by another run"
        )
    if step.waits_for is WaitsFor.PERSON:
        return Completed(name=step.waits_for, message=f"{step.link} {step.did}")
    return Completed(name=step.waits_for, message=step.link)


@flow(name="advance", flow_run_name="advance-all")
def advance_all() -> State:
    """Move every open campaign until each waits; on a schedule and by doorbell.

    Closed ones whose lab may still send results take them in.
    """
    stood: list[str] = []
    broken: list[str] = []
    for campaign_id in (*campaign.open_ids(), *campaign.awaited_ids()):
        try:
            step = _move(campaign_id, patience_s=0.0)
        except LabwmError as error:  # the other campaigns go on
            broken.append(f"{campaign_id}: {error}")
        else:
            stood.append(f"{campaign_id}: {step.waits_for if step else 'moving'}")
    if broken:
        return Failed(message="; ".join(broken))
    return Completed(name="Done", message="; ".join(stood) or "no campaign is open")
