"""A campaign whose process is really killed goes on and loses and repeats nothing."""

import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from labwm import campaign, settings
from labwm.campaign.moments import Moment
from labwm.schema import CampaignSpec, CampaignState
from tests.conftest import ROOT
from tests.crash.mover import Movers
from tests.unit.campaign.conftest import kettle, spec

__all__ = ["kettle", "spec"]

DRIVER = """
import sys
from labwm import campaign
from labwm.schema import CampaignSpec

campaign_id = campaign.open_campaign(CampaignSpec.model_validate_json(sys.argv[1]))
print("open", flush=True)
while campaign.advance(campaign_id).is_moving:
    pass
print("done", flush=True)
"""


def start(spec: CampaignSpec) -> subprocess.Popen[str]:
    words = [sys.executable, "-c", DRIVER, spec.model_dump_json()]
    return subprocess.Popen(
        words, cwd=ROOT, env=os.environ.copy(), stdout=subprocess.PIPE, text=True
    )


def run(spec: CampaignSpec) -> int:
    process = start(spec)
    process.communicate(timeout=120)
    return process.returncode


def check_whole(spec: CampaignSpec) -> None:
    """Nothing twice, nothing lost, budget and chain right."""
    now = campaign.status(spec.name)
    assert now.summary.state is CampaignState.DONE
    assert now.summary.n_measured == spec.budget
    (budget,) = now.accounts
    assert (budget.free, budget.reserved, budget.used) == (0, 0, spec.budget)
    rows = campaign.measurements(spec.name, limit=10_000).measurements
    assert len({m.proposal_id for m in rows}) == len(rows) == spec.budget
    keys = [batch.submission_key for batch in now.batches]
    assert len(set(keys)) == len(keys) == spec.budget // 4
    jobs = {
        json.loads(path.read_text())["submission_key"]
        for path in settings.lab_folder("replay").rglob("job.json")
    }
    assert jobs == set(keys)
    campaign.verify_database()


@pytest.fixture
def random_spec(spec: CampaignSpec) -> CampaignSpec:
    return spec.model_copy(update={"policy": "random"})


@pytest.mark.parametrize("stride", [1, 3], ids="every-{}-wells".format)
def test_killed_again_and_again_it_still_finishes(
    server: Movers, random_spec: CampaignSpec, stride: int
):
    n_killed = 0
    while not server.live(random_spec, moment=(Moment.MEASURED, stride)):
        n_killed += 1
        assert n_killed < 60, "no progress between kills"
    assert n_killed >= random_spec.budget // stride - 1
    check_whole(random_spec)


def test_killed_at_random_moments_it_still_finishes(
    server: Movers, random_spec: CampaignSpec
):
    rng = random.Random(7)
    for _ in range(8):
        server.live(random_spec, kill_after=rng.uniform(0.01, 0.3))
    assert server.live(random_spec)
    check_whole(random_spec)


def test_ctrl_c_in_the_middle_of_a_round_loses_nothing(random_spec):
    process = start(random_spec)
    assert process.stdout is not None
    assert process.stdout.readline() == "open\n"
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert run(random_spec) == 0
    check_whole(random_spec)


def test_two_processes_at_once_send_nothing_twice(
    server: Movers, random_spec: CampaignSpec
):
    assert server.live(random_spec, n_rivals=1)
    check_whole(random_spec)


def test_the_mover_of_a_random_campaign_loads_no_model_library():
    code = "import sys; import labwm.campaign; print(sorted(sys.modules))"
    out = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=True,
    ).stdout
    assert "'torch'" not in out
    assert "'prefect'" not in out


def test_a_lost_home_is_an_error_not_an_empty_success(random_spec, tmp_path: Path):
    assert run(random_spec) == 0
    ledger = settings.home() / "ledger.db"
    ledger.write_bytes(b"not a database" * 100)
    from labwm.errors import StoreError
    from labwm.store import Ledger

    with pytest.raises(StoreError):
        Ledger.open(f"sqlite:///{ledger}")
