"""`make demo`, really interrupted as a terminal interrupts it: the whole group."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from labwm import campaign
from labwm.errors import NotFoundError
from tests.api.site import until
from tests.conftest import ROOT

pytestmark = [pytest.mark.prefect, pytest.mark.xdist_group("prefect")]
LIMIT_S = 30.0


def is_open(campaign_id: str) -> bool:
    try:
        return campaign.status(campaign_id).summary.n_pending > 0
    except NotFoundError:
        return False


def processes_of(home: Path) -> set[int]:
    """Return the living processes whose environment names this home."""
    found = set()
    entry = f"PREFECT_HOME={home / 'prefect'}".encode()
    for path in Path("/proc").glob("[0-9]*"):
        try:
            environment = (path / "environ").read_bytes().split(b"\0")
            state = (path / "stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if entry in environment and state != "Z":
            found.add(int(path.name))
    return found


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        pytest.param(signal.SIGINT, 130, id="ctrl-c"),
        pytest.param(signal.SIGTERM, 143, id="terminated", marks=pytest.mark.slow),
    ],
)
def test_an_interrupted_demo_ends_soon_says_so_and_leaves_nothing_running(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sent: int, status: int
):
    home = tmp_path / "home"
    monkeypatch.setenv("LABWM_HOME", str(home))
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PREFECT_")}
    with subprocess.Popen(
        [sys.executable, "-m", "flows.demo"],
        cwd=tmp_path,
        env={**environment, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as demo:
        try:
            until(lambda: is_open("demo-1") or demo.poll() is not None, seconds=120)
            os.killpg(demo.pid, sent)
            said, _ = demo.communicate(timeout=LIMIT_S)
        finally:
            demo.kill()
    assert demo.returncode == status, said
    assert "Traceback" not in said, said
    assert ("nothing is lost" in said) == (sent == signal.SIGINT)
    assert not processes_of(home)
    assert campaign.status("demo-1").summary.state.value == "open"
