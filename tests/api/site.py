"""A home with a campaign in it, and its real server: built once, used by many tests."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

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
        return subprocess.run(
            self.command(*words),
            cwd=self.folder,
            env=self.environment | settings,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
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
        headers = {"Authorization": f"Bearer {self.keys[name]}"} if name else {}
        return httpx.Client(base_url=self.address, headers=headers, timeout=60)

    def status(self, campaign: str) -> dict[str, Any]:
        file = self.folder / f"{campaign}-status.json"
        self.do("campaign", "status", campaign, "--json", file)
        return json.loads(file.read_text())

    @contextmanager
    def serving(self) -> Iterator[None]:
        process = subprocess.Popen(
            self.command("serve", "--port", 0),
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=(self.folder / "server.log").open("wb"),
            text=True,
        )
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            found = re.search(r"http://127\.0\.0\.1:\d+", line)
            assert found, (line, (self.folder / "server.log").read_text())
            self.address = found[0]
            yield
        finally:
            process.terminate()
            process.wait(20)
            process.stdout.close()


def until(condition: Any, *, seconds: float = 30, what: str = "") -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not in {seconds} s: {what}"
        time.sleep(0.05)
