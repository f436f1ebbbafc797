"""The flows on a real Prefect server."""

import shutil

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    ArtifactFilter,
    ArtifactFilterKey,
)

from flows.campaign import advance_all, run_campaign
from labwm import campaign, settings
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


def test_a_campaign_that_cannot_be_moved_stops_no_other(spec: CampaignSpec, kettle):
    campaign.open_campaign(spec.model_copy(update={"name": "one", "budget": 4}))
    shutil.rmtree(settings.objects_url())
    lines = (kettle / "kettle.csv").read_text().splitlines()
    (kettle / "fewer.csv").write_text("\n".join(lines[:-1]) + "\n")
    fewer = {"name": "two", "budget": 4, "data": str(kettle / "fewer.csv")}
    campaign.open_campaign(spec.model_copy(update=fewer))
    state = advance_all(return_state=True)
    assert state.is_failed()
    assert "'one'" in str(state.message)
    assert campaign.open_ids() == ("one",)
