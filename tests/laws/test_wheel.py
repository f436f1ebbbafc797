"""The wheel works in an empty environment, from an empty folder."""

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.conftest import ROOT

pytestmark = [pytest.mark.timeout(600), pytest.mark.xdist_group("prefect")]


def run(*words: str | Path, cwd: Path, **settings: str) -> str:
    environment = {
        key: value for key, value in os.environ.items() if key != "PYTHONPATH"
    } | settings
    done = subprocess.run(
        [str(word) for word in words],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{words}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(
    scope="module",
    params=["lent", pytest.param("downloaded", marks=pytest.mark.slow)],
)
def installed(request, tmp_path_factory) -> Path:
    """Folder of the programs of an environment that holds only the wheel.

    Its libraries are those of this environment, or gigabytes of their own.
    """
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--outdir", folder / "dist"]
    run(*build, ROOT, cwd=folder)
    (wheel,) = (folder / "dist").glob("labwm-*.whl")
    run(sys.executable, "-m", "venv", folder / "venv", cwd=folder)
    pip = [folder / "venv" / "bin" / "python", "-m", "pip", "install", "--quiet"]
    if request.param == "downloaded":
        run(*pip, "-c", ROOT / "constraints.txt", wheel, cwd=folder)
    else:
        # A path file of a path file is not read: the checkout stays out of sight.
        run(*pip, "--no-deps", wheel, cwd=folder)
        lent = sysconfig.get_path("purelib")
        purelib = next((folder / "venv" / "lib").glob("python*/site-packages"))
        (purelib / "lent.pth").write_text(f"{lent}\n")
    return folder / "venv" / "bin"


def test_the_installed_wheel_shows_a_protocol_and_lists_data(installed, tmp_path):
    shown = run(installed / "labwm", "protocol", "show", "xtb_dyes", cwd=tmp_path)
    assert "gap" in shown
    listed = run(installed / "labwm", "data", "list", cwd=tmp_path)
    assert "direct_arylation" in listed


def test_the_installed_wheel_runs_one_flow(installed, tmp_path):
    code = (
        "from flows.campaign import run_campaign; "
        "from labwm.schema import CampaignSpec; "
        "state = run_campaign(CampaignSpec(name='wheel', protocol='xtb_dyes', "
        "lab='xtb', budget=2, batch_size=2), return_state=True); print(state.name)"
    )
    settings = {"LABWM_HOME": str(tmp_path / "home"), "PREFECT_HOME": str(tmp_path)}
    settings["PREFECT_SERVER_ALLOW_EPHEMERAL_MODE"] = "true"
    settings["PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS"] = "180"
    settings["PREFECT_SERVER_ANALYTICS_ENABLED"] = "false"
    out = run(installed / "python", "-c", code, cwd=tmp_path, **settings)
    assert "Done" in out
