"""Pages of a served campaign, seen through a real browser."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.api.site import PROTOCOL, Site, write_material
from tests.web.browser import Page, chromium

PLATE = """
plate:
  rows: 4
  columns: 6
  replicates: 2
  controls:
    - {name: blank, conditions: {solvent: CCO, heat: 20}, wells: [A1, D6]}
    - {name: best, conditions: {solvent: CS(C)=O, heat: 80}, count: 2}
stages:
  - {operation: dispense, of: [solvent], duration: 5 min}
  - {operation: warm, at: heat, requires: dispense, duration: 30 min}
  - {operation: read, observes: yield, requires: warm, duration: 2 min}
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Iterator[Site]:
    """Campaigns that wait for approval; two people, an agent, and a report."""
    here = Site(tmp_path_factory.mktemp("web"))
    write_material(here.folder)
    here.make_key("ada", "person", "read", "approve")
    here.make_key("ben", "person", "read", "approve", "submit")
    here.make_key("planner", "agent", "read", "propose")
    table = ("--data", "table.csv", "--budget", 4)
    here.do("campaign", "start", "free.yaml", *table)
    here.do("campaign", "report", "free")
    here.do("campaign", "start", "asking.yaml", *table)
    here.do("campaign", "start", "asking.yaml", *table, "--name", "other", "--seed", 1)
    (here.folder / "plated.yaml").write_text(
        PROTOCOL.replace("asking", "plated") + PLATE
    )
    here.do("campaign", "start", "plated.yaml", *table)
    with here.serving():
        yield here


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Page]:
    with chromium(tmp_path / "profile") as opened:
        yield opened


@pytest.fixture
def visitor(site) -> Iterator[httpx.Client]:
    """A client that signed in as the person, with cookies as a browser keeps them."""
    with httpx.Client(base_url=site.address, timeout=60) as client:
        client.post("/sign-in", data={"key": site.keys["ada"]})
        yield client
