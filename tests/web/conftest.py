"""Pages of a served campaign, seen through a real browser."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.api.site import Site, write_material
from tests.web.browser import Page, chromium


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Iterator[Site]:
    """Two campaigns that wait for approval; a person, an agent, and a report."""
    here = Site(tmp_path_factory.mktemp("web"))
    write_material(here.folder)
    here.make_key("ada", "person", "read", "approve")
    here.make_key("planner", "agent", "read", "propose")
    table = ("--data", "table.csv", "--budget", 4)
    here.do("campaign", "start", "free.yaml", *table)
    here.do("campaign", "report", "free")
    here.do("campaign", "start", "asking.yaml", *table)
    here.do("campaign", "start", "asking.yaml", *table, "--name", "other", "--seed", 1)
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
