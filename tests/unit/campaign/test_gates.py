"""Gates before spending: plate map, inventory, hazards, budget; each says why."""

import csv
import re
import time
from pathlib import Path

import pytest

from labwm import campaign, settings
from labwm.campaign.books import books
from labwm.campaign.plates import faults_of, lay_out
from labwm.campaign.situation import read_situation
from labwm.errors import ConflictError, ForbiddenError, InvalidInputError, NotFoundError
from labwm.schema import (
    ApprovalRequest,
    BatchInfo,
    BudgetRequest,
    CampaignSpec,
    CampaignState,
    Job,
    Principal,
    PrincipalKind,
    ProposeRequest,
    Scope,
    SubmitRequest,
    SupplyRequest,
    WaitsFor,
)
from tests.unit.campaign.conftest import PROTOCOL

ANNA = Principal(name="anna", kind=PrincipalKind.PERSON, scopes=(Scope.APPROVE,))
ROBOT = Principal(
    name="robot", kind=PrincipalKind.AGENT, scopes=(Scope.PROPOSE, Scope.APPROVE)
)
PLATE = """
plate:
  rows: 4
  columns: 6
  replicates: 2
  unused: [D6]
  well_volume: 2 L
  controls:
    - {name: cold, conditions: {power: 500, volume: 1.75, lid: open}, wells: [A1, D1]}
    - {name: hot, conditions: {power: 2500, volume: 0.5, lid: closed}, count: 2}
"""
STOCKS = """
costs:
  per_experiment: {amount: 10, currency: EUR}
  per_batch: {amount: 5}
  levels:
    lid: {closed: {price: 2.5, stock: 5, lead_time: 14 d}}
  stocks:
    tea: {amount: 100 mg, per_well: 8000 ug, per_batch: 1 mg}
    water: {amount: 30 L, of: volume}
"""


def opened(kettle: Path, extra: str, **changes: object) -> CampaignSpec:
    """Open a campaign that asks, on the kettle's protocol and something more."""
    text = (PROTOCOL % ", approval: {replayed: always}").replace("kettle", "asking")
    (kettle / "gated.yaml").write_text(text + extra)
    fields = {
        "name": "gated",
        "protocol": str(kettle / "gated.yaml"),
        "data": str(kettle / "kettle.csv"),
        "budget": 8,
    }
    spec = CampaignSpec.model_validate(fields | changes)
    campaign.open_campaign(spec)
    return spec


def waiting() -> BatchInfo:
    step = campaign.advance("gated")
    assert step.waits_for is WaitsFor.APPROVAL, step
    return campaign.status("gated").batches[-1]


def request(batch: BatchInfo, **changes: object) -> ApprovalRequest:
    fields = {
        "campaign_id": "gated",
        "content_sha256": batch.content_sha256,
        "decision": "approve",
    }
    return ApprovalRequest.model_validate(fields | changes)


def accounts() -> dict[str, tuple[float, float, float]]:
    return {
        one.account: (one.free, one.reserved, one.used)
        for one in campaign.status("gated").accounts
    }


def test_a_batch_is_laid_out_with_controls_and_replicates(kettle: Path):
    opened(kettle, PLATE)
    batch = waiting()
    assert batch.plate is not None
    assert (batch.plate.rows, batch.plate.columns) == (4, 6)
    names = {well.name: well for well in batch.wells}
    assert names["A1"].control == names["D1"].control == "cold"
    assert sum(well.control == "hot" for well in batch.wells) == 2
    assert len(batch.wells) == 4 + 2 * 4
    assert "D6" not in names
    assert {gate.gate for gate in batch.gates} == {
        *("validation", "plate map", "hard to change"),
        *("volumes", "inventory", "budget"),
    }
    assert all(gate.passed for gate in batch.gates)
    campaign.decide(request(batch), principal=ANNA)
    step = campaign.advance("gated")
    assert step.n_measured == 4  # controls are no experiments
    situation = read_situation(books(), "gated")
    assert len(situation.measurements) == 8
    assert campaign.measurements("gated").total == 12
    assert step.waits_for is not WaitsFor.DONE


