"""A campaign from opening to the end of its budget."""

import shutil

import pytest

from labwm import campaign, settings
from labwm.errors import DuplicateError, InvalidInputError, NotFoundError
from labwm.labs.spool import SpoolLab
from labwm.schema import CampaignSpec, CampaignState, Job, Step, WaitsFor


def move_until_it_waits(campaign_id: str) -> Step:
    while (step := campaign.advance(campaign_id)).is_moving:
        pass
    return step


def test_a_campaign_spends_its_budget_and_is_done(spec: CampaignSpec):
    assert campaign.open_campaign(spec) == "boil"
    step = move_until_it_waits("boil")
    assert step.waits_for is WaitsFor.DONE
    now = campaign.status("boil")
    assert now.summary.n_measured == 16
    assert now.summary.state is CampaignState.DONE
    assert len(now.batches) == 4
    assert (
        len({m.proposal_id for m in campaign.measurements("boil").measurements}) == 16
    )


def test_every_prediction_was_stored_before_its_measurement(spec: CampaignSpec):
    campaign.open_campaign(spec)
    move_until_it_waits("boil")
    now = campaign.status("boil")
    assert now.model is not None
    (seconds,) = now.calibration
    # There is no model before five values; a failed well has no value to score.
    assert 6 <= seconds.n <= 12
    for batch in now.batches:
        assert all(p.pool_sha256 and p.reason for p in batch.proposals)
    for batch in now.batches[2:]:
        assert all(p.prediction_id and p.model_sha256 for p in batch.proposals)


def test_a_round_that_a_model_chose_states_what_is_left_to_gain(spec: CampaignSpec):
    campaign.open_campaign(spec)
    campaign.advance("boil")
    assert campaign.status("boil").outlook is None
    said: list[str] = []
    while campaign.advance("boil", progress=said.append).is_moving:
        pass
    left = campaign.status("boil").outlook
    assert left is not None
    assert left.round == 3
    assert 0 <= left.probability <= 1
    assert left.unit == "s"
    assert any(line == left.text() for line in said)


def test_one_advance_moves_one_round(spec: CampaignSpec):
    campaign.open_campaign(spec)
    said: list[str] = []
    step = campaign.advance("boil", progress=said.append)
    assert step.is_moving
    assert step.n_measured == 4
    assert any("measured" in line for line in said)


def test_the_same_seed_measures_the_same_experiments(spec: CampaignSpec):
    runs = []
    for name in ("first", "second"):
        campaign.open_campaign(spec.model_copy(update={"name": name}))
        move_until_it_waits(name)
        rows = campaign.measurements(name).measurements
        runs.append([m.conditions for m in rows])
    assert runs[0] == runs[1]


def test_opening_again_changes_nothing(spec: CampaignSpec):
    campaign.open_campaign(spec)
    campaign.advance("boil")
    assert campaign.open_campaign(spec) == "boil"
    assert campaign.status("boil").summary.n_measured == 4


def test_a_name_stands_for_one_specification(spec: CampaignSpec):
    campaign.open_campaign(spec)
    with pytest.raises(DuplicateError, match="another budget"):
        campaign.open_campaign(spec.model_copy(update={"budget": 20}))


def test_changed_content_under_the_same_protocol_version_is_refused(spec, kettle):
    campaign.open_campaign(spec)
    protocol = kettle / "kettle.yaml"
    protocol.write_text(protocol.read_text().replace("[0.2, 2.0]", "[0.1, 2.0]"))
    with pytest.raises(DuplicateError, match="kettle"):
        campaign.open_campaign(spec.model_copy(update={"name": "other"}))


def test_a_replay_without_a_table_is_refused_before_anything_is_stored(spec):
    with pytest.raises(InvalidInputError, match="needs a table"):
        campaign.open_campaign(spec.model_copy(update={"data": None}))
    assert campaign.list_campaigns() == ()


def test_an_unknown_policy_is_refused_before_anything_is_stored(spec):
    with pytest.raises(NotFoundError, match="Did you mean 'random'"):
        campaign.open_campaign(spec.model_copy(update={"policy": "randomm"}))
    assert campaign.list_campaigns() == ()


