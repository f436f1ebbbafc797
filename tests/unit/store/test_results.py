"""Any order and duplication of a result stream gives the same data set."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection

from labwm.errors import (
    ConflictError,
    DuplicateError,
    InvalidInputError,
    NotFoundError,
)
from labwm.schema import Job, Measurement, Origin, parse_protocol
from labwm.store import (
    ApprovalState,
    Ledger,
    SubmissionState,
    WellState,
    Writer,
    queries,
)
from labwm.store.chain import Author, utc_now
from labwm.store.engine import writing
from labwm.store.observations import dataset_sha256
from labwm.store.verify import verify_campaign
from tests.unit.store.conftest import PROTOCOL, job, measurement, open_campaign

LATE = "2026-01-02T03:04:05Z"


def test_the_same_result_again_changes_nothing(ledger: Ledger, campaign, sent: Job):
    with ledger.visit(campaign, actor="lab") as w:
        first = w.add_observations([measurement("a1"), measurement("a1")])
    before = ledger.events(campaign)
    with ledger.visit(campaign, actor="lab") as w:
        second = w.add_observations([measurement("a1")])
    assert (first.n_new, first.n_known) == (1, 1)
    assert (second.n_new, second.n_known) == (0, 1)
    assert ledger.events(campaign) == before


def test_a_revision_counts_and_what_it_corrects_is_kept(
    ledger: Ledger, campaign, sent: Job
):
    old, new = measurement("a1", 300.0), measurement("a1", 290.0, revision=1)
    with ledger.visit(campaign, actor="lab") as w:
        w.add_observations([new])
        w.add_observations([old])
    assert ledger.measurements(campaign) == (new,)
    assert ledger.n_measured(campaign) == 1
    kept = {m.revision: r.is_current for r, m in ledger.revisions(campaign)}
    assert kept == {0: False, 1: True}


def test_replicates_of_a_well_stand_side_by_side(ledger: Ledger, campaign, sent: Job):
    results = [measurement("a1"), measurement("a1", 310.0, replicate=1)]
    with ledger.visit(campaign, actor="lab") as w:
        w.add_observations(results)
    assert ledger.measurements(campaign) == tuple(results)


def test_results_may_come_before_the_acknowledgement(
    ledger: Ledger, campaign, approved
):
    asked = approved()
    key = asked.submission_key
    with ledger.visit(campaign, actor="advance") as w:
        w.reserve_job(key, asked)
        w.move_job(key, SubmissionState.SUBMITTING)
    with ledger.visit(campaign, actor="lab") as w:
        w.add_observations([measurement("a1")])
    with ledger.visit(campaign, actor="advance") as w:
        w.move_job(key, SubmissionState.ACCEPTED)
    assert ledger.well_states(key) == {"a1": "measured", "a2": "planned"}
    ledger.verify(campaign)


@pytest.mark.parametrize(
    ("result", "error", "message"),
    [
        (measurement("z9"), NotFoundError, "well 'z9' of job 'boil-round-0'"),
        (measurement(key="not-a-job"), NotFoundError, "job 'not-a-job'"),
        (measurement(well=None), InvalidInputError, "both its job and its well"),
        (measurement(origin=Origin.VIRTUAL), ConflictError, "got \\['virtual'\\]"),
    ],
    ids=["unknown-well", "unknown-job", "no-well", "origin-not-admitted"],
)
def test_a_result_that_fits_nowhere_is_refused_whole(
    ledger: Ledger, campaign, sent: Job, result: Measurement, error, message: str
):
    with pytest.raises(error, match=message), ledger.visit(campaign, actor="lab") as w:
        w.add_observations([measurement("a1"), result])
    assert ledger.measurements(campaign) == ()


def test_measurements_without_a_job_are_told_apart_by_their_numbers(
    ledger: Ledger, campaign
):
    one = measurement(None, 300.0, key=None)
    two = measurement(None, 310.0, key=None, replicate=1)
    corrected = measurement(None, 305.0, key=None, revision=1)
    with ledger.visit(campaign, actor="ada") as w:
        w.add_observations([one, two, corrected])
    assert sorted(m.replicate for m in ledger.measurements(campaign)) == [0, 1]
    assert corrected in ledger.measurements(campaign)
    with (
        pytest.raises(DuplicateError, match=r"replicate 1 and revision 0\. Number"),
        ledger.visit(campaign, actor="ada") as w,
    ):
        w.add_observations([measurement(None, 333.0, key=None, replicate=1)])


def test_an_observation_enters_another_data_set_only_by_its_origin(
    ledger: Ledger, campaign, sent: Job
):
    ledger.add_dataset("dry", [Origin.REPLAYED, Origin.VIRTUAL], actor="ada")
    ledger.add_dataset("wet", [Origin.MEASURED], actor="ada")
    with pytest.raises(DuplicateError, match="one called 'wet'"):
        ledger.add_dataset("wet", [Origin.VIRTUAL], actor="ada")
    with ledger.visit(campaign, actor="ada") as w:
        w.add_observations([measurement("a1")])
        w.admit("dry", [measurement("a1").digest()])
    with (
        pytest.raises(ConflictError, match="'wet' admits \\['measured'\\]"),
        ledger.visit(campaign, actor="ada") as w,
    ):
        w.admit("wet", [measurement("a1").digest()])
    with (
        pytest.raises(NotFoundError, match="Only stored observations"),
        ledger.visit(campaign, actor="ada") as w,
    ):
        w.admit("dry", ["0" * 64])


STREAM = [
    measurement("a1", 300.0),
    measurement("a1", 301.0),  # the lab contradicts itself under one number
    measurement("a1", 302.0, measured_at=LATE),
    measurement("a1", None, replicate=1),
    measurement("a1", 303.0, replicate=1, revision=2),
    measurement("a2", 304.0, revision=1),
    measurement("a2", None),
    measurement("a2", None, revision=1, measured_at=LATE),
]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledger]:
    """A ledger in SQLite with a job of two wells that awaits its results."""
    path = tmp_path_factory.mktemp("stream") / "ledger.db"
    ledger = Ledger.open(f"sqlite:///{path}")
    open_campaign(ledger, parse_protocol(PROTOCOL), "boil")
    with ledger.visit("boil", actor="ada") as w:
        w.add_batch("boil-round-0", job(), proposer="ada")
        w.move_approval("boil-round-0", ApprovalState.AWAITING)
        w.move_approval("boil-round-0", ApprovalState.APPROVED)
        w.reserve_job("boil-round-0", job())
    yield ledger
    ledger.close()


Outcome = tuple[str, tuple[Measurement, ...], dict[str, WellState]]


@contextmanager
def delivered(
    ledger: Ledger, deliveries: list[list[Measurement]]
) -> Iterator[Connection]:
    """Take deliveries in, and forget them in the end: a rollback costs no disk."""
    with writing(ledger.engine).connect() as connection:
        writer = Writer(connection, Author("boil", "lab", None, utc_now(connection)))
        for delivery in deliveries:
            writer.add_observations(delivery)
        yield connection
        connection.rollback()


def data_of(ledger: Ledger, deliveries: list[list[Measurement]]) -> Outcome:
    """Return what deliveries lead to."""
    with delivered(ledger, deliveries) as connection:
        return (
            dataset_sha256(connection, "boil"),
            queries.current_measurements(connection, "boil"),
            queries.well_states(connection, "boil-round-0"),
        )


def outcome_of(ledger: Ledger, deliveries: list[list[Measurement]]) -> Outcome:
    """Return what deliveries lead to, with the chain verified."""
    with delivered(ledger, deliveries) as connection:
        verify_campaign(connection, "boil")
    return data_of(ledger, deliveries)


@pytest.fixture(scope="module")
def in_order(prepared: Ledger) -> Outcome:
    return outcome_of(prepared, [STREAM])


@settings(max_examples=250, deadline=None)
@given(
    order=st.permutations(STREAM),
    repeated=st.lists(st.sampled_from(STREAM), max_size=4),
    n_deliveries=st.integers(1, 4),
)
def test_any_order_and_duplication_gives_the_same_data_set(
    prepared: Ledger, in_order: Outcome, order, repeated, n_deliveries: int
):
    stream = [*order, *repeated]
    deliveries = [stream[i::n_deliveries] for i in range(n_deliveries)]
    assert outcome_of(prepared, deliveries) == in_order


DELIVERED = st.builds(
    measurement,
    st.sampled_from(["a1", "a2"]),
    st.sampled_from([None, 300.0, 301.0, -0.0, 0.0]),
    replicate=st.integers(0, 1),
    revision=st.integers(0, 2),
    measured_at=st.sampled_from([None, LATE, "2026-01-02T04:04:05+01:00"]),
    raw_sha256=st.sampled_from([None, "a" * 64, "b" * 64]),
)
"""Anything that a lab may say of two wells: it contradicts itself, in other files."""


def without_raw(result: Measurement) -> Measurement:
    """Return what a result says, whatever file it came from."""
    return result.model_copy(update={"raw_sha256": None})


def said_first(stream: list[Measurement]) -> list[Measurement]:
    """Return of each thing said the first result that says it."""
    first: dict[str, Measurement] = {}
    for result in stream:
        first.setdefault(without_raw(result).digest(), result)
    return list(first.values())


def check_any_stream(prepared: Ledger, n_cases: int) -> None:
    """Deliver random streams in two orders, cut and repeated in two ways."""

    @settings(
        max_examples=n_cases, deadline=None, database=None, phases=[Phase.generate]
    )
    @given(
        stream=st.lists(DELIVERED, min_size=1, max_size=6),
        data=st.data(),
    )
    def check(stream: list[Measurement], data: st.DataObject) -> None:
        orders = [data.draw(st.permutations(stream)) for _ in range(2)]
        orders[1] = orders[1] + data.draw(st.lists(st.sampled_from(stream), max_size=4))
        cuts = [data.draw(st.integers(1, 3)) for _ in orders]
        deliveries = [
            [order[i::n] for i in range(n)]
            for order, n in zip(orders, cuts, strict=True)
        ]
        first, second = (data_of(prepared, each) for each in deliveries)
        assert first == second
        # As the dispatcher does, that stores nothing again for other bytes only.
        heard = data_of(prepared, [[m] for m in said_first(orders[1])])
        assert heard[0] == first[0]
        assert [without_raw(m) for m in heard[1]] == [without_raw(m) for m in first[1]]

    check()


def test_any_stream_of_a_lab_gives_one_data_set(prepared: Ledger):
    check_any_stream(prepared, 100)


@pytest.mark.slow  # with the 250 above more than ten thousand cases
@pytest.mark.timeout(3600)
def test_ten_thousand_streams_of_a_lab_give_one_data_set_each(prepared: Ledger):
    check_any_stream(prepared, 10_000)


def test_a_stream_backwards_gives_the_same_data_set_when_stored(
    ledger: Ledger, campaign, sent: Job, in_order: Outcome
):
    for result in reversed(STREAM):
        with ledger.visit(campaign, actor="lab") as w:
            w.add_observations([result, result])
    assert (
        ledger.dataset_sha256(campaign),
        ledger.measurements(campaign),
        ledger.well_states(sent.submission_key),
    ) == in_order
    ledger.verify(campaign)
