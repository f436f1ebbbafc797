"""A home with a campaign in it, and its real server: built once, used by many tests."""

import contextlib
import io
import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import httpx

from labwm.api.cli import run
from labwm.campaign.alarms import FROZEN
from labwm.campaign.books import books
from tests.conftest import ROOT

PROTOCOL = """\
name: asking
version: 1
title: Colour of a mixture, asked before measured
parameters:
  - {name: solvent, kind: molecule, smiles: [CCO, CC(C)O, CC#N, CS(C)=O]}
  - {name: heat, kind: discrete, unit: degC, levels: [20, 40, 60, 80]}
readouts:
  - {name: yield, unit: percent, bounds: [0, 100]}
objectives:
  - {readout: yield, goal: maximise}
costs: {per_experiment: {amount: 20, currency: EUR}}
lab: {adapter: replay, batch_size: 4, approval: {replayed: always}}
"""


def write_material(folder: Path) -> None:
    """Write `asking.yaml`, `free.yaml` (no approval needed) and `table.csv`."""
    (folder / "asking.yaml").write_text(PROTOCOL)
    (folder / "free.yaml").write_text(
        PROTOCOL.replace(", approval: {replayed: always}", "").replace("asking", "free")
    )
    lines = ["solvent,heat,yield"]
    for i, solvent in enumerate(("CCO", "CC(C)O", "CC#N", "CS(C)=O")):
        for heat in (20, 40, 60, 80):
            lines.append(
                f"{solvent},{heat},{20 + 9 * i + heat * 0.4 - i * heat / 20:.1f}"
            )
    (folder / "table.csv").write_text("\n".join(lines) + "\n")


@dataclass
class Site:
    """A folder with a home, and how to use it as a person, an agent or a browser."""

    folder: Path
    keys: dict[str, str] = field(default_factory=dict)
    address: str = ""
    log: str = ""
    """What the server said, once it has stopped."""
    clients: dict[str | None, httpx.Client] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        return os.environ | {
            "LABWM_HOME": str(self.folder / "home"),
            "PYTHONPATH": str(ROOT),
            "OMP_NUM_THREADS": "1",
        }

    def command(self, *words: object) -> list[str]:
        return [sys.executable, "-m", "labwm.api.cli", *map(str, words)]

    def run(self, *words: object, **settings: str) -> subprocess.CompletedProcess[str]:
        """Run a command as the program would, in this process: torch loads once."""
        arguments, stdout, stderr = [*map(str, words)], io.StringIO(), io.StringIO()
        with (
            patch.dict(os.environ, self.environment | settings),
            contextlib.chdir(self.folder),
            contextlib.redirect_stdout(stdout),
            contextlib.redirect_stderr(stderr),
        ):
            try:
                status = run(arguments)
            except SystemExit as end:  # misuse ends the program
                status = int(end.code or 0)
        return subprocess.CompletedProcess(
            arguments, status, stdout.getvalue(), stderr.getvalue()
        )

    def do(self, *words: object, **settings: str) -> str:
        done = self.run(*words, **settings)
        assert done.returncode == 0, f"{words}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def make_key(self, name: str, kind: str, *scopes: str) -> str:
        out = self.do("key", "create", name, "--kind", kind, "--scopes", *scopes)
        self.keys[name] = out.strip()
        return self.keys[name]

    def http(self, name: str | None) -> httpx.Client:
        if name not in self.clients:
            headers = {"Authorization": f"Bearer {self.keys[name]}"} if name else {}
            self.clients[name] = httpx.Client(
                base_url=self.address, headers=headers, timeout=60
            )
        return self.clients[name]

    def status(self, campaign: str) -> dict[str, Any]:
        file = self.folder / f"{campaign}-status.json"
        self.do("campaign", "status", campaign, "--json", file)
        return json.loads(file.read_text())

    def freeze(self, campaign: str) -> None:
        """Freeze a campaign as its own mover does when results surprise it."""
        alarm = {
            "kind": "surprise",
            "readout": "yield",
            "why": "3 of the last 9 values of yield lie outside their 90 % interval by "
            "more than its width",
            "proposal_ids": ["a", "b", "c"],
        }
        with patch.dict(os.environ, self.environment):
            ledger = books().ledger
            with ledger.visit(campaign, actor="advance") as w:
                w.event(FROZEN, {"round": 1, "alarms": [alarm]})

    @contextmanager
    def serving(self) -> Iterator[None]:
        process = subprocess.Popen(
            self.command("serve", "--port", 0),
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert process.stdout is not None
        try:
            line = process.stdout.readline()
            found = re.search(r"http://127\.0\.0\.1:\d+", line)
            assert found, line + (process.stdout.read() if process.poll() else "")
            self.address = found[0]
            yield
        finally:
            for client in self.clients.values():
                client.close()
            process.terminate()
            self.log = process.communicate(timeout=20)[0]


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def until(condition: Any, *, seconds: float = 30, what: str = "") -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not in {seconds} s: {what}"
        time.sleep(0.05)
