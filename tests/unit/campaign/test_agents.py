"""What agents may ask, propose and submit, and what they are told when they may not."""

import pytest

from labwm import campaign
from labwm.errors import (
    ConflictError,
    DuplicateError,
    ForbiddenError,
    InvalidInputError,
    NotEnoughDataError,
    NotFoundError,
    SpaceError,
)
from labwm.schema import (
    CampaignSpec,
    KeyRequest,
    PredictRequest,
    Principal,
    PrincipalKind,
    ProposeAnswer,
    ProposeRequest,
    Scope,
    SubmitRequest,
    SuggestRequest,
)

AGENT = Principal(
    name="planner",
    kind=PrincipalKind.AGENT,
    scopes=(Scope.READ, Scope.PROPOSE, Scope.SUBMIT),
)
FAST = {"power": 2500.0, "volume": 0.25, "lid": "closed"}
SLOW = {"power": 500.0, "volume": 1.75, "lid": "open"}


@pytest.fixture
def started(spec: CampaignSpec) -> str:
    """A campaign of which two rounds are measured."""
    campaign.open_campaign(spec.model_copy(update={"policy": "random"}))
    campaign.advance("boil")
    campaign.advance("boil")
    return "boil"


def propose(*rows: dict, key: str = "idea-0001", name: str = "boil") -> ProposeAnswer:
    request = ProposeRequest(
        campaign_id=name, experiments=rows, reason="to learn", idempotency_key=key
    )
    return campaign.propose(request, principal=AGENT)


def submit(*proposal_ids: str, key: str = "send-0001"):
    request = SubmitRequest(
        campaign_id="boil", proposal_ids=proposal_ids, idempotency_key=key
    )
    return campaign.submit(request, principal=AGENT)


def test_predictions_tell_fast_from_slow_and_are_kept(started: str):
    answer = campaign.predict(
        PredictRequest(campaign_id=started, experiments=(FAST, SLOW)), principal=AGENT
    )
    fast, slow = answer.predictions
    assert fast.readouts["seconds"].mean < slow.readouts["seconds"].mean
    assert fast.id != slow.id
    assert answer.n_rows >= 7


def test_there_is_no_prediction_before_there_is_data(spec: CampaignSpec):
    campaign.open_campaign(spec)
    with pytest.raises(NotEnoughDataError, match="at least"):
        campaign.predict(
            PredictRequest(campaign_id="boil", experiments=(FAST,)), principal=AGENT
        )


def test_a_prediction_outside_the_space_is_refused(started: str):
    row = {**FAST, "lid": "ajar"}
    with pytest.raises(SpaceError, match="ajar"):
        campaign.predict(
            PredictRequest(campaign_id=started, experiments=(row,)), principal=AGENT
        )


def test_suggestions_carry_reasons_and_are_not_stored(started: str):
    before = campaign.status(started)
    answer = campaign.suggest(SuggestRequest(campaign_id=started, n=3), principal=AGENT)
    assert len(answer.suggestions) == 3
    assert all(s.reason and s.readouts for s in answer.suggestions)
    assert campaign.status(started) == before


def test_a_submitted_proposal_is_measured_in_the_next_round(started: str):
    (screened,) = propose(FAST).proposals
    assert screened.verdict == "pass"
    assert screened.prediction is not None
    submit(screened.proposal.id)
    campaign.advance(started)
    batch = campaign.status(started).batches[-1]
    assert batch.proposals[0].id == screened.proposal.id
    assert batch.proposals[0].proposer == "planner"
    assert len(batch.proposals) == 4
    rows = campaign.measurements(started).measurements
    assert [m for m in rows if m.proposal_id == screened.proposal.id]


def test_a_proposal_outside_the_space_is_held_with_its_rule(started: str):
    (screened,) = propose({**FAST, "volume": 9.0}).proposals
    assert screened.verdict == "hold"
    assert screened.reasons[0].startswith("outside-space")
    with pytest.raises(ConflictError, match="outside-space"):
        submit(screened.proposal.id)


def test_the_same_idempotency_key_gives_the_first_answer(started: str):
    assert propose(FAST) == propose(FAST)


def test_an_idempotency_key_stands_for_one_request(started: str):
    propose(FAST)
    with pytest.raises(DuplicateError, match="idempotency key"):
        propose(SLOW)


def test_a_proposal_is_submitted_once(started: str):
    (screened,) = propose(FAST).proposals
    submit(screened.proposal.id)
    assert submit(screened.proposal.id).queued == (screened.proposal.id,)
    with pytest.raises(ConflictError, match="submitted once"):
        submit(screened.proposal.id, key="send-0002")


def test_an_unknown_proposal_cannot_be_submitted(started: str):
    with pytest.raises(NotFoundError, match="stored proposals"):
        submit("boil-a-000000000000")


def test_no_more_is_queued_than_the_budget_allows(started: str):
    volumes = (0.25, 0.5, 1.0, 1.75)
    rows = [
        {"power": float(power), "volume": volume, "lid": lid}
        for power in (500, 1000, 1500)
        for volume in volumes
        for lid in ("open", "closed")
    ]
    answer = propose(*rows)
    passed = [s.proposal.id for s in answer.proposals if s.verdict == "pass"]
    with pytest.raises(ConflictError, match="budget"):
        submit(*passed[:9])


def test_a_reader_may_not_propose(started: str):
    reader = AGENT.model_copy(update={"scopes": (Scope.READ,)})
    request = ProposeRequest(
        campaign_id=started,
        experiments=(FAST,),
        reason="to learn",
        idempotency_key="idea-0009",
    )
    with pytest.raises(ForbiddenError, match="'propose'"):
        campaign.propose(request, principal=reader)


def test_a_key_works_until_it_is_revoked():
    created = campaign.create_key(KeyRequest(name="planner"))
    assert campaign.authenticate(created.secret) == created.principal
    campaign.revoke_key("planner")
    with pytest.raises(ForbiddenError, match="revoked"):
        campaign.authenticate(created.secret)
    assert created.secret not in str(campaign.list_keys())


def test_an_agent_gets_no_key_that_approves():
    with pytest.raises(ForbiddenError, match="for people"):
        campaign.create_key(
            KeyRequest(name="planner", scopes=(Scope.READ, Scope.APPROVE))
        )


@pytest.mark.parametrize("name", ["local", "advance"])
def test_nobody_gets_the_name_of_the_machine_or_the_mover(name: str):
    with pytest.raises(InvalidInputError, match=name):
        campaign.create_key(KeyRequest(name=name))


def test_a_level_within_rounding_is_the_level(spec: CampaignSpec):
    campaign.open_campaign(spec)
    answer = propose({**FAST, "power": 2500.0000000001}, FAST)
    first, second = answer.proposals
    assert first.proposal.candidate.conditions == FAST
    assert second.reasons[0].startswith("repeated")
