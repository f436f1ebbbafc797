"""The ledger keeps what campaigns write, whole and in order, on both databases."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from labwm.errors import (
    ConflictError,
    DuplicateError,
    IllegalTransitionError,
    InvalidInputError,
    NotFoundError,
)
from labwm.schema import CampaignState, Job, Origin
from labwm.store import ApprovalState, Ledger, SubmissionState, WellState
from tests.unit.store.conftest import (
    CARD,
    SPEC,
    job,
    measurement,
    open_campaign,
    prediction,
    proposal,
)


def test_a_round_is_read_back_as_it_was_written(ledger: Ledger, campaign, sent: Job):
    with ledger.visit(campaign, actor="advance") as w:
        w.add_predictions([prediction("p-a1-prediction")])
        w.add_proposals([proposal("p-a1", prediction_id="p-a1-prediction")])
        digest = w.add_model_card(CARD)
        w.add_observations([measurement("a1"), measurement("a2", None)])
        w.move_job(sent.submission_key, SubmissionState.FINISHED)
        w.event("round.learned", {"round": 0})
    (batch,), (stored,) = ledger.batches(campaign), ledger.jobs(campaign)
    assert digest == CARD.digest()
    assert ledger.model_cards(campaign) == ((digest, CARD),)
    assert ledger.predictions(campaign) == (prediction("p-a1-prediction"),)
    assert ledger.proposals(campaign)[0].prediction_id == "p-a1-prediction"
    assert ledger.proposals(campaign, round=1) == ()
    assert (batch.job, batch.round, batch.proposer) == (sent, 0, "ada")
    assert (batch.state, batch.moved_by) == (ApprovalState.APPROVED, "grace")
    assert batch.detail == {"note": "go"}
    assert (stored.state, stored.external_id) == (SubmissionState.FINISHED, "lab-7")
    assert ledger.job(sent.submission_key) == stored
    assert ledger.well_states(sent.submission_key) == {"a1": "measured", "a2": "failed"}
    assert ledger.measurements(campaign) == (measurement("a1"), measurement("a2", None))
    assert [e.body for e in ledger.events(campaign, kind="round.learned")] == [
        {"round": 0}
    ]
    report = ledger.verify(campaign)
    assert (report.n_measured, report.n_events) == (2, len(ledger.events(campaign)))


def test_opening_again_changes_nothing_but_other_settings_are_refused(
    ledger: Ledger, campaign, protocol
):
    before = ledger.events(campaign)
    ledger.open_campaign(
        campaign, SPEC, protocol, origins=[Origin.REPLAYED], actor="ada"
    )
    assert ledger.events(campaign) == before
    with pytest.raises(DuplicateError, match="another called 'boil'"):
        ledger.open_campaign(
            campaign, SPEC, protocol, origins=[Origin.MEASURED], actor="ada"
        )
    (stored,) = ledger.campaigns()
    assert (stored.id, stored.state, stored.origins) == (
        campaign,
        CampaignState.OPEN,
        {Origin.REPLAYED},
    )
    assert (stored.spec, stored.protocol_sha256) == (SPEC, protocol.digest())


def test_a_protocol_version_never_changes(ledger: Ledger, protocol):
    assert ledger.add_protocol(protocol) == ledger.add_protocol(protocol)
    other = protocol.model_copy(update={"title": "Another"})
    with pytest.raises(DuplicateError, match="Raise its version to 2"):
        ledger.add_protocol(other)
    assert ledger.protocol("kettle", 1) == protocol
    with pytest.raises(NotFoundError, match="'kettle' of version 2"):
        ledger.protocol("kettle", 2)


def test_unknown_campaigns_are_named_with_the_nearest(ledger: Ledger, campaign):
    with pytest.raises(NotFoundError, match="Did you mean 'boil'"):
        ledger.campaign("bail")
    with (
        pytest.raises(NotFoundError, match="none is called 'bail'"),
        ledger.visit("bail", actor="ada"),
    ):
        pass


def test_an_error_in_the_block_leaves_nothing_behind(ledger: Ledger, campaign):
    def lose_the_thread():
        with ledger.visit(campaign, actor="ada") as w:
            w.event("half", {})
            w.add_proposals([proposal("p1")])
            raise RuntimeError("lost the thread")

    before = ledger.events(campaign)
    with pytest.raises(RuntimeError, match="lost the thread"):
        lose_the_thread()
    assert ledger.events(campaign) == before
    assert ledger.proposals(campaign) == ()


def test_names_mean_one_record_for_ever(ledger: Ledger, campaign):
    with ledger.visit(campaign, actor="ada") as w:
        w.add_proposals([proposal("p1")])
        w.add_proposals([proposal("p1")])
    with (
        pytest.raises(DuplicateError, match="'p1' was stored with other content"),
        ledger.visit(campaign, actor="ada") as w,
    ):
        w.add_proposals([proposal("p1", round=3)])
    assert ledger.proposals(campaign) == (proposal("p1"),)


def test_a_proposal_cannot_cite_a_prediction_that_is_not_stored(
    ledger: Ledger, campaign
):
    with pytest.raises(ConflictError), ledger.visit(campaign, actor="ada") as w:
        w.add_proposals([proposal("p1", prediction_id="made-up")])


def test_own_events_cannot_pass_for_the_stores(ledger: Ledger, campaign):
    with (
        pytest.raises(InvalidInputError, match="Choose another kind"),
        ledger.visit(campaign, actor="ada") as w,
    ):
        w.event("observed", {"n": 0})


def test_records_of_another_campaign_are_refused(ledger: Ledger, campaign):
    stray = proposal("p1").model_copy(update={"campaign_id": "other"})
    with pytest.raises(InvalidInputError), ledger.visit(campaign, actor="ada") as w:
        w.add_proposals([stray])


def test_only_an_approved_batch_becomes_a_job(ledger: Ledger, campaign):
    with ledger.visit(campaign, actor="ada") as w:
        w.add_batch("boil-round-0", job(), proposer="ada")
        w.move_approval("boil-round-0", ApprovalState.AWAITING)
    with (
        pytest.raises(ConflictError, match="is awaiting"),
        ledger.visit(campaign, actor="ada") as w,
    ):
        w.reserve_job("boil-round-0", job())


def test_a_job_is_exactly_what_was_approved(ledger: Ledger, campaign, approved):
    approved()
    with (
        pytest.raises(ConflictError, match="exactly what was approved"),
        ledger.visit(campaign, actor="ada") as w,
    ):
        w.reserve_job("boil-round-0", job(power=2000.0))


def test_a_batch_is_sent_again_only_under_a_new_key_after_a_failure(
    ledger: Ledger, campaign, sent: Job
):
    again = job("boil-round-0-b")
    with (
        pytest.raises(ConflictError, match=r"'boil-round-0' .* is accepted"),
        ledger.visit(campaign, actor="advance") as w,
    ):
        w.reserve_job(sent.submission_key, again)
    with ledger.visit(campaign, actor="advance") as w:
        w.move_job(sent.submission_key, SubmissionState.FAILED, {"reason": "it burnt"})
        w.reserve_job(sent.submission_key, again)
    first, second = ledger.jobs(campaign)
    assert (first.state, second.state, second.attempt) == ("failed", "reserved", 1)
    assert (second.batch_id, second.job) == (sent.submission_key, again)
    (failed,) = ledger.jobs(campaign, states=[SubmissionState.FAILED])
    assert failed.detail == {"external_id": "lab-7", "reason": "it burnt"}
    ledger.verify(campaign)


def test_illegal_steps_name_what_may_follow(ledger: Ledger, campaign, sent: Job):
    with (
        pytest.raises(IllegalTransitionError, match=r"is accepted, .* got reserved"),
        ledger.visit(campaign, actor="ada") as w,
    ):
        w.move_job(sent.submission_key, SubmissionState.RESERVED)
    with (
        pytest.raises(NotFoundError, match="knows none called 'other-key'"),
        ledger.visit(campaign, actor="ada") as w,
    ):
        w.move_job("other-key", SubmissionState.RUNNING)


def test_wells_are_excluded_and_taken_back(ledger: Ledger, campaign, sent: Job):
    key = sent.submission_key
    with ledger.visit(campaign, actor="ada") as w:
        w.add_observations([measurement("a1")])
        w.move_wells(key, {"a1": WellState.EXCLUDED}, {"reason": "bubble"})
        w.move_wells(key, {"a2": WellState.CANCELLED})
    with ledger.visit(campaign, actor="lab") as w:
        w.add_observations([measurement("a1", 301.0, revision=1), measurement("a2")])
    assert ledger.well_states(key) == {"a1": "excluded", "a2": "measured"}
    with ledger.visit(campaign, actor="ada") as w:
        w.move_wells(key, {"a1": WellState.MEASURED}, {"reason": "no bubble"})
    ledger.verify(campaign)


def test_a_campaign_ends_and_says_why(ledger: Ledger, campaign):
    with ledger.visit(campaign, actor="ada") as w:
        w.move_campaign(CampaignState.STOPPED, {"why": "out of stock"})
    assert ledger.campaign(campaign).detail == {"why": "out of stock"}
    with ledger.visit(campaign, actor="ada") as w:
        w.move_campaign(CampaignState.OPEN)
        w.move_campaign(CampaignState.DONE)
    with pytest.raises(IllegalTransitionError), ledger.visit(campaign, actor="a") as w:
        w.move_campaign(CampaignState.STOPPED)
    assert ledger.campaign(campaign).state == "done"
    with ledger.visit(campaign, actor="ada") as w:
        w.move_campaign(CampaignState.OPEN, {"why": "the budget was raised"})
    assert ledger.campaign(campaign).state == "open"


def test_a_campaign_that_several_open_at_once_is_one(url: str, protocol):
    ledgers = [Ledger.open(url) for _ in range(6)]
    together = threading.Barrier(len(ledgers))

    def opened(ledger: Ledger, name: str) -> str:
        together.wait()
        return open_campaign(ledger, protocol, name)

    with ThreadPoolExecutor(len(ledgers)) as pool:
        for name in (f"boil-{i}" for i in range(8)):
            found = pool.map(opened, ledgers, [name] * len(ledgers))
            assert set(found) == {name}
            assert ledgers[0].verify(name).n_events == 2
    for ledger in ledgers:
        ledger.close()
