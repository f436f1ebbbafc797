"""Whole campaigns over every lab, with the way there and back going wrong.

Answers are lost, repeated, shuffled, cut short and late, and whoever answers was just
started: each round is one job all the same, and each well is measured and stored once.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from labwm import campaign, settings
from labwm.campaign import dispatch
from labwm.campaign.books import Books, books
from labwm.campaign.situation import Situation
from labwm.schema import ApprovalRequest, CampaignSpec, Job, WaitsFor
from labwm.testing.lab_faults import FaultyComputingLab, FaultyLab
from labwm.testing.robot import robot
from tests.unit.campaign.conftest import kettle

__all__ = ["kettle"]

MOLECULES = """\
name: small
version: 1
parameters:
  - {name: molecule, kind: molecule, smiles: [O, CO, N, CC, C=O, C#N]}
readouts:
  - {name: gap, unit: eV}
objectives:
  - {readout: gap, goal: maximise}
lab: {adapter: xtb, batch_size: 2}
"""


def boil(row: dict[str, str]) -> dict[str, str]:
    return {
        "time [s]": f"{3e5 * float(row['volume [L]']) / float(row['power [W]']):.1f}"
    }


def spec_for(lab: str, kettle: Path) -> CampaignSpec:
    common = {"name": "boil", "budget": 4, "policy": "random", "seed": 3}
    if lab == "xtb":
        (kettle / "small.yaml").write_text(MOLECULES)
        return CampaignSpec(protocol=str(kettle / "small.yaml"), **common)
    path = kettle / "kettle.yaml"
    adapter = f"{{adapter: {lab}, batch_size: 2}}"
    if lab == "folder":
        adapter = "{adapter: folder, batch_size: 2, settings: {settle_seconds: 0}}"
    text = path.read_text().replace("{adapter: replay, batch_size: 4}", adapter)
    path.write_text(text)
    data = None if lab == "folder" else str(kettle / "kettle.csv")
    return CampaignSpec(protocol=str(path), data=data, **common)


def faulty(lab_of: Callable[[Books, Situation], dispatch.Lab], seed: int):
    """Return `lab_of` with faults between; one lab for all calls of a campaign."""
    made: dict[str, FaultyLab] = {}

    def open_faulty(
        store: Books, situation: Situation, job: Job | None = None
    ) -> FaultyLab:
        def again() -> dispatch.Lab:
            return lab_of(store, situation, job)

        kind = FaultyComputingLab if again().capabilities.computes else FaultyLab
        return made.setdefault(situation.campaign_id, kind(again, seed=seed))

    return open_faulty, made


def approve(spec: CampaignSpec) -> None:
    (batch,) = [
        b for b in campaign.status(spec.name).batches if b.approval == "awaiting"
    ]
    request = ApprovalRequest(
        campaign_id=spec.name, content_sha256=batch.content_sha256, decision="approve"
    )
    campaign.decide(request, principal=campaign.LOCAL_PERSON)


@pytest.mark.timeout(200)
@pytest.mark.parametrize(
    ("lab", "seed"),
    [
        ("replay", 1),
        ("folder", 1),
        pytest.param("replay", 2, marks=pytest.mark.slow),
        pytest.param("folder", 2, marks=pytest.mark.slow),
        pytest.param("virtual", 1, marks=pytest.mark.slow),
        pytest.param("xtb", 1, marks=pytest.mark.slow),
    ],
)
def test_a_campaign_over_a_faulty_lab_measures_each_well_once(
    kettle: Path, monkeypatch, lab: str, seed: int
):
    open_faulty, made = faulty(dispatch.lab_of, seed)
    monkeypatch.setattr(dispatch, "lab_of", open_faulty)
    spec = spec_for(lab, kettle)
    campaign.open_campaign(spec)
    folder = settings.lab_folder(lab) / spec.name
    n_done = n_steps = 0
    while (step := campaign.advance(spec.name)).waits_for is not WaitsFor.DONE:
        if step.waits_for is WaitsFor.APPROVAL:
            approve(spec)
        if lab == "folder" and folder.exists():
            n_done += robot(folder, boil, 1)
        n_steps += 1
        assert n_steps < 200, step
    rows = campaign.measurements(spec.name).measurements
    assert len(rows) == len({m.proposal_id for m in rows}) == spec.budget
    assert {m.revision for m in rows} == {0}
    assert len(books().ledger.revisions(spec.name)) == spec.budget
    assert all(books().objects.exists(m.raw_sha256 or "") for m in rows)
    jobs = [p.parent.name for p in folder.rglob("job.json")]
    assert sorted(jobs) == sorted(
        batch.submission_key or "" for batch in campaign.status(spec.name).batches
    )
    assert n_done == (spec.budget if lab == "folder" else 0)
    assert sum(made[spec.name].n_done.values()) >= 2
    campaign.verify_database()
