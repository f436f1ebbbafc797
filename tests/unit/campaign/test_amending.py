"""Amending a running campaign: each kind of change, and everything that follows."""

import pytest

from labwm import campaign
from labwm.campaign.books import books
from labwm.errors import (
    ConflictError,
    DuplicateError,
    ForbiddenError,
    InvalidInputError,
    NotFoundError,
)
from labwm.schema import (
    AmendRequest,
    CampaignSpec,
    Origin,
    Principal,
    PrincipalKind,
    Scope,
    WaitsFor,
    parse_protocol,
)
from tests.unit.campaign.amended import (
    amend,
    approve,
    events,
    fill_in,
    in_the_lab,
    move,
    one_round,
)

DROP = {"kind": "drop", "parameter": "lid", "level": "open"}
OWN = {"power": 700.0, "volume": 0.3, "lid": "closed"}


def lids(name: str) -> list[set[object]]:
    """Return the lids of each batch."""
    return [
        {p.candidate.conditions["lid"] for p in batch.proposals}
        for batch in campaign.status(name).batches
    ]


@pytest.fixture
def replayed(spec: CampaignSpec) -> str:
    """A campaign that measured one round of four."""
    campaign.open_campaign(spec.model_copy(update={"policy": "random"}))
    campaign.advance(spec.name)
    return spec.name


def test_a_reagent_out_of_stock_is_in_no_later_batch(replayed: str):
    made = amend(replayed, DROP)
    assert (made.before.version, made.after.version) == (1, 2)
    assert made.n_candidates == 20
    assert (made.n_carried, made.not_carried) == (4, ())
    assert move(replayed).waits_for is WaitsFor.DONE
    assert all(found == {"closed"} for found in lids(replayed)[1:])
    now = campaign.status(replayed)
    assert now.summary.n_measured == 16
    assert now.summary.protocol == "kettle version 2"
    (event,) = events(replayed, "campaign.amended")
    assert event.actor == "local"
    campaign.verify_database()


@pytest.mark.slow
def test_models_go_on_learning_from_a_dropped_level(spec: CampaignSpec):
    campaign.open_campaign(spec)
    for _ in range(2):
        campaign.advance(spec.name)
    before = campaign.status(spec.name).summary.n_measured
    amend(spec.name, DROP)
    campaign.advance(spec.name)
    card = campaign.status(spec.name).model
    assert card is not None
    assert (card.protocol_version, card.n_rows) == (2, before)


def test_a_dropped_level_comes_back(replayed: str):
    amend(replayed, DROP)
    made = amend(replayed, DROP | {"kind": "add"})
    assert made.after.version == 3
    assert made.n_candidates == 40
    with pytest.raises(InvalidInputError, match="added once"):
        amend(replayed, DROP | {"kind": "add"})


def test_a_table_lab_gains_no_level_that_its_table_lacks(replayed: str):
    with pytest.raises(InvalidInputError, match="no row has 'lid' = 'glass'"):
        amend(replayed, {"kind": "add", "parameter": "lid", "level": "glass"})


def test_a_level_is_added_where_people_can_do_it(by_hand: CampaignSpec):
    name = one_round(by_hand)
    made = amend(name, {"kind": "add", "parameter": "lid", "level": "glass"})
    assert made.after.version == 2
    protocol = campaign.protocol_of(name)
    assert protocol.parameters[2].levels == ("open", "closed", "glass")


def test_a_bound_moved_withdraws_what_lies_outside(by_hand: CampaignSpec):
    name = one_round(by_hand)
    waiting = campaign.status(name).batches[-1]
    volumes = {p.id: p.candidate.conditions["volume"] for p in waiting.proposals}
    most = sorted(volumes.values())[1]
    made = amend(name, {"kind": "bounds", "parameter": "volume", "bounds": [0.2, most]})
    outside = {p for p, volume in volumes.items() if volume > most}
    assert {item.id for item in made.withdrawn} == outside
    assert set(made.queued_again) == set(volumes) - outside
    assert made.voided == (waiting.batch_id,)
    assert len(outside) == 2
    assert all("'volume' lies between 0.2 and" in item.why for item in made.withdrawn)

    assert move(name).waits_for is WaitsFor.APPROVAL
    again = campaign.status(name).batches[-1]
    assert [p.id for p in again.proposals][: len(made.queued_again)] == list(
        made.queued_again
    )
    assert again.content_sha256 != waiting.content_sha256
    assert max(p.candidate.conditions["volume"] for p in again.proposals) <= most
    assert campaign.status(name).batches[-2].approval == "expired"
    assert campaign.status(name).summary.n_pending == 4