def test_the_report_shows_each_plate_and_its_controls(kettle: Path, tmp_path: Path):
    opened(kettle, PLATE)
    campaign.decide(request(waiting()), principal=ANNA)
    campaign.advance("gated")
    page = Path(campaign.report("gated", tmp_path / "report").page).read_text()
    assert page.count('<td title="') == 24
    assert "D6: empty" in page
    assert re.search(r"<td>cold</td><td class=\"n\">2</td><td class=\"n\">2</td>", page)


def test_the_worklist_is_the_layout_that_was_approved(kettle: Path):
    adapter = "{adapter: folder, settings: {settle_seconds: 0}, batch_size: 4}"
    text = (PROTOCOL % "").replace("{adapter: replay, batch_size: 4}", adapter)
    (kettle / "bench.yaml").write_text(text + PLATE)
    spec = CampaignSpec(name="gated", protocol=str(kettle / "bench.yaml"), budget=8)
    campaign.open_campaign(spec)
    batch = waiting()
    campaign.decide(request(batch), principal=ANNA)
    assert campaign.advance("gated").waits_for is not WaitsFor.DONE
    folder = settings.lab_folder("folder") / "gated" / "outbox"
    (worklist,) = folder.glob("*.worklist.csv")
    rows = list(csv.DictReader(worklist.read_text().splitlines()))
    found = [(row["well"], row["control"], float(row["power [W]"])) for row in rows]
    wanted = [
        (well.name, well.control or "", well.conditions["power"])
        for well in batch.wells
    ]
    assert found == wanted
    assert len({place for place, _, _ in found}) == len(found)
    back = folder.parent / "inbox" / worklist.name
    with back.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(row | {"time [s]": "321"} for row in rows)
    assert campaign.advance("gated").n_measured == 4
    assert campaign.measurements("gated").total == 12


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda wells: [w for w in wells if w.name != "A1"], "control cold"),
        (lambda wells: [w for w in wells if w.control != "hot"], "control hot"),
        (lambda wells: wells[:-1], "fewer|control"),
        (
            lambda wells: [
                w.model_copy(update={"conditions": {"power": 1.0}}) if w.control else w
                for w in wells
            ],
            "its own conditions",
        ),
        (lambda wells: _swapped(wells), "not the one drawn"),
        (lambda wells: _moved(wells, "D6"), "stay empty"),
    ],
    ids=["fixed-gone", "loose-gone", "well-gone", "other", "swapped", "on-unused"],
)
def test_a_plate_map_that_was_changed_is_found(kettle: Path, change, fault: str):
    opened(kettle, PLATE)
    waiting()
    situation = read_situation(books(), "gated")
    (stored,) = books().ledger.batches("gated")
    assert faults_of(situation.protocol, stored.job) == []
    wells = tuple(change(list(stored.job.wells)))
    found = faults_of(
        situation.protocol, stored.job.model_copy(update={"wells": wells})
    )
    assert found
    assert re.search(fault, "; ".join(found))


def _swapped(wells: list) -> list:
    a, b = [i for i, well in enumerate(wells) if well.control is None][:2]
    first, second = wells[a].name, wells[b].name
    wells[a] = wells[a].model_copy(update={"name": second})
    wells[b] = wells[b].model_copy(update={"name": first})
    return wells


def _moved(wells: list, place: str) -> list:
    return [*wells[:-1], wells[-1].model_copy(update={"name": place})]


def test_two_wells_in_one_place_are_refused(kettle: Path):
    opened(kettle, PLATE)
    waiting()
    (stored,) = books().ledger.batches("gated")
    body = stored.job.model_dump(mode="json")
    body["wells"][1]["name"] = body["wells"][0]["name"]
    with pytest.raises(ValueError, match="its own name"):
        Job.model_validate(body)
    body["wells"][1]["name"] = "Z9"
    with pytest.raises(ValueError, match="places"):
        Job.model_validate(body)


