"""A campaign's intervals learn from how its own predictions came out."""

import pytest

from labwm import campaign
from labwm.campaign.access import books
from labwm.campaign.forecasts import forecast_errors
from labwm.campaign.situation import read_situation
from labwm.schema import CampaignSpec


def test_errors_are_those_of_the_predictions_stored_before(spec: CampaignSpec):
    campaign.open_campaign(spec)
    for _ in range(3):
        campaign.advance("boil")
    store = books()
    stated = {p.id: p for p in store.ledger.predictions("boil")}
    proposals = {p.id: p for p in store.ledger.proposals("boil")}
    wanted = []
    for m in campaign.measurements("boil").measurements:
        value = m.readouts["seconds"].value
        prediction = proposals[m.proposal_id or ""].prediction_id
        if prediction and value is not None:
            told = stated[prediction].readouts["seconds"]
            scale = (told.epistemic**2 + told.aleatoric**2) ** 0.5
            wanted.append((value - told.location) / scale)
    found = read_situation(store, "boil").forecast_errors["seconds"]
    assert len(found) >= 2
    assert sorted(found) == pytest.approx(sorted(wanted))


def test_before_any_prediction_there_is_nothing_to_learn_from(spec: CampaignSpec):
    campaign.open_campaign(spec)
    campaign.advance("boil")
    rows = campaign.measurements("boil").measurements
    assert forecast_errors(books(), "boil", rows) == {}


def test_stored_predictions_follow_the_errors_before_them(spec: CampaignSpec):
    campaign.open_campaign(spec)
    for _ in range(4):
        campaign.advance("boil")
    store = books()
    proposals = {p.id: p for p in store.ledger.proposals("boil")}
    maps: dict[int, set[str]] = {}
    for stated in store.ledger.predictions("boil"):
        (round_,) = {
            p.round for p in proposals.values() if p.prediction_id == stated.id
        }
        digest = stated.readouts["seconds"].calibration.digest()
        maps.setdefault(round_, set()).add(digest)
    assert all(len(found) == 1 for found in maps.values())
    assert len(set.union(*maps.values())) == len(maps)
