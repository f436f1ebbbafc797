"""Budgets and stocks are accounts that the database never lets be overdrawn."""

import threading

import pytest
from sqlalchemy import text

from labwm.errors import ConflictError, IllegalTransitionError
from labwm.schema import GRAIN, AccountInfo, Job, Need
from labwm.store import ApprovalState, Ledger, SubmissionState
from labwm.store.engine import writing
from tests.unit.store.conftest import CAMPAIGN, job, measurement

SHELF = "lab:bench/kettle"
STOCK = (SHELF, "XPhos")


def needs(amount: float) -> list[Need]:
    return [Need(shelf=SHELF, account="XPhos", unit="mg", amount=round(amount * GRAIN))]


def stock(ledger: Ledger) -> tuple[float, float, float]:
    (found,) = ledger.accounts([SHELF])
    assert isinstance(found, AccountInfo)
    return found.free, found.reserved, found.used


def put_up(ledger: Ledger, number: int, amount: float) -> Job:
    """Supply 10 mg, once, and put a batch up for approval that needs some."""
    planned = job(f"boil-round-{number}", power=1000.0 + number)
    with ledger.visit(CAMPAIGN, actor="ada") as w:
        w.count(STOCK, 10, "mg", key="v1", note="as declared")
        key = planned.submission_key
        w.add_batch(key, planned, proposer="ada", needs=needs(amount))
        w.move_approval(key, ApprovalState.AWAITING)
    return planned


def approve(ledger: Ledger, planned: Job) -> None:
    with ledger.visit(CAMPAIGN, actor="ben") as w:
        w.move_approval(planned.submission_key, ApprovalState.APPROVED, {"by": "ben"})


def void_what_waits(ledger: Ledger, planned: Job) -> None:
    key, awaiting = planned.submission_key, ApprovalState.AWAITING
    with ledger.visit(CAMPAIGN, actor="ada") as w:
        w.move_approval(key, ApprovalState.EXPIRED, was=awaiting)


def send(ledger: Ledger, planned: Job, *states: SubmissionState) -> None:
    with ledger.visit(CAMPAIGN, actor="advance") as w:
        w.reserve_job(planned.submission_key, planned)
        for state in (SubmissionState.SUBMITTING, *states):
            w.move_job(planned.submission_key, state)


@pytest.fixture
def asked(ledger: Ledger, campaign: str) -> Job:
    return put_up(ledger, 0, 4)


def test_approval_reserves_and_acceptance_uses(ledger: Ledger, asked: Job):
    assert stock(ledger) == (10, 0, 0)
    approve(ledger, asked)
    assert stock(ledger) == (6, 4, 0)
    send(ledger, asked, SubmissionState.IN_DOUBT)
    assert stock(ledger) == (6, 4, 0)  # nobody knows yet
    with ledger.visit(CAMPAIGN, actor="advance") as w:
        w.move_job(asked.submission_key, SubmissionState.ACCEPTED)
        w.move_job(asked.submission_key, SubmissionState.RUNNING)
    assert stock(ledger) == (6, 0, 4)
    ledger.verify(CAMPAIGN)


def test_what_the_lab_refused_is_given_back(ledger: Ledger, asked: Job):
    approve(ledger, asked)
    send(ledger, asked, SubmissionState.FAILED)
    assert stock(ledger) == (10, 0, 0)
    assert ledger.job(asked.submission_key).detail["refunded"] is True
    ledger.verify(CAMPAIGN)


def test_what_was_cancelled_before_any_result_is_given_back(ledger: Ledger, asked: Job):
    approve(ledger, asked)
    send(ledger, asked, SubmissionState.ACCEPTED, SubmissionState.CANCELLED)
    assert stock(ledger) == (10, 0, 0)
    ledger.verify(CAMPAIGN)


def test_what_failed_after_a_result_stays_used(ledger: Ledger, asked: Job):
    approve(ledger, asked)
    send(ledger, asked, SubmissionState.ACCEPTED)
    with ledger.visit(CAMPAIGN, actor="advance") as w:
        w.add_observations([measurement("a1")])
        w.move_job(asked.submission_key, SubmissionState.FAILED)
    assert stock(ledger) == (6, 0, 4)
    assert ledger.job(asked.submission_key).detail["refunded"] is False


def test_a_voided_approval_gives_back(ledger: Ledger, asked: Job):
    approve(ledger, asked)
    with ledger.visit(CAMPAIGN, actor="ada") as w:
        w.move_approval(asked.submission_key, ApprovalState.EXPIRED)
    assert stock(ledger) == (10, 0, 0)


def test_a_step_for_a_batch_that_waits_is_not_taken_once_somebody_approved(
    ledger: Ledger, asked: Job
):
    approve(ledger, asked)
    with pytest.raises(ConflictError, match="is approved by now"):
        void_what_waits(ledger, asked)
    assert stock(ledger) == (6, 4, 0)


def test_a_rejected_batch_takes_nothing(ledger: Ledger, asked: Job):
    with ledger.visit(CAMPAIGN, actor="ben") as w:
        w.move_approval(asked.submission_key, ApprovalState.REJECTED)
    assert stock(ledger) == (10, 0, 0)