def test_the_order_is_drawn_by_the_seed_and_nothing_else(kettle: Path):
    opened(kettle, PLATE)
    waiting()
    situation = read_situation(books(), "gated")
    (stored,) = books().ledger.batches("gated")
    wells = [well for well in stored.job.wells if well.control is None]
    assert stored.job.plate is not None
    again = lay_out(situation.protocol, wells[::-1], seed=stored.job.plate.seed)
    assert again == stored.job.wells
    assert lay_out(situation.protocol, wells, seed=1) != stored.job.wells


def test_a_batch_that_no_plate_holds_is_refused_at_the_protocol(kettle: Path):
    with pytest.raises(InvalidInputError, match="fits the plate; 4 experiments"):
        opened(kettle, "plate: {rows: 2, columns: 3, replicates: 2}\n")


def test_a_batch_is_cut_to_what_the_plate_holds(kettle: Path):
    opened(kettle, PLATE, batch_size=40, budget=30)
    assert len(waiting().proposals) == 9  # (24 - 1 - 4) wells, 2 of each


def test_what_a_batch_takes_is_reserved_then_used(kettle: Path):
    opened(kettle, STOCKS)
    batch = waiting()
    closed = sum(p.candidate.conditions["lid"] == "closed" for p in batch.proposals)
    litres = sum(float(p.candidate.conditions["volume"]) for p in batch.proposals)
    assert batch.cost == pytest.approx(45 + 2.5 * closed)
    assert accounts()["tea"] == (100, 0, 0)
    campaign.decide(request(batch), principal=ANNA)
    assert accounts()["tea"] == (67, 33, 0)
    assert accounts()["lid closed"] == (5 - closed, closed, 0)
    assert accounts()["water"][1] == pytest.approx(litres)
    assert accounts()["budget"] == (4, 4, 0)
    campaign.advance("gated")
    assert accounts()["tea"] == (67, 0, 33)
    assert accounts()["budget"] == (4, 0, 4)
    books().ledger.verify("gated")


def test_nothing_is_proposed_that_is_out_of_stock(kettle: Path):
    opened(kettle, STOCKS.replace("stock: 5", "stock: 0"))
    for proposal in waiting().proposals:
        assert proposal.candidate.conditions["lid"] == "open"


def test_without_stock_the_campaign_waits_for_a_supply(kettle: Path):
    opened(kettle, STOCKS.replace("100 mg", "5 mg"))
    step = campaign.advance("gated")
    assert step.waits_for is WaitsFor.PERSON
    assert "tea: 9 mg needed, 5 mg free" in step.did
    more = SupplyRequest(
        campaign_id="gated",
        stock="tea",
        amount="0.02 g",
        note="parcel of Monday",
        idempotency_key="parcel-1",
    )
    with pytest.raises(ForbiddenError, match="Only a person"):
        campaign.supply(more, principal=ROBOT)
    for _ in range(2):
        campaign.supply(more, principal=ANNA)
    assert accounts()["tea"] == (25, 0, 0)
    assert len(waiting().proposals) == 3  # 3 x 8 mg and 1 mg lost
    with pytest.raises(NotFoundError, match="Did you mean 'tea'"):
        campaign.supply(more.model_copy(update={"stock": "teas"}), principal=ANNA)
    with pytest.raises(InvalidInputError):
        campaign.supply(more.model_copy(update={"amount": "3 mL"}), principal=ANNA)


