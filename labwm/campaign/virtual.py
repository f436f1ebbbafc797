"""The virtual lab of a campaign: its world stays the one that it began with."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from labwm.campaign.books import Books
from labwm.campaign.situation import Situation, read_opening, read_table
from labwm.schema import Protocol

if TYPE_CHECKING:
    from labwm.virtual_lab.lab import SpoolLab


def virtual_lab_of(
    books: Books, situation: Situation, protocol: Protocol, folder: Path
) -> "SpoolLab":
    """Build the virtual lab for jobs of one version of the protocol.

    An amendment changes what is asked of the world, never the world.
    """
    from labwm.space.questions import observations_from
    from labwm.virtual_lab import build_virtual_lab

    first = read_opening(books, situation.campaign_id)
    begun = books.ledger.protocol(first.protocol_name, first.protocol_version)
    lab = build_virtual_lab(
        observations_from(begun, read_table(books, first)),
        begun,
        folder=folder,
        seed=situation.spec.seed,
    )
    return replace(lab, protocol_sha256=protocol.digest())
