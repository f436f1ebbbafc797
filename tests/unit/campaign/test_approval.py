"""Approvals bind to a digest, are for people, and cannot be bypassed."""

import pytest

from labwm import campaign
from labwm.errors import ConflictError, ForbiddenError, NotFoundError
from labwm.schema import (
    ApprovalRequest,
    CampaignSpec,
    Principal,
    PrincipalKind,
    ProposeRequest,
    Scope,
    SubmitRequest,
    WaitsFor,
)

ANNA = Principal(name="anna", kind=PrincipalKind.PERSON, scopes=(Scope.APPROVE,))
ROBOT = Principal(
    name="robot",
    kind=PrincipalKind.AGENT,
    scopes=(Scope.READ, Scope.PROPOSE, Scope.SUBMIT, Scope.APPROVE),
)


@pytest.fixture
def waiting(asking: CampaignSpec) -> ApprovalRequest:
    """A batch that awaits approval, as the request that approves it."""
    campaign.open_campaign(asking)
    step = campaign.advance("asking")
    assert step.waits_for is WaitsFor.APPROVAL
    assert step.n_measured == 0
    (batch,) = campaign.status("asking").batches
    return ApprovalRequest(
        campaign_id="asking", content_sha256=batch.content_sha256, decision="approve"
    )


def test_nothing_is_sent_before_a_person_approves(waiting: ApprovalRequest):
    again = campaign.advance("asking")
    assert again.waits_for is WaitsFor.APPROVAL
    (batch,) = campaign.status("asking").batches
    assert batch.submission is None


def test_an_approved_batch_is_measured(waiting: ApprovalRequest):
    info = campaign.decide(waiting, principal=ANNA)
    assert info.approval == "approved"
    step = campaign.advance("asking")
    assert step.n_measured == 4


def test_an_agent_never_approves_whatever_its_scopes(waiting: ApprovalRequest):
    with pytest.raises(ForbiddenError, match="Only a person"):
        campaign.decide(waiting, principal=ROBOT)


def test_a_person_without_the_scope_is_refused(waiting: ApprovalRequest):
    reader = ANNA.model_copy(update={"scopes": (Scope.READ,)})
    with pytest.raises(ForbiddenError, match="approve"):
        campaign.decide(waiting, principal=reader)


def test_another_digest_approves_nothing(waiting: ApprovalRequest):
    other = waiting.model_copy(update={"content_sha256": "0" * 64})
    with pytest.raises(NotFoundError, match="digest"):
        campaign.decide(other, principal=ANNA)


def test_a_batch_is_decided_once(waiting: ApprovalRequest):
    campaign.decide(waiting, principal=ANNA)
    with pytest.raises(ConflictError, match="decided once"):
        campaign.decide(waiting, principal=ANNA)


def test_a_rejected_batch_is_not_sent_and_not_proposed_again(waiting: ApprovalRequest):
    rejected = waiting.model_copy(update={"decision": "reject"})
    campaign.decide(rejected, principal=ANNA)
    while campaign.advance("asking").is_moving:
        pass
    first, second = campaign.status("asking").batches
    assert first.submission is None
    tried = [p.candidate.conditions for p in first.proposals]
    assert not [p for p in second.proposals if p.candidate.conditions in tried]
    assert campaign.status("asking").summary.n_measured == 0


def test_a_person_does_not_approve_her_own_proposal(asking: CampaignSpec):
    campaign.open_campaign(asking)
    maker = ANNA.model_copy(
        update={
            "name": "maria",
            "scopes": (Scope.PROPOSE, Scope.SUBMIT, Scope.APPROVE),
        }
    )
    proposed = campaign.propose(
        ProposeRequest(
            campaign_id="asking",
            experiments=({"power": 500.0, "volume": 0.25, "lid": "open"},),
            reason="a slow one, to see the scale",
            idempotency_key="my-own-idea",
        ),
        principal=maker,
    )
    campaign.submit(
        SubmitRequest(
            campaign_id="asking",
            proposal_ids=(proposed.proposals[0].proposal.id,),
            idempotency_key="send-my-idea",
        ),
        principal=maker,
    )
    campaign.advance("asking")
    (batch,) = campaign.status("asking").batches
    request = ApprovalRequest(
        campaign_id="asking", content_sha256=batch.content_sha256, decision="approve"
    )
    with pytest.raises(ForbiddenError, match="Another person"):
        campaign.decide(request, principal=maker)
    assert campaign.decide(request, principal=ANNA).approval == "approved"
