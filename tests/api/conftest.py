"""One site with a served campaign for all tests of the doors."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.api.site import Site, write_material
from tests.api.up import Launched, launched_in


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


@dataclass
class _Launcher:
    """Starts `labwm up` when a test needs it and nobody left it running."""

    site: Site
    stack: ExitStack
    runs: list[Launched] = field(default_factory=list)

    def running(self) -> Launched:
        if not (self.runs and self.runs[-1].is_running):
            self.runs.append(self.stack.enter_context(launched_in(self.site)))
            self.runs[-1].wait_until_ready()
        return self.runs[-1]


@pytest.fixture(scope="session")
def launcher(tmp_path_factory) -> Iterator[_Launcher]:
    folder = tmp_path_factory.mktemp("up")
    write_material(folder)
    with ExitStack() as stack:
        yield _Launcher(Site(folder), stack)


@pytest.fixture
def launched(launcher: _Launcher) -> Launched:
    """A running `labwm up`: one for all tests, started again if a test stopped it."""
    return launcher.running()
