"""A campaign whose experiments people do: approved, offered, filled in, taken in."""

from labwm import campaign, settings
from labwm.campaign.books import books
from labwm.schema import ApprovalRequest, CampaignSpec, CampaignState, Origin, WaitsFor
from labwm.testing.robot import robot


def boil(row: dict[str, str]) -> dict[str, str]:
    seconds = 3e5 * float(row["volume [L]"]) / float(row["power [W]"])
    return {"time [s]": f"{seconds:.1f}"}


def approve(spec: CampaignSpec) -> None:
    batches = campaign.status(spec.name).batches
    (batch,) = [batch for batch in batches if batch.approval == "awaiting"]
    request = ApprovalRequest(
        campaign_id=spec.name, content_sha256=batch.content_sha256, decision="approve"
    )
    campaign.decide(request, principal=campaign.LOCAL_PERSON)


def waits_for(spec: CampaignSpec) -> WaitsFor:
    while (step := campaign.advance(spec.name)).is_moving:
        pass
    return step.waits_for


def test_people_approve_do_and_correct_experiments(by_hand: CampaignSpec):
    campaign.open_campaign(by_hand)
    folder = settings.lab_folder("folder") / by_hand.name
    assert waits_for(by_hand) is WaitsFor.APPROVAL
    assert not folder.exists()
    approve(by_hand)
    assert waits_for(by_hand) is WaitsFor.LAB
    assert robot(folder, boil, 1) == 1
    assert waits_for(by_hand) is WaitsFor.LAB
    assert campaign.status(by_hand.name).summary.n_measured == 1
    robot(folder, boil)
    assert waits_for(by_hand) is WaitsFor.APPROVAL

    approve(by_hand)
    assert waits_for(by_hand) is WaitsFor.LAB
    first_key = campaign.status(by_hand.name).batches[0].submission_key
    late = folder / "inbox" / f"{first_key}.corrected.csv"
    late_bytes = b"well,time [s]\n001,4999\n"
    late.write_bytes(late_bytes)
    robot(folder, boil)
    assert waits_for(by_hand) is WaitsFor.DONE

    assert campaign.status(by_hand.name).summary.state is CampaignState.DONE
    rows = campaign.measurements(by_hand.name).measurements
    assert len(rows) == len({m.proposal_id for m in rows}) == 8
    assert {m.origin for m in rows} == {Origin.MEASURED}
    corrected = [m for m in rows if m.job_key == first_key and m.well == "001"]
    assert [m.readouts["seconds"].value for m in corrected] == [4999.0]
    assert [m.revision for m in corrected] == [1]
    objects = books().objects
    assert objects.get(corrected[0].raw_sha256 or "") == late_bytes
    assert all(m.raw_sha256 and objects.exists(m.raw_sha256) for m in rows)
    campaign.verify_database()
