"""Look after the models: were they honest, and would another recipe do better?"""

from prefect import flow, get_run_logger, task
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from labwm import campaign
from labwm.campaign import ModelReview
from labwm.errors import LabwmError
from labwm.schema.flow_forms import RetrainForm

DEFAULT = RetrainForm()


@flow(name="evaluate", flow_run_name="evaluate-all")
def evaluate() -> State:
    """Compare what every campaign predicted with what was measured afterwards."""
    rows = campaign.calibrations()
    create_table_artifact(
        key="calibration",
        table=[
            {
                "campaign": row.campaign_id,
                "state": row.state.value,
                "readout": row.so_far.readout,
                "predictions scored": row.so_far.n,
                "inside their 90 % interval": row.so_far.n_inside_90,
                "coverage": round(row.so_far.coverage_90, 3),
                "coverage, 95 % interval": (
                    f"{row.so_far.low:.2f} to {row.so_far.high:.2f}"
                ),
                "verdict": row.verdict,
            }
            for row in rows
        ],
        description="Predictions stored before measuring, against what was measured",
    )
    return Completed(name="Done", message=f"{len(rows)} readouts of campaigns scored")


# A review is stored once per data; Prefect neither retries nor caches it.
@task(name="review", cache_policy=NO_CACHE, retries=0)
def review(campaign_id: str) -> ModelReview:
    """Compare champion and challenger on one campaign and show what was found."""
    found = campaign.review(campaign_id)
    create_markdown_artifact(
        key=f"model-{campaign_id}",
        markdown=campaign.model_note(campaign_id),
        description=f"{found.verdict}: {found.why}",
    )
    return found


@flow(name="retrain", flow_run_name="retrain-all")
def retrain(form: RetrainForm = DEFAULT) -> State:
    """Fit each open campaign's model by both recipes and compare them on its past.

    Args:
        form: Which campaigns.
    """
    found: list[str] = []
    broken: list[str] = []
    for campaign_id in campaign.open_ids():
        if form.only_due and not campaign.is_due_for_review(campaign_id):
            continue
        try:
            found.append(f"{campaign_id}: {review(campaign_id).verdict}")
        except LabwmError as error:  # the other campaigns go on
            broken.append(f"{campaign_id}: {error}")
    get_run_logger().info("; ".join(found + broken) or "nothing to review")
    if broken:
        return Failed(message="; ".join(broken))
    return Completed(name="Done", message="; ".join(found) or "nothing to review")
