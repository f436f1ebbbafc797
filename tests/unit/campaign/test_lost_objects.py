"""Objects that were lost: still told how campaigns stand, and said so when checked."""

import shutil

import pytest

from labwm import campaign, settings
from labwm.errors import NotFoundError
from labwm.schema import CampaignSpec


@pytest.fixture
def robbed(spec: CampaignSpec) -> str:
    """A campaign of one round whose objects are gone."""
    campaign.open_campaign(spec.model_copy(update={"policy": "random"}))
    campaign.advance("boil")
    shutil.rmtree(settings.objects_url())
    return "boil"


def test_how_it_stands_is_told_without_them(robbed: str):
    (line,) = campaign.list_campaigns()
    assert line.n_measured == campaign.status(robbed).summary.n_measured == 4


def test_moving_it_says_which_is_lost(robbed: str):
    with pytest.raises(NotFoundError, match="restore a backup"):
        campaign.advance(robbed)


def test_the_check_of_the_database_finds_the_loss(robbed: str):
    with pytest.raises(NotFoundError, match="No object of digest"):
        campaign.verify_database()
    assert any(line.startswith("PROBLEM") for line in campaign.doctor())