def test_an_objective_changes_what_is_best(replayed: str):
    slow = {"readout": "seconds", "goal": "maximise"}
    before = campaign.status(replayed).best[0]
    amend(replayed, {"kind": "objectives", "objectives": [slow]})
    after = campaign.status(replayed).best[0]
    assert after.goal == "maximise"
    assert after.value > before.value


def test_an_approval_is_void_and_the_next_one_is_asked_for(by_hand: CampaignSpec):
    name = one_round(by_hand)
    approve(name)
    assert budget(name) == (0, 4, 4)
    amend(name, DROP)
    assert budget(name) == (4, 0, 4)
    assert move(name).waits_for is WaitsFor.APPROVAL
    states = [batch.approval for batch in campaign.status(name).batches]
    assert states == ["approved", "expired", "awaiting"]


def budget(name: str) -> tuple[float, float, float]:
    (found,) = [a for a in campaign.status(name).accounts if a.account == "budget"]
    return found.free, found.reserved, found.used


def test_a_job_in_the_lab_goes_on_under_its_own_version(by_hand: CampaignSpec):
    name = in_the_lab(by_hand)
    made = amend(name, DROP)
    (key,) = made.kept
    assert made.voided == ()
    fill_in(name)
    assert move(name).waits_for is WaitsFor.APPROVAL
    rows = campaign.measurements(name).measurements
    assert {m.job_key for m in rows} == {key}
    assert len(rows) == 4
    jobs = books().ledger.jobs(name)
    assert [view.job.protocol_version for view in jobs] == [1]
    assert campaign.status(name).batches[-1].proposals[0].round == 1


def test_a_new_version_carries_results_by_the_declared_mapping(by_hand, kettle):
    name = one_round(by_hand)
    text = (kettle / "kettle.yaml").read_text()
    text = text.replace("version: 1", "version: 2").replace("name: lid", "name: cover")
    text = text.replace(
        "readouts:", "  - {name: salt, kind: continuous, bounds: [0, 1]}\nreadouts:"
    )
    new = parse_protocol(text).model_dump(mode="json")
    bare = amend(name, {"kind": "protocol", "protocol": new}, dry_run=True)
    assert bare.n_carried == 0
    assert len(bare.not_carried) == 4
    assert "no condition ['lid']" in bare.not_carried[0].why

    carrying = {"renamed": {"lid": "cover"}, "filled": {"salt": 0.0}}
    made = amend(name, {"kind": "protocol", "protocol": new, "carrying": carrying})
    assert (made.n_carried, made.not_carried) == (4, ())
    assert len(made.withdrawn) == 4
    assert "terms of the version before" in made.withdrawn[0].why
    assert move(name).waits_for is WaitsFor.APPROVAL
    approve(name)
    move(name)
    fill_in(name)
    assert move(name).waits_for is WaitsFor.DONE
    # What was measured is kept as it was measured.
    rows = campaign.measurements(name).measurements
    assert sum("lid" in m.conditions for m in rows) == 4
    assert sum("salt" in m.conditions for m in rows) == 4
    campaign.verify_database()


@pytest.mark.slow
def test_what_cannot_be_carried_is_named_and_kept(by_hand, kettle):
    name = one_round(by_hand)
    text = (kettle / "kettle.yaml").read_text().replace("version: 1", "version: 2")
    text = text.replace("name: lid", "name: cover")
    new = parse_protocol(text).model_dump(mode="json")
    made = amend(name, {"kind": "protocol", "protocol": new})
    assert len(made.not_carried) == 4
    now = campaign.status(name)
    assert now.summary.n_measured == 4
    assert now.best == ()
    assert len(campaign.measurements(name).measurements) == 4


@pytest.mark.slow
def test_a_results_file_of_the_version_before_is_still_read(by_hand, kettle):
    name = in_the_lab(by_hand)
    text = (kettle / "kettle.yaml").read_text().replace("version: 1", "version: 2")
    text = text.replace("name: seconds, unit: s, column: time", "name: boil, unit: s")
    new = parse_protocol(text.replace("readout: seconds", "readout: boil"))
    amend(name, {"kind": "protocol", "protocol": new.model_dump(mode="json")})
    fill_in(name)
    assert move(name).waits_for is WaitsFor.APPROVAL
    rows = campaign.measurements(name).measurements
    assert {tuple(m.readouts) for m in rows} == {("seconds",)}
    assert len(rows) == 4


