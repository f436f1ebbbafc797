"""How a campaign stands is told from kept counts: as if results were counted again."""

import importlib
from collections import Counter

import pytest

from labwm import campaign
from labwm.campaign.books import books
from labwm.campaign.learning import score
from labwm.campaign.situation import read_situation
from labwm.errors import NotFoundError
from labwm.schema import CampaignSpec, Status
from labwm.world_model.reward import utility
from tests.unit.campaign.amended import amend, approve, fill_in, in_the_lab, move

CLOSED = {"power": 500.0, "volume": 1.0, "lid": "closed"}


def check_told(name: str) -> None:
    """Compare what doors are told with what every stored result says."""
    situation = read_situation(books(), name)
    now, counts = campaign.status(name), situation.counts
    told = now.summary
    assert (told.n_measured, told.n_failed) == (
        len(counts.answered),
        len(counts.failed),
    )
    assert (told.n_pending, told.n_own) == (len(counts.pending), counts.n_own)
    assert (told.round, told.budget) == (situation.round, situation.budget)
    first = [one for one in score(books(), situation) if one.is_first]
    assert {c.readout: c.n for c in now.calibration} == Counter(
        one.readout for one in first
    )
    assert sum(c.n_inside_90 for c in now.calibration) == sum(
        one.is_inside_90 for one in first
    )
    for objective in situation.protocol.objectives:
        best = max(
            (
                utility(objective, value.value).item()
                for m in situation.measurements
                if (value := m.readouts[objective.readout]).status is Status.OK
                and value.value is not None
            ),
            default=None,
        )
        shown = [b.value for b in now.best if b.readout == objective.readout]
        assert [utility(objective, v).item() for v in shown] == (
            [] if best is None else [best]
        )
    assert campaign.list_campaigns()[0] == told
    books().ledger.verify(name)


def test_every_step_of_a_campaign_is_told_as_it_is(spec: CampaignSpec):
    name = campaign.open_campaign(spec.model_copy(update={"budget": 12}))
    check_told(name)
    while campaign.advance(name).is_moving:
        check_told(name)
    check_told(name)
    assert campaign.status(name).calibration
    assert [c.campaign_id for c in campaign.calibrations()] == [name]


def test_what_people_do_beside_the_plan_is_told_as_it_is(by_hand: CampaignSpec):
    name = in_the_lab(by_hand)
    check_told(name)
    key = campaign.status(name).batches[0].submission_key
    fill_in(name, 2)
    move(name)
    check_told(name)
    readouts = {"seconds": {"value": 600.0}}
    result = {"kind": "result", "readouts": readouts}
    amend(name, result | {"conditions": CLOSED, "instead_of": f"{key}/003"})
    check_told(name)
    amend(name, result | {"conditions": CLOSED})
    check_told(name)
    first, second, *_ = campaign.measurements(name).measurements
    amend(name, {"kind": "retract", "observation": second.digest()})
    check_told(name)
    corrected = {"readouts": {"seconds": {"value": 7.0}}}
    amend(
        name,
        {"kind": "correct", "observation": first.digest()} | corrected,
        {"kind": "drop", "parameter": "lid", "level": "open"},
    )
    check_told(name)
    fill_in(name)
    move(name)
    approve(name)
    move(name)
    check_told(name)


def test_the_best_is_the_nearest_and_a_page_is_a_part_of_all(spec: CampaignSpec):
    name = campaign.open_campaign(spec.model_copy(update={"policy": "random"}))
    while campaign.advance(name).is_moving:
        pass
    rows = books().ledger.measurements(name)
    page = campaign.measurements(name, offset=3, limit=5)
    assert (page.total, page.measurements) == (16, rows[3:8])
    assert campaign.measurements(name, offset=99).measurements == ()
    values = [v for m in rows if (v := m.readouts["seconds"].value) is not None]
    for target in (50.0, 300.0, 1e6):
        with books().ledger.survey() as survey:
            found = survey.nearest(name, "seconds", to=target)
        assert found is not None
        assert abs(found[0] - target) == min(abs(v - target) for v in values)


def test_a_status_holds_the_last_batches_and_any_is_found_by_name(
    spec: CampaignSpec, monkeypatch: pytest.MonkeyPatch
):
    name = campaign.open_campaign(spec.model_copy(update={"policy": "random"}))
    while campaign.advance(name).is_moving:
        pass
    whole = campaign.status(name)
    assert whole.n_batches == len(whole.batches) == 4
    telling = importlib.import_module("labwm.campaign.status")
    monkeypatch.setattr(telling, "LAST_BATCHES", 2)
    short = campaign.status(name)
    assert (short.n_batches, short.batches) == (4, whole.batches[2:])
    first = whole.batches[0]
    assert campaign.batch(name, first.batch_id) == first
    with pytest.raises(NotFoundError, match="No batch is called 'nothing'"):
        campaign.batch(name, "nothing")
    other = spec.model_copy(update={"name": "other", "policy": "random"})
    campaign.open_campaign(other)
    with pytest.raises(NotFoundError, match="'other' has none called"):
        campaign.batch("other", first.batch_id)
