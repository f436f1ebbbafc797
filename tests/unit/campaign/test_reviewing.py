"""Were predictions honest, and would another recipe do better on a campaign's past?"""

import re

import numpy as np
import pytest

from labwm import campaign
from labwm.campaign.books import books
from labwm.campaign.reviewing import RECIPES, _judge, _Scores
from labwm.errors import NotFoundError
from labwm.schema import CampaignSpec, CampaignState, WaitsFor


def run(spec: CampaignSpec) -> None:
    name = campaign.open_campaign(spec)
    while campaign.advance(name).waits_for is not WaitsFor.DONE:
        pass


@pytest.fixture
def done(spec: CampaignSpec) -> CampaignSpec:
    """A campaign of random choices that measured the whole table, 36 after round 0."""
    whole = spec.model_copy(update={"policy": "random", "budget": 40, "batch_size": 8})
    run(whole)
    return whole


def test_calibration_has_one_row_per_campaign_and_readout(spec: CampaignSpec):
    run(spec)
    campaign.open_campaign(spec.model_copy(update={"name": "fresh"}))
    (row,) = campaign.calibrations()
    assert (row.campaign_id, row.state) == ("boil", CampaignState.DONE)
    assert row.so_far == campaign.status("boil").calibration[0]
    assert row.so_far.n >= 10


@pytest.mark.parametrize(
    ("high", "low", "verdict"),
    [(0.8, 0.4, "too sure"), (1.0, 0.95, "too careful"), (0.95, 0.7, "within")],
)
def test_the_verdict_compares_the_promise_with_the_interval(spec, high, low, verdict):
    run(spec)
    (row,) = campaign.calibrations()
    so_far = row.so_far.model_copy(update={"low": low, "high": high})
    changed = row.model_copy(update={"so_far": so_far})
    assert changed.verdict.startswith(verdict)


def test_a_review_with_few_predictions_abstains_and_says_so(spec: CampaignSpec):
    run(spec)
    found = campaign.review("boil")
    assert found.verdict == "abstain"
    assert f"needs 30 in 4. {found.champion} stays." in found.why
    assert found.crps is None


def test_a_review_compares_both_recipes_on_rounds_they_had_not_seen(done):
    found = campaign.review("boil")
    assert {found.champion, found.challenger} == set(RECIPES)
    assert (found.n_rounds, found.n_scored) == (4, 31)
    assert found.verdict in {"keep", "promote"}
    assert found.crps is not None
    assert found.crps.low <= found.crps.mean <= found.crps.high
    assert found.log_loss is not None
    note = campaign.model_note("boil")
    assert "| log loss [nats] |" in note
    assert found.why in note
    assert f"Data sha256 `{found.data_sha256}`" in note
    assert len(re.findall(r"!\[[^]]+\]\(data:image/png;base64,", note)) == 2
    rows = re.findall(r"\| seconds \| (\w+) \| [-\d.e]+ \| (.+?) \| 39 \|", note)
    assert {"coverage90", "nlpd"} <= {name for name, _ in rows}


def test_the_same_data_is_reviewed_once(done):
    first = campaign.review("boil")
    assert campaign.review("boil") == first
    events = books().ledger.events("boil", kind="model.reviewed")
    assert len(events) == 1
    assert events[0].body["verdict"] == first.verdict
    assert books().ledger.verify("boil").n_events > 0


def test_a_review_of_nothing_is_an_error():
    with pytest.raises(NotFoundError, match="nobody"):
        campaign.review("nobody")


@pytest.mark.parametrize(
    ("gain", "share_inside", "verdict"),
    [(-0.5, 0.9, "promote"), (-0.5, 0.5, "keep"), (0.5, 0.9, "keep"), (0, 0.9, "keep")],
    ids=["better", "better but too sure", "worse", "no difference"],
)
def test_a_challenger_must_be_surely_better_and_honest(gain, share_inside, verdict):
    rng = np.random.default_rng(1)
    rounds = []
    for _ in range(5):
        own = rng.normal(1.0, 0.1, 10)
        pair = np.column_stack([own, own + gain + rng.normal(0, 0.1, 10)])
        inside = np.ones((10, 2))
        inside[round(10 * share_inside) :, 1] = 0
        rounds.append(_Scores(pair, pair, inside))
    found = _judge(rounds, "default", "explore")
    assert found["verdict"] == verdict
    assert ("explore is better" in str(found["why"])) == (verdict == "promote")