def test_a_persons_own_experiment_teaches_and_costs_no_budget(by_hand):
    name = in_the_lab(by_hand)
    result = {
        "kind": "result",
        "conditions": OWN,
        "readouts": {"seconds": {"value": 55.0}},
    }
    made = amend(name, result, result)
    assert [taken.what for taken in made.results] == ["a person's own experiment"] * 2
    now = campaign.status(name)
    assert (now.summary.n_measured, now.summary.n_own) == (0, 2)
    assert now.best[0].value == 55.0
    rows = campaign.measurements(name).measurements
    assert [(m.replicate, m.origin) for m in rows] == [
        (0, Origin.MEASURED),
        (1, Origin.MEASURED),
    ]
    fill_in(name)
    move(name)
    approve(name)
    move(name)
    fill_in(name)
    assert move(name).waits_for is WaitsFor.DONE
    assert campaign.status(name).summary.n_measured == 8
    assert campaign.review(name).verdict == "abstain"
    campaign.verify_database()


def test_recommended_a_did_b(by_hand: CampaignSpec):
    name = in_the_lab(by_hand)
    planned = campaign.status(name).batches[0].proposals[2]
    key = campaign.status(name).batches[0].submission_key
    fill_in(name, 2)
    move(name)
    amend(
        name,
        {
            "kind": "result",
            "conditions": OWN,
            "readouts": {"seconds": {"value": 99.0}},
            "instead_of": planned.id,
        },
    )
    now = campaign.status(name).summary
    assert (now.n_measured, now.n_own, now.n_pending) == (3, 0, 1)
    with pytest.raises(ConflictError, match="each of its wells has one"):
        amend(
            name,
            {
                "kind": "result",
                "conditions": OWN,
                "readouts": {"seconds": {"value": 99.0}},
                "instead_of": f"{key}/003",
            },
        )
    # B teaches, and is never scored against what was predicted of A.
    (done,) = [
        m for m in campaign.measurements(name).measurements if m.conditions == OWN
    ]
    assert (done.well, done.proposal_id) == ("003", None)
    fill_in(name)
    assert move(name).waits_for is WaitsFor.APPROVAL
    (still,) = [m for m in campaign.measurements(name).measurements if m.well == "003"]
    assert still.conditions == OWN
    campaign.verify_database()


@pytest.mark.slow
def test_a_result_done_differently_ends_a_job_that_nobody_else_answers(by_hand):
    name = in_the_lab(by_hand)
    key = campaign.status(name).batches[0].submission_key
    results = [
        {
            "kind": "result",
            "conditions": OWN | {"volume": 0.3 + i / 10},
            "readouts": {"seconds": {"value": 50.0 + i}},
            "instead_of": f"{key}/00{i + 1}",
        }
        for i in range(4)
    ]
    amend(name, *results)
    assert move(name).waits_for is WaitsFor.APPROVAL
    assert campaign.status(name).summary.n_measured == 4


def test_a_corrected_result_counts_and_the_old_one_is_kept(by_hand):
    name = one_round(by_hand)
    first = campaign.measurements(name).measurements[0]
    made = amend(
        name,
        {
            "kind": "correct",
            "observation": first.digest()[:10],
            "readouts": {"seconds": {"value": 4.0}},
        },
    )
    assert made.after.version == 1
    now = campaign.measurements(name).measurements[0]
    assert now.digest() == made.results[0].observation_id
    assert (now.revision, now.readouts["seconds"].value) == (1, 4.0)
    assert now.proposal_id == first.proposal_id
    kept = [m for _, m in books().ledger.revisions(name)]
    assert first in kept
    with pytest.raises(ConflictError, match="a later revision counts"):
        amend(name, {"kind": "retract", "observation": first.digest()})
    campaign.verify_database()


def test_the_next_model_learns_without_a_retracted_result(spec: CampaignSpec):
    campaign.open_campaign(spec)
    for _ in range(2):
        campaign.advance(spec.name)
    rows = campaign.measurements(spec.name).measurements
    gone = rows[0].digest()
    amend(spec.name, {"kind": "retract", "observation": gone})
    campaign.advance(spec.name)
    card = campaign.status(spec.name).model
    assert card is not None
    assert card.n_rows == len(rows) - 1
    assert campaign.status(spec.name).summary.n_measured == 11
    with pytest.raises(ConflictError, match="retracted once"):
        amend(spec.name, {"kind": "retract", "observation": gone})
    campaign.verify_database()


def test_a_later_export_does_not_bring_a_retracted_well_back(by_hand):
    name = one_round(by_hand)
    first = campaign.measurements(name).measurements[0]
    amend(name, {"kind": "retract", "observation": first.digest()})
    approve_and_export(name, f"{first.job_key}.again.csv", "well,time [s]\n001,77\n")
    assert not [
        m
        for m in campaign.measurements(name).measurements
        if (m.job_key, m.well) == (first.job_key, "001")
    ]
    kept = [m.readouts["seconds"].value for _, m in books().ledger.revisions(name)]
    assert 77.0 in kept
    # A person says what counts again.
    amend(
        name,
        {
            "kind": "correct",
            "observation": first.digest(),
            "readouts": {"seconds": {"value": 76.0}},
        },
    )
    (again,) = [
        m
        for m in campaign.measurements(name).measurements
        if (m.job_key, m.well) == (first.job_key, "001")
    ]
    assert again.readouts["seconds"].value == 76.0
    campaign.verify_database()


