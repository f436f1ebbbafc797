"""The flows on a real Prefect server."""

import time
from datetime import UTC, datetime

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    ArtifactFilter,
    ArtifactFilterKey,
    FlowRunFilter,
    FlowRunFilterDeploymentId,
)
from prefect.deployments.runner import RunnerDeployment

from flows.campaign import advance_all, run_campaign
from labwm import campaign
from labwm.schema import CampaignSpec

pytestmark = [
    pytest.mark.prefect,
    pytest.mark.xdist_group("prefect"),
    pytest.mark.usefixtures("prefect_server"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


def test_the_campaign_flow_measures_the_budget_and_leaves_artifacts(spec: CampaignSpec):
    state = run_campaign(spec, return_state=True)
    assert state.is_completed()
    assert state.name == "Done"
    assert campaign.status("boil").summary.n_measured == 16
    with get_client(sync_client=True) as client:
        key = ArtifactFilterKey(any_=["campaign-boil"])
        artifacts = client.read_artifacts(artifact_filter=ArtifactFilter(key=key))
    assert len(artifacts) == 5
    assert any("16 of 16 experiments measured" in str(a.data) for a in artifacts)


def test_running_the_flow_again_sends_nothing_again(spec: CampaignSpec):
    run_campaign(spec, return_state=True)
    before = campaign.measurements("boil")
    assert run_campaign(spec, return_state=True).name == "Done"
    assert campaign.measurements("boil") == before


def test_advance_moves_every_open_campaign(spec: CampaignSpec):
    for name in ("one", "two"):
        campaign.open_campaign(spec.model_copy(update={"name": name, "budget": 4}))
    assert advance_all(return_state=True).is_completed()
    assert campaign.open_ids() == ()


def test_a_scheduled_deployment_gets_scheduled_runs():
    # Nothing else fails when the scheduler cannot write (SQLAlchemy 2.1 under Prefect).
    nightly = RunnerDeployment.from_flow(advance_all, name="nightly", cron="0 2 * * *")
    deployment_id = nightly.apply()
    wanted = FlowRunFilter(
        deployment_id=FlowRunFilterDeploymentId(any_=[deployment_id])
    )
    deadline = time.monotonic() + 90
    with get_client(sync_client=True) as client:
        while not (runs := client.read_flow_runs(flow_run_filter=wanted)):
            assert time.monotonic() < deadline, "the scheduler made no run in 90 s"
            time.sleep(1)
    assert all(run.state is not None and run.state.is_scheduled() for run in runs)
    assert all((run.expected_start_time or datetime.now(UTC)).hour == 2 for run in runs)
