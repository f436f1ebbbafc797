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
from tests.unit.campaign.amended import approve, fill_in, move, one_round
from tests.unit.campaign.conftest import by_hand, kettle

__all__ = ["by_hand", "kettle"]

CHANGES = [
    {"kind": "drop", "parameter": "lid", "level": "open"},
    {"kind": "bounds", "parameter": "volume", "bounds": [0.2, 1.5]},
    {
        "kind": "result",
        "conditions": {"power": 500.0, "volume": 1.0, "lid": "closed"},
        "readouts": {"seconds": {"value": 600.0}},
    },
]
DRIVER = Path(__file__).with_name("amender.py")


def amended_with_kills(
    request: AmendRequest, folder: Path, moments: list[object]
) -> list[tuple[str, int, dict[str, Any]]]:
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


def prepared(spec: CampaignSpec, **fields: object) -> AmendRequest:
    """Bring a campaign to an approved batch, and say how it is to be amended."""
    name = one_round(spec)
    approve(name)
    first = campaign.measurements(name).measurements[0]
    gone = {"kind": "retract", "observation": first.digest()}
    return AmendRequest.model_validate(
        {"campaign_id": name, "reason": "out of stock", "changes": [*CHANGES, gone]}
        | fields
    )


def check_series(told: list[tuple[str, int, dict[str, Any]]]) -> None:
    """Before the last moment nothing has happened; after it everything has."""
    nothing = {
        "n_amendments": 0,
        "protocol": "kettle version 1",
        "approvals": ["approved", "approved"],
        "n_own": 0,
    }
    *killed, last = told
    assert killed
    for moment, status, stands in killed:
        assert (moment, status) == (moment, -signal.SIGKILL)
        assert stands == nothing, moment
    assert last[:2] == ("after", -signal.SIGKILL)
    assert last[2] == {
        "n_amendments": 1,
        "protocol": "kettle version 2",
        "approvals": ["approved", "expired"],
        "n_own": 1,
    }


def check_goes_on(name: str) -> None:
    assert move(name).waits_for is WaitsFor.APPROVAL
    approve(name)
    assert move(name).waits_for is WaitsFor.LAB
    fill_in(name)
    assert move(name).waits_for in {WaitsFor.APPROVAL, WaitsFor.DONE}
    lids = {p.candidate.conditions["lid"] for p in last_batch(name).proposals}
    assert lids == {"closed"}
    campaign.verify_database()


def last_batch(name: str):
    return campaign.status(name).batches[2]


def test_killed_at_any_statement_it_is_made_wholly_or_not_at_all(
    by_hand: CampaignSpec, tmp_path: Path
):
    request = prepared(by_hand)
    moments = [2, 9, 17, 26, "after"]
    check_series(amended_with_kills(request, tmp_path, moments))
    check_goes_on(by_hand.name)


def test_a_request_that_is_repeated_after_a_kill_is_made_once(
    by_hand: CampaignSpec, tmp_path: Path
):
    request = prepared(by_hand, idempotency_key="as-often-as-needed")
    told = amended_with_kills(request, tmp_path, ["after", "after"])
    assert [stands["n_amendments"] for _, _, stands in told] == [1, 1]
    assert told[-1][2]["n_own"] == 1
    check_goes_on(by_hand.name)


@pytest.mark.slow
def test_killed_at_every_statement_on_both_databases(
    by_hand: CampaignSpec, tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("LABWM_DATABASE_URL", url)
    request = prepared(by_hand)
    check_series(amended_with_kills(request, tmp_path, [*range(1, 34), "after"]))
    check_goes_on(by_hand.name)
