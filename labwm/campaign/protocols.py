"""The protocol of a campaign, as amended."""

from labwm.campaign.books import books
from labwm.campaign.situation import read_present
from labwm.schema import Protocol


def protocol_of(campaign_id: str) -> Protocol:
    """Return the protocol that a campaign keeps to, with every level written out.

    Raises:
        NotFoundError: If there is no such campaign.
    """
    held = books()
    opening = read_present(held, campaign_id)
    return held.ledger.protocol(opening.protocol_name, opening.protocol_version)