def test_more_than_there_is_cannot_be_approved(ledger: Ledger, asked: Job):
    approve(ledger, asked)
    second = put_up(ledger, 1, 6.000001)
    message = r"XPhos: 6 mg needed, 6 mg free"
    with pytest.raises(ConflictError, match=message):
        approve(ledger, second)
    assert stock(ledger) == (6, 4, 0)
    (batch,) = [b for b in ledger.batches(CAMPAIGN) if b.id == second.submission_key]
    assert batch.state is ApprovalState.AWAITING  # nothing of it was stored
    third = put_up(ledger, 2, 6)
    approve(ledger, third)
    assert stock(ledger) == (0, 10, 0)


def test_two_approvals_at_once_take_once(ledger: Ledger, asked: Job):
    outcomes: list[str] = []

    def decide() -> None:
        try:
            approve(ledger, asked)
            outcomes.append("approved")
        except IllegalTransitionError:
            outcomes.append("too late")

    threads = [threading.Thread(target=decide) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["approved", "too late", "too late", "too late"]
    assert stock(ledger) == (6, 4, 0)


def test_the_same_supply_is_entered_once(ledger: Ledger, asked: Job):
    for _ in range(2):
        with ledger.visit(CAMPAIGN, actor="ada") as w:
            w.supply(STOCK, 5, "mg", key="parcel-1", note="came in")
            w.count(STOCK, 10, "mg", key="v1", note="as declared")
    assert stock(ledger) == (15, 0, 0)
    with ledger.visit(CAMPAIGN, actor="ada") as w:
        w.count(STOCK, 3, "mg", key="v2", note="counted again")
    assert stock(ledger) == (3, 0, 0)
    ledger.verify(CAMPAIGN)


def test_an_account_keeps_its_unit(ledger: Ledger, asked: Job):
    with (
        pytest.raises(ConflictError, match="one unit"),
        ledger.visit(CAMPAIGN, actor="ada") as w,
    ):
        w.supply(STOCK, 5, "mL", key="parcel-1", note="came in")


ENTRY = (
    "INSERT INTO account_entries (campaign_id, id, shelf, account, unit, kind,"
    " batch_id, free, reserved, used, event_seq, sha256, body) SELECT 'boil', 'raw',"
    " 'lab:bench/kettle', 'XPhos', 'mg', :kind, batch_id, :free, :reserved, :used, 0,"
    " '', '{}' FROM batches LIMIT 1"
)


@pytest.mark.parametrize(
    ("kind", "free", "reserved", "used"),
    [
        ("reserved", -11_000_000, 11_000_000, 0),
        ("used", 0, -1, 1),
        ("refunded", 5, -5, 0),
        ("reserved", -5, 4, 0),
        ("reserved", 5, -5, 0),
        ("used", -5, 0, 5),
        ("found", 5, 0, 0),
        ("supplied", 5, 0, 0),
    ],
    ids=[
        "more-than-there-is", "used-without-a-reservation", "refunded-for-nothing",
        "out-of-thin-air", "backwards", "past-the-reservation", "of-no-kind",
        "supplied-by-a-batch",
    ],
)  # fmt: skip
def test_the_database_itself_refuses_what_does_not_add_up(
    ledger: Ledger, asked: Job, kind: str, free: int, reserved: int, used: int
):
    values = {"kind": kind, "free": free, "reserved": reserved, "used": used}
    with writing(ledger.engine).connect() as connection:
        with pytest.raises(ConflictError, match="refuse this write"):
            connection.execute(text(ENTRY), values)
        connection.rollback()
    assert stock(ledger) == (10, 0, 0)


EDITS = {
    "other conditions": {"wells.0.conditions": {"power": 1500.0}},
    "another replicate": {"wells.0.replicate": 7},
    "another place": {"wells.0.name": "h12"},
    "another proposal": {"wells.0.proposal_id": "p-other"},
    "one well less": {"wells": lambda wells: wells[1:]},
    "one well more": {"wells": lambda wells: [*wells, wells[0] | {"name": "extra"}]},
    "another order": {"wells": lambda wells: wells[::-1]},
    "a control instead": {"wells.0.control": "blank", "wells.0.proposal_id": None},
    "another lab": {"lab": "elsewhere"},
    "another protocol": {"protocol_name": "kettle2"},
    "another version": {"protocol_version": 2},
    "other content of the version": {"protocol_sha256": "1" * 64},
    "another round": {"round": 5},
}


def edited(planned: Job, edit: dict[str, object]) -> Job:
    body = planned.model_dump(mode="json")
    for path, value in edit.items():
        *way, last = path.split(".")
        place = body
        for step in way:
            place = place[int(step)] if isinstance(place, list) else place[step]
        place[last] = value(place[last]) if callable(value) else value
    return Job.model_validate(body)


@pytest.mark.parametrize("what", EDITS)
def test_any_edit_voids_an_approval(ledger: Ledger, asked: Job, what: str):
    approve(ledger, asked)
    other = edited(asked, EDITS[what])
    assert other.content_sha256 != asked.content_sha256
    with (
        pytest.raises(ConflictError, match="exactly what was approved"),
        ledger.visit(CAMPAIGN, actor="advance") as w,
    ):
        w.reserve_job(asked.submission_key, other)
    assert ledger.jobs(CAMPAIGN) == ()
