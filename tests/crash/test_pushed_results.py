"""A lab's push, end to end: real servers, a real signature, and the bell that rings.

The lab's server and labwm's are processes of their own; the lab posts to labwm, which
rings the bell and takes nothing else from it. What was measured comes in once, by the
one way that there is.
"""

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import httpx
import pytest

from labwm import campaign
from labwm.campaign.doorbell import rung_at
from labwm.campaign.webhooks import secrets_in, sign
from labwm.schema import CampaignSpec, Notice, WaitsFor
from labwm.settings import home
from labwm.testing.faults import wait_until
from labwm.testing.lab_servers import HOOK_SECRET, KEY, LabServer
from tests.crash.test_http_lab import check_once, kettle, spec_of, write_protocol

__all__ = ["kettle"]


@contextmanager
def labwm_serving(log: Path) -> Iterator[str]:
    """`labwm serve` on this home, as a process; yields its address."""
    words = [sys.executable, "-m", "labwm.api.cli", "serve", "--port", "0"]
    with log.open("w") as said:
        process = subprocess.Popen(
            words,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=said,
            text=True,
        )
        assert process.stdout is not None
        try:
            found = re.search(r"http://127\.0\.0\.1:\d+", process.stdout.readline())
            assert found, log.read_text()
            yield found[0]
        finally:
            process.terminate()
            process.communicate(timeout=20)


@pytest.fixture(autouse=True)
def _secrets(monkeypatch):
    monkeypatch.setenv("LABWM_LAB_KEY", KEY)
    monkeypatch.setenv("LABWM_HOOK_SECRETS", HOOK_SECRET)


@pytest.mark.timeout(180)
def test_a_labs_notice_rings_the_bell_and_a_forged_one_does_not(kettle: Path):
    log = kettle / "serve.log"
    port = free_port()
    protocol = write_protocol(kettle, f"http://127.0.0.1:{port}")
    with labwm_serving(log) as address:
        plays = (protocol, "--data", kettle / "kettle.csv", "--folder", kettle / "jobs")
        lab = LabServer((*plays, "--notify", f"{address}/v1/notices"), port).start()
        try:
            spec = spec_of(protocol)
            campaign.open_campaign(spec)
            advance_by_the_bell(spec)
            # Two jobs, and each was told of.
            wait_until(lambda: len(list((home() / "notices").iterdir())) >= 2)
            check_once(spec, kettle / "jobs")
            key = campaign.status(spec.name).batches[0].submission_key or ""
        finally:
            lab.end()
        _refuse_forged_repeated_and_stale(address, key)
    said = log.read_text()
    assert said.count("a lab's notice was refused") == 4
    assert HOOK_SECRET not in said


def advance_by_the_bell(spec: CampaignSpec) -> None:
    """Move a campaign to its end as `labwm up` does: asleep until the bell rings."""
    answered = rung_at()
    while (step := campaign.advance(spec.name)).waits_for is not WaitsFor.DONE:
        if step.waits_for is WaitsFor.LAB:
            wait_until(partial(_has_rung, answered), seconds=30)
            answered = rung_at()


def _has_rung(since: int) -> bool:
    return rung_at() > since


def free_port() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return bound.getsockname()[1]


def _refuse_forged_repeated_and_stale(address: str, key: str) -> None:
    url, now = f"{address}/v1/notices", int(time.time())
    body = Notice(type="results", submission_key=key).canonical_json()
    good = sign(body, secrets=secrets_in(HOOK_SECRET), id="by-hand", at=now)
    assert httpx.post(url, content=body, headers=good).status_code == 202
    rung = rung_at()
    repeated = httpx.post(url, content=body, headers=good)
    assert (repeated.status_code, repeated.json()["code"]) == (409, "duplicate")
    for headers in (
        {},
        good | {"webhook-id": "another"},
        sign(body, secrets=secrets_in(HOOK_SECRET), id="old", at=now - 1000),
    ):
        refused = httpx.post(url, content=body, headers=headers)
        assert (refused.status_code, refused.json()["code"]) == (401, "unauthenticated")
    # A body beyond the limit is not even read whole.
    assert httpx.post(url, content=b"x" * 3_000_000, headers=good).status_code == 413
    assert rung_at() == rung
