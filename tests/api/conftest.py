"""One site with a served campaign for all tests of the doors."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api.site import Site, write_material


@pytest.fixture(scope="session")
def site(tmp_path_factory) -> Iterator[Site]:
    """`asking` waits for approval, `free` is done; four people and agents."""
    here = Site(tmp_path_factory.mktemp("site"))
    write_material(here.folder)
    here.make_key("ada", "person", "read", "propose", "submit", "approve")
    here.make_key("planner", "agent", "read", "propose", "submit")
    here.make_key("reader", "agent", "read")
    here.make_key("leaver", "person", "read", "admin")
    here.do("key", "revoke", "leaver")
    table = ("--data", "table.csv")
    here.do("campaign", "start", "free.yaml", *table, "--budget", 8)
    here.do("campaign", "start", "asking.yaml", *table, "--budget", 12)
    with here.serving():
        yield here


@pytest.fixture
def desk(tmp_path: Path) -> Site:
    """A fresh folder with material and an empty home; nothing is served."""
    write_material(tmp_path)
    return Site(tmp_path)
