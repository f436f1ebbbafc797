"""Champion and challenger: promoted by the gates or a person, and rolled back."""

from pathlib import Path

import numpy as np
import pytest

from labwm import campaign
from labwm.campaign.books import books
from labwm.campaign.modelling import fitted
from labwm.campaign.recipes import RECIPES
from labwm.campaign.situation import read_situation
from labwm.errors import ConflictError, ForbiddenError, NotFoundError
from labwm.schema import CampaignSpec, PredictRequest, Principal, PrincipalKind, Scope
from labwm.world_model.structure import RECIPES as KNOWN
from tests.unit.campaign.test_references import result

PROTOCOL = """\
name: rough
version: 1
title: A rough function
parameters:
  - {name: a, kind: continuous, bounds: [0, 1]}
  - {name: b, kind: continuous, bounds: [0, 1]}
readouts: [{name: y}]
objectives: [{readout: y, goal: minimise}]
lab: {adapter: replay, batch_size: 12}
"""
AGENT = Principal(name="bot", kind=PrincipalKind.AGENT, scopes=(Scope.READ,))


@pytest.fixture
def rough(tmp_path: Path) -> CampaignSpec:
    """Random choices on a table that `default` learns better than `explore`."""
    rng = np.random.default_rng(2)
    x = rng.uniform(size=(96, 2))
    y = np.sin(14 * x[:, 0]) + np.sin(11 * x[:, 1]) + rng.normal(0, 0.1, 96)
    rows = [f"{a:.4f},{b:.4f},{v:.4f}" for (a, b), v in zip(x, y, strict=True)]
    (tmp_path / "rough.yaml").write_text(PROTOCOL)
    (tmp_path / "rough.csv").write_text("\n".join(["a,b,y", *rows]) + "\n")
    return CampaignSpec(
        name="rough",
        protocol=str(tmp_path / "rough.yaml"),
        data=str(tmp_path / "rough.csv"),
        policy="random",
        budget=96,
        seed=3,
    )


def recipe(use: str = "predict") -> str:
    (found,) = (c for c in campaign.champions("rough") if c.use == use)
    return found.recipe


def test_a_review_keeps_the_better_recipe_and_promotes_it_when_it_is_not_the_champion(
    rough: CampaignSpec,
):
    campaign.open_campaign(rough)
    while campaign.advance("rough").is_moving:
        pass
    assert (recipe(), recipe("choose")) == ("default", "explore")
    kept = campaign.review("rough")
    assert (kept.verdict, kept.champion) == ("keep", "default")

    # A person errs; the gates find it.
    by_hand = campaign.promote("rough", "explore", note="it is new")
    assert (by_hand.recipe, by_hand.by, by_hand.why) == (
        "explore",
        "local",
        "it is new",
    )
    assert fitted(read_situation(books(), "rough")).card.recipe == "explore"
    campaign.attach_reference("rough", result("explore", 0.9))
    refused = campaign.review("rough")
    assert (refused.verdict, refused.challenger) == ("keep", "default")
    assert "But default was not measured so by" in refused.why
    campaign.attach_reference("rough", result("default", 0.9))
    found = campaign.review("rough")
    assert (found.verdict, found.challenger) == ("promote", "default")
    assert found.crps is not None
    assert found.crps.high < 0
    (now, choose) = campaign.champions("rough")
    assert (now.recipe, now.by, now.why) == ("default", "review", found.why)
    assert choose.recipe == "explore"
    assert fitted(read_situation(books(), "rough")).card.recipe == "default"
    assert "| predict | **default** |" in campaign.model_note("rough")

    # A person insists: only a person may promote again.
    assert campaign.roll_back("rough").recipe == "explore"
    barred = campaign.review("rough")
    assert barred.verdict == "keep"
    assert "a person rolled it back" in barred.why
    assert recipe() == "explore"
    assert campaign.promote("rough", "default").recipe == "default"
    assert campaign.verify_database()


def test_a_promoted_recipe_answers_agents(spec: CampaignSpec):
    campaign.open_campaign(spec)
    for _ in range(2):
        campaign.advance("boil")
    rows = campaign.measurements("boil").measurements
    request = PredictRequest(campaign_id="boil", experiments=(rows[0].conditions,))
    assert campaign.predict(request, principal=AGENT).recipe == "default"
    campaign.promote("boil", "explore")
    assert campaign.predict(request, principal=AGENT).recipe == "explore"
    campaign.roll_back("boil")
    assert campaign.predict(request, principal=AGENT).recipe == "default"


def test_a_person_decides_by_which_recipe_policies_choose(spec: CampaignSpec):
    campaign.open_campaign(spec)
    campaign.promote("boil", "default", use="choose")
    for _ in range(3):
        campaign.advance("boil")
    cards = books().ledger.model_cards("boil")
    assert {card.recipe for _, card in cards} == {"default"}


def test_what_makes_no_sense_is_refused(spec: CampaignSpec):
    campaign.open_campaign(spec)
    with pytest.raises(ConflictError, match="There is nothing to undo"):
        campaign.roll_back("boil")
    with pytest.raises(ConflictError, match="holds for 'predict'"):
        campaign.promote("boil", "default")
    with pytest.raises(NotFoundError, match="Did you mean 'explore'"):
        campaign.promote("boil", "explor")
    with pytest.raises(ForbiddenError):
        campaign.promote("boil", "explore", principal=AGENT)
    for act in (campaign.roll_back, campaign.champions):
        with pytest.raises(NotFoundError, match="nobody"):
            act("nobody")
    assert books().ledger.events("boil", kind="model.promoted") == ()


def test_a_campaign_is_due_for_review_after_enough_new_data(spec: CampaignSpec):
    whole = spec.model_copy(update={"policy": "random", "budget": 40, "batch_size": 8})
    campaign.open_campaign(whole)
    due = []
    while campaign.advance("boil").is_moving:
        due.append(campaign.is_due_for_review("boil"))
        if due[-1]:
            campaign.review("boil")
            assert not campaign.is_due_for_review("boil")
    # 8, 16, 24, 32: enough for a comparison; 40: a quarter more.
    assert due == [False, False, False, True, True]
    assert not campaign.is_due_for_review("boil")  # it is done


def test_every_recipe_of_the_world_model_can_be_promoted():
    assert RECIPES == KNOWN