def test_doctor_finds_a_mirror_that_is_not_there(monkeypatch, tmp_path):
    monkeypatch.setenv("LABWM_DATA_MIRROR", str(tmp_path))
    assert not [line for line in campaign.doctor() if line.startswith("PROBLEM")]
    monkeypatch.setenv("LABWM_DATA_MIRROR", str(tmp_path / "absent"))
    (problem,) = [line for line in campaign.doctor() if line.startswith("PROBLEM")]
    assert "LABWM_DATA_MIRROR names a folder" in problem


def test_a_job_in_doubt_at_a_lab_that_knows_its_keys_waits_for_nobody(
    spec: CampaignSpec, monkeypatch: pytest.MonkeyPatch
):
    def break_off(lab: SpoolLab, job: Job) -> None:
        raise KeyboardInterrupt

    campaign.open_campaign(spec)
    with monkeypatch.context() as patch:
        patch.setattr(SpoolLab, "submit", break_off)
        with pytest.raises(KeyboardInterrupt):
            campaign.advance("boil")
    assert campaign.status("boil").summary.waits_for is WaitsFor.NOTHING
    assert move_until_it_waits("boil").n_measured == 16


def test_every_lab_that_is_listed_can_be_checked():
    names = [line.partition(":")[0] for line in campaign.list_labs()]
    assert "virtual" in names
    for name in names:
        assert "dedup_by_key: yes" in campaign.check_lab(name)


def test_an_unknown_campaign_is_an_error():
    with pytest.raises(NotFoundError, match="nobody"):
        campaign.advance("nobody")


def test_a_campaign_ends_when_every_candidate_was_tried(spec: CampaignSpec):
    campaign.open_campaign(spec.model_copy(update={"budget": 100, "batch_size": 20}))
    step = move_until_it_waits("boil")
    assert step.waits_for is WaitsFor.DONE
    now = campaign.status("boil").summary
    assert now.n_measured == 40
    assert now.n_failed == 1


@pytest.mark.parametrize("policy", ["random", "space_filling"])
def test_other_policies_run_too(spec: CampaignSpec, policy: str):
    campaign.open_campaign(spec.model_copy(update={"policy": policy, "budget": 8}))
    assert move_until_it_waits("boil").waits_for is WaitsFor.DONE


def test_the_round_note_shows_reasons_and_results(spec: CampaignSpec):
    campaign.open_campaign(spec)
    campaign.advance("boil")
    campaign.advance("boil")
    note = campaign.round_note("boil")
    assert "8 of 16 experiments measured" in note
    assert "| predicted before |" in note
    assert "seconds" in note


def test_the_chain_is_whole_after_a_campaign(spec: CampaignSpec):
    campaign.open_campaign(spec)
    move_until_it_waits("boil")
    (line,) = campaign.verify_database()
    assert "agree" in line


def test_every_proposal_stores_what_learning_from_it_later_needs(spec: CampaignSpec):
    campaign.open_campaign(spec.model_copy(update={"policy": "random", "budget": 12}))
    move_until_it_waits("boil")
    first, _, last = campaign.status("boil").batches
    for rank, proposal in enumerate((*first.proposals, *last.proposals)):
        assert (proposal.policy, proposal.policy_version) == ("random", "1")
        assert len(proposal.pool_sha256) == len(proposal.data_sha256) == 64
        assert proposal.rank == rank % 4
    # Four of 40 candidates; four of the 32 that are left after two rounds.
    assert {p.propensity for p in first.proposals} == {0.1}
    assert {p.propensity for p in last.proposals} == {0.125}
    # Random needs no model; the prediction is stored with its proposals all the same.
    assert all(p.prediction_id for p in last.proposals)


def test_a_computing_lab_that_lost_its_folder_is_sent_the_same_key_again(
    spec: CampaignSpec,
):
    campaign.open_campaign(spec)

    def lose(line: str) -> None:
        if "sent to" in line:
            shutil.rmtree(settings.lab_folder("replay"))

    campaign.advance("boil", progress=lose)
    (batch,) = campaign.status("boil").batches
    assert batch.submission == "finished"
    assert campaign.measurements("boil").total == 4
    campaign.verify_database()
