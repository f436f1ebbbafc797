"""Pause, resume and close by a person; what arrives afterwards is not lost."""

import pytest

from labwm import campaign, settings
from labwm.campaign.books import books
from labwm.errors import ConflictError, ForbiddenError, IllegalTransitionError
from labwm.schema import (
    CampaignSpec,
    CampaignState,
    CampaignStatus,
    Principal,
    PrincipalKind,
    ReasonRequest,
    Scope,
    WaitsFor,
)
from tests.unit.campaign.amended import (
    approve,
    events,
    fill_in,
    in_the_lab,
    move,
    one_round,
)


def asked(name: str) -> ReasonRequest:
    return ReasonRequest(campaign_id=name, reason="the pump leaks")


def test_a_paused_campaign_sends_nothing_and_goes_on_when_resumed(spec: CampaignSpec):
    campaign.open_campaign(spec.model_copy(update={"policy": "random"}))
    campaign.advance(spec.name)
    now = campaign.pause(asked(spec.name))
    assert (now.summary.state, now.summary.waits_for) == (
        CampaignState.STOPPED,
        WaitsFor.PERSON,
    )
    assert move(spec.name).did == "paused"
    assert campaign.status(spec.name).summary.n_measured == 4
    with pytest.raises(IllegalTransitionError):
        campaign.pause(asked(spec.name))
    campaign.resume(asked(spec.name))
    with pytest.raises(ConflictError, match="Only a paused campaign"):
        campaign.resume(asked(spec.name))
    assert move(spec.name).waits_for is WaitsFor.DONE
    assert campaign.status(spec.name).summary.n_measured == 16
    campaign.verify_database()


@pytest.mark.slow
def test_an_approved_batch_waits_while_paused(by_hand: CampaignSpec):
    name = one_round(by_hand)
    approve(name)
    campaign.pause(asked(name))
    assert move(name).waits_for is WaitsFor.PERSON
    assert [batch.submission for batch in campaign.status(name).batches] == [
        "finished",
        None,
    ]
    campaign.resume(asked(name))
    assert move(name).waits_for is WaitsFor.LAB


def test_what_the_lab_has_comes_in_while_paused(by_hand: CampaignSpec):
    name = in_the_lab(by_hand)
    campaign.pause(asked(name))
    fill_in(name)
    assert move(name).waits_for is WaitsFor.PERSON
    assert campaign.status(name).summary.n_measured == 4


def test_a_closed_campaign_takes_late_results_in_and_scores_them(
    by_hand: CampaignSpec,
):
    name = in_the_lab(by_hand)
    fill_in(name, 1)
    move(name)
    closed = campaign.close(asked(name))
    assert closed.summary.state is CampaignState.DONE
    fill_in(name)
    assert move(name).waits_for is WaitsFor.DONE
    assert campaign.status(name).summary.n_measured == 4
    (learned,) = events(name, "round.learned")
    assert learned.body["round"] == 0
    campaign.verify_database()


def test_results_after_the_last_round_are_taken_in_and_reported(by_hand, tmp_path):
    name = one_round(by_hand)
    approve(name)
    move(name)
    fill_in(name)
    assert move(name).waits_for is WaitsFor.DONE
    first = campaign.measurements(name).measurements[0]
    inbox = settings.lab_folder("folder") / name / "inbox"
    (inbox / f"{first.job_key}.late.csv").write_text("well,time [s]\n001,12.5\n")
    assert name in campaign.awaited_ids()
    step = campaign.advance(name)
    assert "1 late or corrected results" in step.did
    (late,) = events(name, "results.late")
    assert late.body["n_new"] == 1
    now = campaign.measurements(name).measurements[0]
    assert now.readouts["seconds"].value == 12.5
    assert campaign.advance(name).did.endswith("the campaign is closed")
    assert campaign.status(name).best[0].value <= 12.5
    campaign.verify_database()


def test_closing_voids_what_was_not_sent(by_hand: CampaignSpec):
    name = one_round(by_hand)
    approve(name)
    campaign.close(asked(name))
    now = campaign.status(name)
    assert [batch.approval for batch in now.batches] == ["approved", "expired"]
    assert now.summary.n_pending == 0
    assert move(name).waits_for is WaitsFor.DONE
    row = books().ledger.campaign(name)
    assert row.detail["why"] == "closed by local: the pump leaks"
    with pytest.raises(IllegalTransitionError):
        campaign.close(asked(name))


def test_a_paused_campaign_can_be_closed(spec: CampaignSpec):
    campaign.open_campaign(spec)
    campaign.pause(asked(spec.name))
    assert campaign.close(asked(spec.name)).summary.state is CampaignState.DONE


@pytest.mark.parametrize("what", [campaign.pause, campaign.resume, campaign.close])
def test_only_people_steer(spec: CampaignSpec, what):
    campaign.open_campaign(spec)
    agent = Principal(name="robby", kind=PrincipalKind.AGENT, scopes=(Scope.SUBMIT,))
    with pytest.raises(ForbiddenError, match="Only a person"):
        what(asked(spec.name), principal=agent)


def test_rounds_are_counted_from_one_and_experiments_alike(spec: CampaignSpec):
    said: list[str] = []
    campaign.open_campaign(spec.model_copy(update={"policy": "random"}))
    step = campaign.advance(spec.name, progress=said.append)
    assert {line.split(":")[0] for line in said if line.startswith("round")} == {
        "round 1"
    }
    now: CampaignStatus = campaign.status(spec.name)
    assert step.round == now.summary.round == 1
    assert "## Round 1:" in campaign.round_note(spec.name)
    assert step.n_measured == now.summary.n_measured == 4
    while campaign.advance(spec.name).is_moving:
        pass
    rows = campaign.measurements(spec.name).measurements
    failed = [m for m in rows if all(v.status == "failed" for v in m.readouts.values())]
    now = campaign.status(spec.name)
    assert now.summary.n_failed == len(failed)
    assert sum(int(e.body["n_failed"]) for e in events(spec.name, "round.learned")) == (
        len(failed)
    )
