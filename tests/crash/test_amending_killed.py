"""A killed amendment is wholly made or not at all, and the campaign goes on."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from labwm import campaign
from labwm.schema import AmendRequest, CampaignSpec, WaitsFor
from tests.conftest import ROOT
from tests.unit.campaign.amended import approve, fill_in, in_the_lab, move, one_round
from tests.unit.campaign.conftest import by_hand, kettle

__all__ = ["by_hand", "kettle"]

OWN = {"power": 500.0, "volume": 1.0, "lid": "closed"}
CHANGES = [
    {"kind": "drop", "parameter": "lid", "level": "open"},
    {"kind": "add", "parameter": "lid", "level": "glass"},
    {"kind": "bounds", "parameter": "volume", "bounds": [0.2, 1.5]},
    {
        "kind": "objectives",
        "objectives": [{"readout": "seconds", "goal": "maximise"}],
    },
    {"kind": "result", "conditions": OWN, "readouts": {"seconds": {"value": 600.0}}},
]
DRIVER = Path(__file__).with_name("amender.py")
Told = list[tuple[str, int, dict[str, Any]]]


def amended_with_kills(
    request: AmendRequest, folder: Path, moments: list[object]
) -> Told:
    """Return moment, exit status, and how the campaign stood after it."""
    path = folder / "request.json"
    path.write_text(request.model_dump_json())
    done = subprocess.run(
        [sys.executable, str(DRIVER), str(path), *map(str, moments)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    lines = [line.split(" ", 2) for line in done.stdout.splitlines()]
    return [(moment, int(status), json.loads(told)) for moment, status, told in lines]


def asked(name: str, *changes: dict[str, object], **fields: object) -> AmendRequest:
    return AmendRequest.model_validate(
        {"campaign_id": name, "reason": "out of stock", "changes": changes} | fields
    )


def before_sending(spec: CampaignSpec, **fields: object) -> AmendRequest:
    """Bring a campaign to an approved batch; amend all that single changes can."""
    name = one_round(spec)
    approve(name)
    first, second = campaign.measurements(name).measurements[:2]
    return asked(
        name,
        *CHANGES,
        {
            "kind": "correct",
            "observation": second.digest(),
            "readouts": {"seconds": {"value": 7.0}},
        },
        {"kind": "retract", "observation": first.digest()},
        **fields,
    )


def check_series(told: Told, before: dict[str, Any], after: dict[str, Any]) -> None:
    """Before the last moment nothing has happened; after it everything has."""
    *killed, last = told
    assert killed
    for moment, status, stands in killed:
        assert (moment, status) == (moment, -signal.SIGKILL)
        assert stands == before, moment
    assert last[:2] == ("after", -signal.SIGKILL)
    assert last[2] == after


BEFORE = {
    "n_amendments": 0,
    "protocol": "kettle version 1",
    "approvals": ["approved", "approved"],
    "n_own": 0,
    "n_measured": 4,
}
AFTER = {
    "n_amendments": 1,
    "protocol": "kettle version 2",
    "approvals": ["approved", "expired"],
    "n_own": 1,
    "n_measured": 3,
}


def check_goes_on(name: str) -> None:
    assert move(name).waits_for is WaitsFor.APPROVAL
    approve(name)
    assert move(name).waits_for is WaitsFor.LAB
    fill_in(name)
    assert move(name).waits_for in {WaitsFor.APPROVAL, WaitsFor.DONE}
    chosen = campaign.status(name).batches[2].proposals
    assert "open" not in {p.candidate.conditions["lid"] for p in chosen}
    campaign.verify_database()


def test_killed_at_any_statement_it_is_made_wholly_or_not_at_all(
    by_hand: CampaignSpec, tmp_path: Path
):
    request = before_sending(by_hand)
    told = amended_with_kills(request, tmp_path, [14, "after"])
    check_series(told, BEFORE, AFTER)
    check_goes_on(by_hand.name)


@pytest.mark.parametrize("is_long", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_job_in_the_lab_survives_a_killed_new_version(
    by_hand: CampaignSpec, tmp_path: Path, is_long: bool
):
    """Recommended A, did B, under a version that calls the lid a cover."""
    name = in_the_lab(by_hand)
    key = campaign.status(name).batches[0].submission_key
    new = campaign.protocol_of(name).model_dump(mode="json") | {"version": 2}
    new["parameters"][2]["name"] = "cover"
    request = asked(
        name,
        {
            "kind": "protocol",
            "protocol": new,
            "carrying": {"renamed": {"lid": "cover"}},
        },
        {
            "kind": "result",
            "conditions": {"power": 500.0, "volume": 1.0, "cover": "closed"},
            "readouts": {"seconds": {"value": 600.0}},
            "instead_of": f"{key}/001",
        },
    )
    before = BEFORE | {"approvals": ["approved"], "n_measured": 0}
    after = AFTER | {"approvals": ["approved"], "n_own": 0, "n_measured": 1}
    moments = [*range(1, 16), "after"] if is_long else [7, "after"]
    check_series(amended_with_kills(request, tmp_path, moments), before, after)
    fill_in(name)
    assert move(name).waits_for is WaitsFor.APPROVAL
    assert campaign.status(name).summary.n_measured == 4
    campaign.verify_database()


@pytest.mark.slow
def test_a_request_that_is_repeated_after_a_kill_is_made_once(
    by_hand: CampaignSpec, tmp_path: Path
):
    request = before_sending(by_hand, idempotency_key="as-often-as-needed")
    told = amended_with_kills(request, tmp_path, ["after", "after"])
    assert [stands for _, _, stands in told] == [AFTER, AFTER]


@pytest.mark.slow
def test_killed_at_every_statement_on_both_databases(
    by_hand: CampaignSpec, tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("LABWM_DATABASE_URL", url)
    request = before_sending(by_hand)
    told = amended_with_kills(request, tmp_path, [*range(1, 31), "after"])
    check_series(told, BEFORE, AFTER)
    check_goes_on(by_hand.name)
