"""The documentation does not lie: its blocks run, its tables are complete."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from labwm import errors
from labwm.labs import capabilities_of, lab_names, origin_of_lab
from labwm.schema import Capabilities
from labwm.store.diagrams import renewed
from tests.conftest import ROOT, SHARED

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```(sh|python)\n(.*?)^```", re.M | re.S)
SAVED = re.compile(r"^```yaml\n# ([a-z-]+\.yaml)\n(.*?)^```", re.M | re.S)
"""Blocks that the reader saves under the name in their first line."""
BIN = Path(sys.executable).parent


def blocks(page: Path, language: str) -> list[str]:
    return [text for kind, text in BLOCK.findall(page.read_text()) if kind == language]


@pytest.fixture(scope="module")
def desk(tmp_path_factory) -> Path:
    """A folder such as the reader's, with the table that the examples name."""
    folder = tmp_path_factory.mktemp("desk")
    lines = ["power [W],volume [L],lid,time [s]"]
    for power in (500, 1000, 1500, 2000):
        for volume in (0.25, 0.5, 1.0, 1.5):
            for lid, share in (("open", 0.8), ("closed", 0.9)):
                seconds = 4180 * 80 * volume / (power * share)
                lines.append(f"{power},{volume},{lid},{seconds:.1f}")
    (folder / "boiling.csv").write_text("\n".join(lines) + "\n")
    for page in PAGES:
        for name, text in SAVED.findall(page.read_text()):
            (folder / name).write_text(text)
    return folder


def commands(page: Path) -> list[str]:
    lines = [line for block in blocks(page, "sh") for line in block.splitlines()]
    return [line.split("  #")[0].strip() for line in lines if line.strip()]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_command_of_a_page_runs(page: Path, desk: Path, monkeypatch):
    environment = os.environ | {
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "LABWM_HOME": str(desk / ".labwm"),
        "LABWM_DATA_MIRROR": str(SHARED / "data" / "mirror"),
    }
    with ExitStack() as servers:
        for command in commands(page):
            follow(command, desk, environment, servers)


def follow(
    command: str, desk: Path, environment: dict[str, str], servers: ExitStack
) -> None:
    """Do what a line says, as a shell would."""
    words = shlex.split(command)
    if words[0] == "make":
        # `make test` in a test would not end; that the target exists must do.
        makefile = (ROOT / "Makefile").read_text()
        assert re.search(rf"^{words[1]}:", makefile, re.M), command
    elif words[0] == "export":
        name, value = words[1].split("=", maxsplit=1)
        environment[name] = value
    elif words[-1] == "&":
        servers.enter_context(in_background(words[:-1], desk, environment))
    else:
        done = subprocess.run(
            words,
            cwd=desk,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"


@contextmanager
def in_background(
    words: list[str], desk: Path, environment: dict[str, str]
) -> Iterator[None]:
    """Start a server, wait until it says its address, and end it after the page."""
    process = subprocess.Popen(
        words,
        cwd=desk,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        assert "http://" in line, line + process.stdout.read()
        yield
    finally:
        process.terminate()
        process.communicate(timeout=20)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_link_within_the_repository_leads_somewhere(page: Path):
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text())
    local = [link for link in links if "://" not in link]
    missing = [link for link in local if not (page.parent / link).exists()]
    assert not missing


def test_every_setting_is_documented():
    documented = set(
        re.findall(r"`(LABWM_[A-Z_]+)`", (ROOT / "docs/settings.md").read_text())
    )
    used = set()
    for source in [*(ROOT / "labwm").rglob("*.py"), *(ROOT / "flows").rglob("*.py")]:
        used |= set(re.findall(r"[\"'](LABWM_[A-Z_]+)[\"']", source.read_text()))
    assert used == documented


def test_every_error_code_is_documented():
    page = (ROOT / "docs/errors.md").read_text()
    kinds = [
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, errors.LabwmError)
    ]
    for kind in kinds:
        row = f"| `{kind.code}` | {kind.exit_status} | {kind.http_status} |"
        assert row in page, row


def test_the_table_of_labs_says_what_the_adapters_claim():
    page = (ROOT / "docs/labs.md").read_text()
    claims = list(Capabilities.model_fields)
    assert f"| lab | origin of its results | {' | '.join(claims)} |" in page
    for name in lab_names():
        can = capabilities_of(name).model_dump()
        said = ["yes" if can[claim] else "no" for claim in claims]
        row = f"| `{name}` | {origin_of_lab(name).value} | {' | '.join(said)} |"
        assert row in page, row


def test_the_diagrams_of_the_state_machines_are_current():
    page = (ROOT / "docs/ledger.md").read_text()
    assert renewed(page) == page, "run: python -m labwm.store.diagrams docs/ledger.md"
    assert page.count("stateDiagram-v2") == 3
    assert "    submitting --> in_doubt\n" in page
