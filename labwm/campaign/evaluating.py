"""Were the campaigns' predictions honest? Prospective calibration, all in one table."""

from labwm.campaign.books import books
from labwm.campaign.coverage import calibration
from labwm.campaign.standing import all_terms
from labwm.schema import CalibrationSoFar, CampaignState, Record

LEVEL = 0.9
"""Share of values that the intervals promise to hold."""


class CampaignCalibration(Record):
    """What the intervals of one campaign's readout held, stated before measuring."""

    campaign_id: str
    state: CampaignState
    so_far: CalibrationSoFar

    @property
    def verdict(self) -> str:
        """Say in words whether the promise was kept."""
        if self.so_far.high < LEVEL:
            return "too sure: intervals are too narrow"
        if self.so_far.low > LEVEL:
            return "too careful: intervals are too wide"
        return "within what chance allows"


def calibrations() -> tuple[CampaignCalibration, ...]:
    """Return coverage per campaign and readout, open and done, the oldest first.

    Campaigns without a scored prediction have no row.
    """
    return tuple(
        CampaignCalibration(campaign_id=seen.id, state=seen.state, so_far=so_far)
        for seen, terms in all_terms(books())
        for so_far in calibration(seen.tally, terms.protocol)
    )
