"""The same request from many at once: stored once, answered alike, budget kept."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TypeVar

import pytest

from labwm import campaign
from labwm.campaign.books import books
from labwm.errors import ConflictError
from labwm.schema import (
    CampaignSpec,
    CampaignState,
    Principal,
    PrincipalKind,
    ProposeRequest,
    Scope,
    SubmitAnswer,
    SubmitRequest,
)

AGENT = Principal(
    name="planner",
    kind=PrincipalKind.AGENT,
    scopes=(Scope.READ, Scope.PROPOSE, Scope.SUBMIT),
)
N = 10
T = TypeVar("T")


def at_once(act: Callable[[int], T]) -> list[T | ConflictError]:
    """Do it from `N` threads that start together; conflicts are answers."""
    start = Barrier(N)

    def one(i: int) -> T | ConflictError:
        start.wait()
        try:
            return act(i)
        except ConflictError as error:
            return error

    with ThreadPoolExecutor(N) as pool:
        return list(pool.map(one, range(N)))


def propose(key: str, power: float = 500.0, volume: float = 0.25) -> str:
    row = {"power": power, "volume": volume, "lid": "open"}
    request = ProposeRequest(
        campaign_id="boil", experiments=(row,), reason="to learn", idempotency_key=key
    )
    answer = campaign.propose(request, principal=AGENT)
    return answer.proposals[0].proposal.id


def submit(key: str, proposal_id: str) -> SubmitAnswer:
    request = SubmitRequest(
        campaign_id="boil", proposal_ids=(proposal_id,), idempotency_key=key
    )
    return campaign.submit(request, principal=AGENT)


def n_events(kind: str) -> int:
    return len(books().ledger.events("boil", kind=kind))


def test_opened_by_many_at_once_it_is_prepared_once(spec: CampaignSpec):
    assert at_once(lambda _: campaign.open_campaign(spec)) == ["boil"] * N
    assert n_events("campaign.prepared") == 1


def test_one_request_from_many_is_stored_once(spec: CampaignSpec):
    campaign.open_campaign(spec)
    ids = at_once(lambda _: propose("idea-0001"))
    assert len(set(ids)) == 1
    assert n_events("agent.proposed") == 1
    answers = at_once(lambda _: submit("send-0001", str(ids[0])))
    assert answers == [answers[0]] * N
    assert n_events("agent.submitted") == 1


def test_many_at_once_queue_no_more_than_the_budget(spec: CampaignSpec):
    campaign.open_campaign(spec.model_copy(update={"budget": 4}))
    ids = [
        propose(f"idea-{power}-{volume}", power, volume)
        for power in (500.0, 1000.0, 1500.0, 2000.0, 2500.0)
        for volume in (0.25, 0.5)
    ]
    answers = at_once(lambda i: submit(f"send-{i:04d}", ids[i]))
    accepted = [one for one in answers if isinstance(one, SubmitAnswer)]
    assert sorted(one.n_left for one in accepted) == [0, 1, 2, 3]


def test_a_campaign_that_is_done_measures_nothing_more(spec: CampaignSpec):
    everything = {"budget": 100, "batch_size": 40, "policy": "random"}
    campaign.open_campaign(spec.model_copy(update=everything))
    waiting = propose("idea-0001")
    while campaign.advance("boil").is_moving:
        pass
    assert campaign.status("boil").summary.state is CampaignState.DONE
    with pytest.raises(ConflictError, match="Only an open campaign measures"):
        submit("send-0001", waiting)
    assert campaign.advance("boil").n_measured == 40
