"""One mover at a time: leases end, tokens rise, and a stale one writes nothing."""

import time

import pytest

from labwm.errors import (
    InvalidInputError,
    LeaseHeldError,
    NotFoundError,
    StaleTokenError,
)
from labwm.store import Ledger


def write_with(ledger: Ledger, token: int) -> None:
    with ledger.write("boil", token=token, actor="advance") as w:
        w.event("step", {})


def steps(ledger: Ledger) -> list[int | None]:
    return [event.token for event in ledger.events("boil", kind="step")]


def test_tokens_rise_and_every_event_carries_its_own(ledger: Ledger, campaign):
    first = ledger.acquire_lease(campaign, holder="one", ttl_s=30)
    write_with(ledger, first)
    ledger.release_lease(campaign, token=first)
    second = ledger.acquire_lease(campaign, holder="two", ttl_s=30)
    write_with(ledger, second)
    assert second > first
    assert steps(ledger) == [first, second]


def test_a_held_lease_is_refused_and_names_its_holder(ledger: Ledger, campaign):
    ledger.acquire_lease(campaign, holder="one", ttl_s=30)
    with pytest.raises(LeaseHeldError, match=r"'boil' is held by 'one' for another \d"):
        ledger.acquire_lease(campaign, holder="two", ttl_s=30)
    assert ledger.lease(campaign).holder == "one"


def test_an_expired_lease_is_taken_over_and_the_late_writer_writes_nothing(
    ledger: Ledger, campaign
):
    late = ledger.acquire_lease(campaign, holder="late", ttl_s=0.05)
    time.sleep(0.06)
    assert ledger.lease(campaign).holder is None
    new = ledger.acquire_lease(campaign, holder="new", ttl_s=30)
    with pytest.raises(StaleTokenError, match=f"got token {late}, the newest is {new}"):
        write_with(ledger, late)
    with pytest.raises(StaleTokenError):
        ledger.renew_lease(campaign, token=late, ttl_s=30)
    ledger.release_lease(campaign, token=late)
    assert ledger.lease(campaign).holder == "new"
    assert steps(ledger) == []


def test_an_expired_lease_that_nobody_took_still_writes(ledger: Ledger, campaign):
    token = ledger.acquire_lease(campaign, holder="slow", ttl_s=0.05)
    time.sleep(0.06)
    write_with(ledger, token)
    assert steps(ledger) == [token]


def test_a_released_lease_writes_no_more(ledger: Ledger, campaign):
    token = ledger.acquire_lease(campaign, holder="one", ttl_s=30)
    ledger.release_lease(campaign, token=token)
    with pytest.raises(StaleTokenError, match="released"):
        write_with(ledger, token)


def test_a_lease_held_over_a_block_is_renewed_and_given_back(ledger: Ledger, campaign):
    with ledger.hold_lease(campaign, holder="one", ttl_s=0.6) as token:
        time.sleep(1.2)
        with pytest.raises(LeaseHeldError):
            ledger.acquire_lease(campaign, holder="two", ttl_s=30)
        write_with(ledger, token)
    assert ledger.lease(campaign).holder is None


def test_a_lease_needs_a_campaign_and_a_time(ledger: Ledger, campaign):
    with pytest.raises(NotFoundError, match="none is called 'bail'"):
        ledger.acquire_lease("bail", holder="one", ttl_s=30)
    with pytest.raises(InvalidInputError, match="more than 0 s; got 0"):
        ledger.acquire_lease(campaign, holder="one", ttl_s=0)