def test_the_shortage_names_the_lead_time(kettle: Path):
    lids = "{closed: {stock: 1, lead_time: 14 d}, open: {stock: 1, lead_time: 2 d}}"
    opened(kettle, f"costs: {{levels: {{lid: {lids}}}}}")
    told: list[str] = []
    campaign.advance("gated", progress=told.append)
    (batch,) = campaign.status("gated").batches
    found = [p.candidate.conditions["lid"] for p in batch.proposals]
    assert sorted(set(found)) == sorted(found)  # one well of each at most
    assert re.search("2 wells needed, 1 wells free, ordering takes (14|2) d", str(told))


def test_a_well_that_would_overflow_is_never_proposed(kettle: Path):
    opened(kettle, STOCKS + "plate: {rows: 4, columns: 6, well_volume: 1250 mL}\n")
    for proposal in waiting().proposals:
        assert float(proposal.candidate.conditions["volume"]) <= 1.25


def test_a_hazard_asks_a_person_whatever_the_policy_says(kettle: Path):
    hazard = "costs: {levels: {lid: {open: {hazard: scalding}, closed: {hazard: hot}}}}"
    text = (PROTOCOL % "").replace("kettle", "risky") + hazard
    (kettle / "risky.yaml").write_text(text)
    spec = CampaignSpec(
        name="gated",
        protocol=str(kettle / "risky.yaml"),
        data=str(kettle / "kettle.csv"),
        budget=8,
    )
    campaign.open_campaign(spec)
    batch = waiting()
    assert any(why.startswith("hazard ") and "lid" in why for why in batch.asks)
    campaign.decide(request(batch), principal=ANNA)
    assert campaign.advance("gated").n_measured == 4


def test_a_level_that_is_none_is_refused(kettle: Path):
    with pytest.raises(InvalidInputError, match="Did you mean 'closed'"):
        opened(kettle, STOCKS.replace("closed:", "closde:"))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("8000 ug", "8000 uL", "costs.stocks: 'tea'"),
        ("100 mg,", "100 mgg,", "mgg"),
        ("stock: 5,", "", "lead time"),
        ("of: volume", "of: volumes", "only declared conditions"),
        ("lid: {closed", "volume: {closed", "have levels"),
    ],
    ids=["dimension", "unit", "lead-time-alone", "condition", "continuous"],
)
def test_amounts_that_do_not_fit_together_are_refused(
    kettle: Path, old: str, new: str, message: str
):
    with pytest.raises(InvalidInputError, match=message):
        opened(kettle, STOCKS.replace(old, new))


def test_a_person_raises_the_budget_of_a_campaign_that_is_done(kettle: Path):
    opened(kettle, "", budget=4)
    campaign.decide(request(waiting()), principal=ANNA)
    while (step := campaign.advance("gated")).is_moving:
        pass
    assert step.waits_for is WaitsFor.DONE
    more = BudgetRequest(campaign_id="gated", budget=6, note="worth two more")
    with pytest.raises(ForbiddenError, match="Only a person"):
        campaign.raise_budget(more, principal=ROBOT)
    for _ in range(2):
        now = campaign.raise_budget(more, principal=ANNA)
    assert now.summary.budget == 6
    assert now.summary.state is CampaignState.OPEN
    with pytest.raises(ConflictError, match="only raised"):
        campaign.raise_budget(more.model_copy(update={"budget": 5}), principal=ANNA)
    assert len(waiting().proposals) == 2
    (raised,) = books().ledger.events("gated", kind="budget.raised")
    assert raised.actor == "anna"
    assert raised.body["note"] == "worth two more"
    books().ledger.verify("gated")


