"""What a lab would refuse is held at screening: it never costs budget."""

import pytest

from labwm import campaign
from labwm.campaign.books import books
from labwm.campaign.dispatch import lab_of
from labwm.campaign.situation import read_situation
from labwm.errors import ConflictError, LabError
from labwm.schema import CampaignSpec, Job, ProposeRequest, SubmitRequest, Well


def ask(spec: CampaignSpec, volume: float, key: str):
    return campaign.propose(
        ProposeRequest(
            campaign_id=spec.name,
            experiments=({"power": 1000.0, "volume": volume, "lid": "open"},),
            reason="between two rows",
            idempotency_key=key,
        ),
        principal=campaign.LOCAL_PERSON,
    ).proposals[0]


def test_conditions_off_the_table_are_held_with_the_nearest_row(spec: CampaignSpec):
    campaign.open_campaign(spec)
    held = ask(spec, 0.9, "off-the-table")
    assert held.verdict == "hold"
    (why,) = held.reasons
    assert why.startswith("lab-refuses: A replay lab measures what its table holds")
    assert "'volume': 1.0" in why
    request = SubmitRequest(
        campaign_id=spec.name,
        proposal_ids=(held.proposal.id,),
        idempotency_key="submit-it",
    )
    with pytest.raises(ConflictError, match="lab-refuses"):
        campaign.submit(request, principal=campaign.LOCAL_PERSON)
    assert ask(spec, 1.0, "on-the-table").verdict == "pass"


def test_a_job_off_the_table_is_refused_by_the_lab_itself(spec: CampaignSpec):
    campaign.open_campaign(spec)
    situation = read_situation(books(), spec.name)
    lab = lab_of(books(), situation)
    conditions = {"power": 1000.0, "volume": 0.9, "lid": "open"}
    job = Job(
        submission_key="off-the-table-1",
        campaign_id=spec.name,
        round=0,
        lab="replay",
        protocol_name=situation.protocol.name,
        protocol_version=situation.protocol.version,
        protocol_sha256=situation.protocol.digest(),
        wells=(Well(name="1", proposal_id="p", conditions=conditions),),
    )
    with pytest.raises(LabError, match="nearest row"):
        lab.submit(job)
    assert lab.status("off-the-table-1").state == "unknown"
