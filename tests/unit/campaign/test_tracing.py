"""Provenance in one call: down to raw bytes and approver, and up to every model."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import event

from labwm import campaign
from labwm.campaign.books import books
from labwm.errors import ConflictError, NotFoundError
from labwm.schema import CampaignSpec, Measurement, Trace, TraceNode, TraceRequest
from tests.unit.campaign.amended import amend, approve, fill_in, move, one_round
from tests.unit.campaign.conftest import spec_in, write_kettle


def trace(name: str, **fields: object) -> Trace:
    return campaign.trace(TraceRequest.model_validate({"id": name} | fields))


def walk(*nodes: TraceNode) -> Iterator[TraceNode]:
    for node in nodes:
        yield node
        yield from walk(*node.parts)


def of_kind(kind: str, *nodes: TraceNode) -> list[TraceNode]:
    return [node for node in walk(*nodes) if node.kind == kind]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a campaign of three rounds, the last two chosen by models."""
    folder = tmp_path_factory.mktemp("learnt")
    spec = spec_in(write_kettle(folder))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LABWM_HOME", str(folder / "home"))
        campaign.open_campaign(spec)
        for _ in range(3):
            campaign.advance(spec.name)
        books().ledger.close()
    return folder / "home"


@pytest.fixture
def learnt(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """That campaign, in a home of the test's own."""
    shutil.copytree(home, tmp_path / "home")
    monkeypatch.setenv("LABWM_HOME", str(tmp_path / "home"))
    return "boil"


def first_modelled(name: str) -> tuple[str, Measurement]:
    """Return the first prediction, and a result that its model learnt from."""
    for batch in campaign.status(name).batches:
        for proposal in batch.proposals:
            if proposal.prediction_id is not None:
                rows = campaign.measurements(name).measurements
                return proposal.prediction_id, rows[0]
    raise AssertionError


def test_a_prediction_leads_to_model_protocol_and_whoever_approved(learnt: str):
    name, _ = first_modelled(learnt)
    found = trace(name)
    assert (found.kind, found.campaign_id) == ("prediction", learnt)
    (model,) = of_kind("model", found.rests_on)
    assert model.says["data_sha256"] == found.rests_on.says["data_sha256"]
    assert "after event" in str(model.says["fitted_to"])
    assert "not recorded" not in str(model.says["fitted_to"])
    jobs = of_kind("job", found.rests_on)
    protocols = of_kind("protocol", found.rests_on)
    assert len(jobs) == len(protocols) >= 1
    assert all(len(str(node.says["sha256"])) == 64 for node in protocols)
    approvals = of_kind("approval", found.rests_on)
    assert {node.says["by"] for node in approvals} == {"the protocol's written policy"}
    # Reached: the proposal it justified, its seed, and what was measured of it.
    (proposal,) = of_kind("proposal", *found.reached)
    assert isinstance(proposal.says["seed"], int)
    assert of_kind("result", *found.reached)


def test_a_model_learnt_from_what_counted_then(learnt: str):
    name, _ = first_modelled(learnt)
    (model,) = of_kind("model", trace(name).rests_on)
    results = of_kind("result", model)
    assert 0 < len(results) <= int(str(model.says["n_rows"]))


def test_a_result_leads_to_every_model_that_learnt_from_it(learnt: str):
    _, first = first_modelled(learnt)
    cards = dict(books().ledger.model_cards(learnt))
    reached = of_kind("model", *trace(first.digest()[:12]).reached)
    assert {node.id for node in reached} == set(cards)
    last = campaign.measurements(learnt).measurements[-1]
    assert trace(last.digest()).reached == ()
    chosen = of_kind("proposal", *trace(first.digest()).reached)
    placed = {
        p.id for b in campaign.status(learnt).batches for p in b.proposals
        if p.model_sha256
    }  # fmt: skip
    assert {node.id for node in chosen} == placed


def test_a_retracted_well_leads_to_the_models_before_and_to_none_after(learnt: str):
    _, first = first_modelled(learnt)
    before = set(dict(books().ledger.model_cards(learnt)))
    amend(learnt, {"kind": "retract", "observation": first.digest()})
    campaign.advance(learnt)
    after = set(dict(books().ledger.model_cards(learnt))) - before
    assert after
    found = trace(f"{first.job_key}/{first.well}")
    assert found.kind == "well"
    assert {node.id for node in of_kind("model", *found.reached)} == before
    (said,) = of_kind("retracted", found.rests_on)
    assert (said.says["by"], said.says["reason"]) == ("local", "it had to be")
    # And back: the newest model did not learn from it.
    newest = trace(after.pop())
    assert first.digest() not in {n.id for n in of_kind("result", newest.rests_on)}


def test_a_measured_result_leads_to_its_raw_bytes_and_approver(by_hand):
    name = one_round(by_hand)
    rows = campaign.measurements(name).measurements
    found = trace(rows[0].digest())
    (approval,) = of_kind("approval", found.rests_on)
    assert (approval.id, approval.says["by"]) == ("approved", "local")
    batch = campaign.status(name).batches[0]
    assert approval.says["content_sha256"] == batch.content_sha256
    (raw,) = of_kind("raw", found.rests_on)
    if rows[0].raw_sha256 is None:
        assert "typed" in str(raw.says["why"])
    else:
        assert raw.says["is_stored"] is True
        by_bytes = trace(rows[0].raw_sha256)
        assert by_bytes.kind == "raw"
        assert rows[0].digest() in {n.id for n in of_kind("result", *by_bytes.reached)}


def test_a_corrected_result_shows_who_corrected_it_and_both_revisions(by_hand):
    name = one_round(by_hand)
    first = campaign.measurements(name).measurements[0]
    change = {"readouts": {"seconds": {"value": 4.0}}}
    amend(name, {"kind": "correct", "observation": first.digest()} | change)
    found = trace(f"{first.job_key}/{first.well}")
    results = of_kind("result", found.rests_on)
    assert [node.says["counts"] for node in results] == [False, True]
    (made,) = of_kind("amendment", found.rests_on)
    assert made.says["what"] == f"corrects {first.digest()[:12]}"


@pytest.mark.slow
def test_what_an_amendment_could_not_carry_reached_no_later_model(by_hand, kettle):
    from labwm.schema import parse_protocol

    policy = by_hand.model_copy(update={"policy": "default", "budget": 16})
    name = one_round(policy)
    for _ in range(2):
        approve(name)
        move(name)
        fill_in(name)
        move(name)
    first = campaign.measurements(name).measurements[0]
    before = {n.id for n in of_kind("model", *trace(first.digest()).reached)}
    assert before
    text = (kettle / "kettle.yaml").read_text().replace("version: 1", "version: 2")
    new = parse_protocol(text.replace("name: lid", "name: cover"))
    carrying = {"renamed": {"lid": "cover"}}
    change = {"kind": "protocol", "protocol": new.model_dump(mode="json")}
    made = amend(name, change)
    assert len(made.not_carried) == 12
    third = change["protocol"] | {"version": 3}
    again = amend(
        name,
        {"kind": "protocol", "protocol": third, "carrying": carrying},
        dry_run=True,
    )
    assert again.n_carried == 12
    move(name)
    after = {n.id for n in of_kind("model", *trace(first.digest()).reached)}
    assert after == before


@pytest.mark.parametrize(
    "name", ["no-such-thing", "boil-x-r000/001", "deadbeef", "dead", "'; DROP TABLE"]
)
def test_a_name_that_nothing_has_is_an_error(learnt: str, name: str):
    with pytest.raises(NotFoundError, match="A trace starts from"):
        trace(name)


def test_every_kind_of_name_is_understood(learnt: str):
    batch = campaign.status(learnt).batches[-1]
    key = batch.submission_key
    assert key is not None
    cards = dict(books().ledger.model_cards(learnt))
    kinds = {
        batch.proposals[0].id: "proposal",
        key: "job",
        f"{key}/001": "well",
        next(iter(cards))[:9]: "model",
    }
    for name, kind in kinds.items():
        assert trace(name).kind == kind
    job = trace(key, limit=2)
    assert [node.n_more for node in job.reached] == [2]


def test_equal_names_in_two_campaigns_ask_for_one(spec: CampaignSpec):
    for name in ("first", "second"):
        campaign.open_campaign(
            spec.model_copy(update={"name": name, "policy": "random"})
        )
    prediction = first_prediction()
    for name in ("first", "second"):
        with books().ledger.visit(name, actor="ada") as w:
            w.add_predictions([prediction.model_copy(update={"campaign_id": name})])
    with pytest.raises(ConflictError, match="of first, prediction x of second"):
        trace("x")
    assert trace("x", campaign_id="second").campaign_id == "second"


def first_prediction():
    from tests.unit.store.conftest import prediction

    return prediction("x")


def test_no_trace_reads_a_table_from_end_to_end(learnt: str):
    """However many results there are: each step goes through an index."""
    prediction, first = first_modelled(learnt)
    proposal = campaign.status(learnt).batches[-1].proposals[0]
    (model, *_) = dict(books().ledger.model_cards(learnt))
    asked: list[tuple[str, object]] = []

    def listen(connection, cursor, statement, parameters, context, many) -> None:
        if statement.startswith("SELECT"):
            asked.append((statement, parameters))

    engine = books().ledger.engine
    event.listen(engine, "before_cursor_execute", listen)
    key = first.job_key or ""
    for name in (
        *(prediction, proposal.id, key, f"{key}/{first.well}", model),
        *(first.digest(), first.digest()[:10]),
    ):
        trace(name)
    event.remove(engine, "before_cursor_execute", listen)
    assert len(asked) > 100
    scanned: set[str] = set()
    with engine.connect() as connection:
        for statement, parameters in asked:
            plan = connection.exec_driver_sql(
                f"EXPLAIN QUERY PLAN {statement}",
                parameters,  # pyright: ignore[reportArgumentType]
            )
            scanned |= {row[3] for row in plan if row[3].startswith("SCAN")}
    assert {line.split()[1] for line in scanned} <= {"campaigns"}, scanned


def test_a_model_of_an_older_ledger_says_what_is_not_recorded(learnt: str):
    from tests.unit.store.conftest import CARD

    with books().ledger.visit(learnt, actor="ada") as w:
        name = w.add_model_card(CARD)
    (model,) = of_kind("model", trace(name).rests_on)
    assert "not recorded" in str(model.says["fitted_to"])


def test_damaged_or_lost_raw_bytes_are_told(spec: CampaignSpec, monkeypatch):
    from labwm import settings

    campaign.open_campaign(spec.model_copy(update={"policy": "random"}))
    campaign.advance(spec.name)
    first = campaign.measurements(spec.name).measurements[0]
    raw = books().objects.put(b"well,time\n001,12\n")
    revised = first.model_copy(update={"revision": 1, "raw_sha256": raw})
    with books().ledger.visit(spec.name, actor="lab") as w:
        w.add_observations([revised])
    (node,) = of_kind("raw", trace(revised.digest()).rests_on)
    assert node.says == {"is_stored": True, "n_bytes": 17}
    (path,) = [p for p in settings.home().rglob(raw[2:]) if p.is_file()]
    path.chmod(0o600)
    path.write_bytes(b"other")
    (node,) = of_kind("raw", trace(revised.digest()).rests_on)
    assert node.says == {"is_stored": True, "is_damaged": True}
    path.unlink()
    (node,) = of_kind("raw", trace(raw).rests_on)
    assert node.says == {"is_stored": False}
