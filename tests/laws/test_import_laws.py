"""Import contracts and import times: what a room may load, and how long it may take."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

HEAVY = {"torch", "xarray", "rdkit", "prefect", "botorch", "gpytorch", "matplotlib"}


def loaded_by(module: str) -> tuple[set[str], float]:
    code = (
        "import json, sys, time; start = time.process_time(); "
        f"import {module}; "
        "print(json.dumps([sorted(sys.modules), time.process_time() - start]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    names, seconds = json.loads(done.stdout)
    return {name.split(".")[0] for name in names}, seconds


@pytest.mark.parametrize(
    "room",
    ["labwm.schema", "labwm.store", "labwm.labs", "labwm.campaign", "labwm.api"],
)
def test_importing_a_light_room_loads_no_heavy_library(room: str):
    loaded, _ = loaded_by(room)
    assert not loaded & HEAVY


def test_the_dispatcher_process_imports_in_about_a_second():
    # Seconds of processor, best of three: a busy machine slows an import, not the room.
    assert min(loaded_by("labwm.campaign")[1] for _ in range(3)) < 1.2


def test_help_answers_in_under_half_a_second():
    labwm = [sys.executable, "-m", "labwm.api.cli", "--help"]
    times = []
    for _ in range(3):
        timed = subprocess.run(
            [sys.executable, "-c", TIMER, *labwm],
            capture_output=True,
            text=True,
            check=True,
            cwd=ROOT,
        )
        times.append(float(timed.stdout.splitlines()[-1]))
    assert min(times) < 0.5


TIMER = (
    "import resource, subprocess, sys; "
    "subprocess.run(sys.argv[1:], check=True, capture_output=True); "
    "used = resource.getrusage(resource.RUSAGE_CHILDREN); "
    "print(used.ru_utime + used.ru_stime)"
)


def test_every_import_contract_is_kept():
    done = subprocess.run(
        [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert done.returncode == 0, done.stdout
