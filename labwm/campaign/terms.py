"""What a campaign keeps to: its opening as amended, and its protocol. No results."""

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from labwm.campaign.books import Books
from labwm.campaign.situation import Opening
from labwm.schema import CampaignSpec, Origin, Protocol


@dataclass(frozen=True)
class Terms:
    """What gates, stocks and doors need of a campaign, without its results."""

    campaign_id: str
    opening: Opening
    """What it was opened with, and what amendments put in its place."""
    protocol: Protocol
    """The present version."""
    books: Books = field(repr=False)

    @property
    def spec(self) -> CampaignSpec:
        """What the campaign was asked for."""
        return self.opening.spec

    @property
    def origin(self) -> Origin:
        """Origin of everything its lab returns."""
        return self.opening.origin

    @functools.cached_property
    def labels(self) -> Mapping[str, Mapping[str, str]]:
        """Names of molecules: parameter to SMILES to name."""
        return json.loads(self.books.objects.get(self.opening.labels_object))
