"""The tests' own PostgreSQL leaves nothing behind, however its owner ends."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import ROOT, skip_or_fail
from tests.postgres import binaries

OWNER = """
import sys
from pathlib import Path
from tests.postgres import running_postgres
print(running_postgres(Path(sys.argv[1])).folder, flush=True)
sys.stdin.read()
"""


@pytest.mark.postgres
def test_the_server_ends_with_a_killed_owner():
    folder = binaries()
    if folder is None:
        skip_or_fail("PostgreSQL is not installed (Debian: postgresql)")
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(folder)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert owner.stdout
    data = Path(owner.stdout.readline().strip())
    server = int((data / "data" / "postmaster.pid").read_text().splitlines()[0])
    owner.send_signal(signal.SIGKILL)
    owner.communicate()
    until = time.monotonic() + 30
    while (data.exists() or runs(server)) and time.monotonic() < until:
        time.sleep(0.05)
    assert not data.exists()
    assert not runs(server)


def runs(process: int) -> bool:
    """Is there such a process, and did it not end?"""
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"
