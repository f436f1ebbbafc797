"""Open a campaign and move it until it has to wait; run it again to move it on."""

from prefect import flow, get_run_logger, task
from prefect.artifacts import create_markdown_artifact, create_progress_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from labwm import campaign
from labwm.errors import LabwmError
from labwm.schema import CampaignSpec, Step


# The ledger makes a step safe to repeat; Prefect neither retries nor caches it.
@task(name="advance", cache_policy=NO_CACHE, retries=0)
def advance(campaign_id: str) -> Step:
    """Move the campaign by one step and show the round as an artifact."""
    step = campaign.advance(campaign_id, progress=get_run_logger().info)
    create_markdown_artifact(
        key=f"campaign-{campaign_id}",
        markdown=campaign.round_note(campaign_id),
        description=f"Round {step.round} of {campaign_id}",
    )
    create_progress_artifact(
        progress=100 * min(1.0, step.n_measured / step.budget),
        description=f"{step.n_measured} of {step.budget} experiments measured",
    )
    return step


@flow(name="campaign", flow_run_name="{spec.name}")
def run_campaign(spec: CampaignSpec) -> State:
    """Open a campaign (once per name) and move it until it waits.

    Args:
        spec: What to measure, where, and how much of it.
    """
    campaign_id = campaign.open_campaign(spec)
    while (step := advance(campaign_id)).is_moving:
        pass
    return Completed(name=step.waits_for, message=step.link)


@flow(name="advance", flow_run_name="advance-all")
def advance_all() -> State:
    """Move every open campaign until each waits; on a schedule and by doorbell."""
    moved, stuck = 0, []
    for campaign_id in campaign.open_ids():
        try:
            while (step := advance(campaign_id)).is_moving:
                pass
        except LabwmError as error:
            # One campaign in trouble keeps no other waiting.
            stuck.append(f"{campaign_id}: [{error.code}] {error}")
            get_run_logger().error(stuck[-1])
            continue
        moved += 1
        get_run_logger().info("%s: %s", campaign_id, step.waits_for)
    if stuck:
        return Failed(message=f"{moved} moved, {len(stuck)} not. " + " ".join(stuck))
    return Completed(name="Done", message=f"{moved} open campaigns moved")