def test_to_trim_is_one_act_that_approves_what_stays(kettle: Path):
    opened(kettle, PLATE)
    batch = waiting()
    keep = [proposal.id for proposal in batch.proposals[:2]]
    trimmed = campaign.decide(
        request(batch, decision="trim", keep=keep, note="too dear"), principal=ANNA
    )
    assert trimmed.approval == "approved"
    assert trimmed.content_sha256 != batch.content_sha256
    assert [p.id for p in trimmed.proposals] == keep
    assert trimmed.round == batch.round
    assert trimmed.decision is not None
    assert (trimmed.decision.by, trimmed.decision.note) == ("anna", "too dear")
    old, new = campaign.status("gated").batches
    assert (old.approval, new.approval) == ("expired", "approved")
    with pytest.raises(ConflictError, match="decided once"):
        campaign.decide(request(batch), principal=ANNA)
    assert accounts()["budget"] == (6, 2, 0)
    step = campaign.advance("gated")
    assert step.n_measured == 2
    while campaign.advance("gated").is_moving:
        pass
    rounds = [one.job.round for one in books().ledger.batches("gated")]
    assert rounds == [0, 0, 1]
    books().ledger.verify("gated")


@pytest.mark.parametrize("keep", [[], ["nobody"], "all"], ids=["none", "other", "all"])
def test_a_trim_keeps_some_of_the_batch(kettle: Path, keep):
    opened(kettle, "")
    batch = waiting()
    names = [p.id for p in batch.proposals] if keep == "all" else keep
    with pytest.raises((InvalidInputError, ValueError), match=r"to keep|keep some"):
        campaign.decide(request(batch, decision="trim", keep=names), principal=ANNA)


def test_an_expired_request_is_asked_again(kettle: Path):
    text = (PROTOCOL % ", approval: {replayed: always, expires: 0.2 s}").replace(
        "kettle", "asking"
    )
    (kettle / "short.yaml").write_text(text)
    spec = CampaignSpec(
        name="gated",
        protocol=str(kettle / "short.yaml"),
        data=str(kettle / "kettle.csv"),
        budget=8,
    )
    campaign.open_campaign(spec)
    first = waiting()
    time.sleep(0.3)
    with pytest.raises(ConflictError, match="asked again"):
        campaign.decide(request(first), principal=ANNA)
    second = waiting()
    assert second.batch_id != first.batch_id
    assert second.content_sha256 == first.content_sha256  # the same experiments
    old, new = campaign.status("gated").batches
    assert (old.approval, new.approval) == ("expired", "awaiting")
    rejected = campaign.decide(request(second, decision="reject"), principal=ANNA)
    assert rejected.approval == "rejected"
    books().ledger.verify("gated")


def test_what_the_policy_lets_pass_is_recorded_as_such(spec: CampaignSpec):
    campaign.open_campaign(spec)
    campaign.advance("boil")
    decision = campaign.status("boil").batches[0].decision
    assert decision is not None
    assert decision.how == "auto-approved"
    assert decision.by == "protocol kettle version 1"
    assert "need no approval" in decision.note


def test_a_person_approves_her_own_only_by_the_written_policy(kettle: Path):
    text = (PROTOCOL % ", approval: {replayed: always, self_approval: true}").replace(
        "kettle", "own"
    )
    (kettle / "own.yaml").write_text(text)
    table = str(kettle / "kettle.csv")
    protocol = str(kettle / "own.yaml")
    campaign.open_campaign(
        CampaignSpec(name="gated", protocol=protocol, data=table, budget=8)
    )
    scopes = (Scope.PROPOSE, Scope.SUBMIT, Scope.APPROVE)
    maria = ANNA.model_copy(update={"name": "maria", "scopes": scopes})
    proposed = campaign.propose(
        ProposeRequest(
            campaign_id="gated",
            experiments=({"power": 500.0, "volume": 0.25, "lid": "open"},),
            reason="a slow one, to see the scale",
            idempotency_key="my-own-idea",
        ),
        principal=maria,
    )
    names = tuple(one.proposal.id for one in proposed.proposals)
    campaign.submit(
        SubmitRequest(
            campaign_id="gated", proposal_ids=names, idempotency_key="send-my-idea"
        ),
        principal=maria,
    )
    info = campaign.decide(request(waiting()), principal=maria)
    assert info.decision is not None
    assert (info.decision.how, info.decision.by) == ("self-approved", "maria")