def approve_and_export(name: str, file: str, content: str) -> None:
    from labwm import settings

    move(name)
    approve(name)
    move(name)
    (settings.lab_folder("folder") / name / "inbox" / file).write_text(content)
    move(name)


def test_a_dry_run_says_the_same_and_changes_nothing(replayed: str):
    before = books().ledger.events(replayed)
    told = amend(replayed, DROP, dry_run=True)
    assert books().ledger.events(replayed) == before
    made = amend(replayed, DROP)
    same = {"is_dry_run", "request_sha256"}
    assert told.model_dump(exclude=same) == made.model_dump(exclude=same)


def test_the_same_request_again_changes_nothing(by_hand: CampaignSpec):
    name = in_the_lab(by_hand)
    result = {
        "kind": "result",
        "conditions": OWN,
        "readouts": {"seconds": {"value": 55.0}},
    }
    first = amend(name, result, idempotency_key="once-only")
    assert amend(name, result, idempotency_key="once-only") == first
    assert campaign.status(name).summary.n_own == 1
    with pytest.raises(DuplicateError, match="used for another"):
        amend(name, DROP, idempotency_key="once-only")


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (DROP | {"parameter": "lidd"}, InvalidInputError, "Did you mean 'lid'"),
        (DROP | {"level": "opn"}, InvalidInputError, "Did you mean 'open'"),
        (DROP | {"parameter": "volume"}, InvalidInputError, "Move its bounds"),
        (
            {"kind": "bounds", "parameter": "volume", "bounds": [0.2, 2.0]},
            InvalidInputError,
            "has \\[0.2, 2.0\\] already",
        ),
        (
            {"kind": "bounds", "parameter": "lid", "bounds": [0.2, 2.0]},
            InvalidInputError,
            "is categorical",
        ),
        (
            {"kind": "objectives", "objectives": [{"readout": "x", "goal": "match"}]},
            InvalidInputError,
            "has a target",
        ),
        ({"kind": "retract", "observation": "0" * 64}, NotFoundError, "no result"),
        ({"kind": "retract", "observation": "boil-r9"}, NotFoundError, "no result"),
        (
            {
                "kind": "result",
                "conditions": OWN,
                "readouts": {"seconds": {"value": 1.0}},
            },
            ConflictError,
            "admits \\['replayed'\\], got 'measured'",
        ),
    ],
)
def test_a_change_that_cannot_be_is_refused_whole(
    replayed: str, change: dict[str, object], error: type[Exception], message: str
):
    before = books().ledger.events(replayed)
    with pytest.raises((error, ValueError), match=message):
        amend(replayed, DROP, change)
    assert books().ledger.events(replayed) == before
    assert campaign.status(replayed).summary.protocol == "kettle version 1"


def test_only_people_amend(replayed: str):
    request = AmendRequest.model_validate(
        {"campaign_id": replayed, "reason": "I say so", "changes": [DROP]}
    )
    agent = Principal(
        name="robby", kind=PrincipalKind.AGENT, scopes=(Scope.SUBMIT, Scope.PROPOSE)
    )
    with pytest.raises(ForbiddenError, match="Only a person"):
        campaign.amend(request, principal=agent)
    reader = Principal(name="ada", kind=PrincipalKind.PERSON, scopes=(Scope.READ,))
    with pytest.raises(ForbiddenError, match="needs the scope 'approve'"):
        campaign.amend(request, principal=reader)


@pytest.mark.slow
def test_two_campaigns_on_one_protocol_amend_it_differently(spec: CampaignSpec):
    for name in ("first", "second"):
        campaign.open_campaign(
            spec.model_copy(update={"name": name, "policy": "random"})
        )
    assert amend("first", DROP).after.version == 2
    assert amend("second", DROP | {"level": "closed"}).after.version == 3
    for name in ("first", "second"):
        move(name)
    assert lids("first")[0] == {"closed"}
    assert lids("second")[0] == {"open"}


@pytest.mark.slow
def test_a_done_campaign_takes_results_and_no_new_version(by_hand):
    name = one_round(by_hand)
    approve(name)
    move(name)
    fill_in(name)
    assert move(name).waits_for is WaitsFor.DONE
    with pytest.raises(ConflictError, match="done chooses nothing more"):
        amend(name, DROP)
    first = campaign.measurements(name).measurements[0]
    amend(name, {"kind": "retract", "observation": first.digest()})
    assert campaign.status(name).summary.n_measured == 7
