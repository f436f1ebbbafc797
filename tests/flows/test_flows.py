"""The flows on a real Prefect server."""

import json
from pathlib import Path

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    ArtifactFilter,
    ArtifactFilterKey,
)
from prefect.client.schemas.objects import Artifact

from flows.campaign import advance_all, run_campaign
from flows.models import evaluate, retrain
from labwm import campaign, settings
from labwm.campaign.books import books
from labwm.campaign.lease import held
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
    notes = artifacts("campaign-boil")
    assert len(notes) == 5
    assert any("16 of 16 experiments measured" in str(note.data) for note in notes)


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


def test_advance_leaves_a_campaign_that_another_moves_and_goes_on(spec: CampaignSpec):
    for name in ("held", "free"):
        campaign.open_campaign(spec.model_copy(update={"name": name, "budget": 4}))
    with held(books(), "held", actor="somebody else"):
        state = advance_all(return_state=True)
    assert state.is_completed()
    assert state.message == "held: moving; free: Done"
    assert campaign.open_ids() == ("held",)


def test_a_campaign_that_breaks_does_not_stop_the_others(spec: CampaignSpec, kettle):
    table = kettle / "own.csv"
    table.write_text((kettle / "kettle.csv").read_text() + "500,0.3,open,100\n")
    broken = spec.model_copy(update={"name": "broken", "data": str(table)})
    campaign.open_campaign(broken)
    campaign.open_campaign(spec.model_copy(update={"name": "sound", "budget": 4}))
    opening = books().ledger.events("broken", kind="campaign.prepared")[0]
    digest = str(opening.body["pool_object"])
    for path in Path(settings.objects_url()).rglob(digest[2:]):
        path.unlink()
    state = advance_all(return_state=True)
    assert state.is_failed()
    assert (state.message or "").startswith("broken: ")
    assert digest[:12] in (state.message or "")
    assert campaign.open_ids() == ("broken",)


def test_evaluate_shows_the_calibration_of_every_campaign(spec: CampaignSpec):
    run_campaign(spec)
    state = evaluate(return_state=True)
    assert (state.name, state.message) == ("Done", "1 readouts of campaigns scored")
    (row,) = json.loads(str(artifacts("calibration")[0].data))
    assert row["campaign"] == "boil"
    # The first round has no prediction, and a failed well has nothing to score.
    (seconds,) = campaign.status("boil").calibration
    assert row["predictions scored"] == seconds.n
    assert 8 <= seconds.n <= 12
    assert row["state"] == "done"


def test_retrain_reviews_open_campaigns_and_says_why_nothing_changed(
    spec: CampaignSpec,
):
    campaign.open_campaign(spec)
    campaign.advance("boil")
    state = retrain(return_state=True)
    assert (state.name, state.message) == ("Done", "boil: abstain")
    (note,) = artifacts("model-boil")
    assert "0 scored predictions in 0 rounds" in str(note.data)
    assert len(books().ledger.events("boil", kind="model.reviewed")) == 1


def artifacts(key: str) -> list[Artifact]:
    with get_client(sync_client=True) as client:
        wanted = ArtifactFilter(key=ArtifactFilterKey(any_=[key]))
        return client.read_artifacts(artifact_filter=wanted)
