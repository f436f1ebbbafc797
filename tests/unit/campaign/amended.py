"""Campaigns to amend: on a table that is replayed, and in the hands of people."""

from collections.abc import Mapping, Sequence

from labwm import campaign, settings
from labwm.schema import (
    Amendment,
    AmendRequest,
    ApprovalRequest,
    CampaignSpec,
    Step,
    WaitsFor,
)
from labwm.testing.robot import robot


def amend(name: str, *changes: Mapping[str, object], **fields: object) -> Amendment:
    request = AmendRequest.model_validate(
        {"campaign_id": name, "reason": "it had to be", "changes": changes} | fields
    )
    return campaign.amend(request)


def move(name: str) -> Step:
    while (step := campaign.advance(name)).is_moving:
        pass
    return step


def approve(name: str) -> None:
    batches = campaign.status(name).batches
    (batch,) = [batch for batch in batches if batch.approval == "awaiting"]
    request = ApprovalRequest(
        campaign_id=name, content_sha256=batch.content_sha256, decision="approve"
    )
    campaign.decide(request, principal=campaign.LOCAL_PERSON)


def boil(row: dict[str, str]) -> dict[str, str]:
    seconds = 3e5 * float(row["volume [L]"]) / float(row["power [W]"])
    return {"time [s]": f"{seconds:.1f}"}


def fill_in(name: str, n_wells: int | None = None) -> None:
    """Let somebody do experiments of the worklist that lies in the folder."""
    folder = settings.lab_folder("folder") / name
    robot(folder, boil, *([] if n_wells is None else [n_wells]))


def in_the_lab(spec: CampaignSpec) -> str:
    """Open a campaign of the folder lab and bring its first batch into the lab."""
    campaign.open_campaign(spec)
    assert move(spec.name).waits_for is WaitsFor.APPROVAL
    approve(spec.name)
    assert move(spec.name).waits_for is WaitsFor.LAB
    return spec.name


def one_round(spec: CampaignSpec) -> str:
    """As `in_the_lab`, with its first round measured and the second proposed."""
    name = in_the_lab(spec)
    fill_in(name)
    assert move(name).waits_for is WaitsFor.APPROVAL
    return name


def events(name: str, kind: str) -> Sequence[object]:
    from labwm.campaign.books import books

    return books().ledger.events(name, kind=kind)
