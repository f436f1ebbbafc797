"""Real writers, really killed, really many: the ledger stays whole, all or nothing."""

import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from labwm.store import Ledger
from tests.unit.store.conftest import open_campaign

WRITER = """
import sys
from labwm.schema import Measurement
from labwm.store import Ledger
url, name, n, moment = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
campaign = sys.argv[5]
ledger = Ledger.open(url)

def say(word):
    sys.stdout.write(word + "\\n")
    sys.stdout.flush()

def pause(here):
    if here == moment:
        say("here")
        sys.stdin.readline()

say("ready")
sys.stdin.readline()
for i in range(n):
    result = Measurement.model_validate({
        "conditions": {"power": f"{name}-{i}"}, "origin": "replayed",
        "readouts": {"seconds": {"value": i}},
    })
    with ledger.visit(campaign, actor=name) as w:
        pause("begun")
        w.event("before", {"i": i})
        pause("between")
        w.add_observations([result])
        w.event("after", {"i": i})
        pause("written")
    pause("committed")
say("done")
"""


class Writer:
    """A process that writes `n` transactions, pausing at one moment of the first."""

    def __init__(
        self,
        url: str,
        name: str,
        n: int,
        moment: str = "never",
        campaign: str = "boil",
    ) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", WRITER, url, name, str(n), moment, campaign],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def go(self) -> None:
        assert self.process.stdin
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def wait_for(self, word: str) -> None:
        assert self.process.stdout
        heard = self.process.stdout.readline().strip()
        if heard != word:
            self.process.kill()
            assert heard == word, self.process.communicate()[1]

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.communicate()
        assert self.process.returncode == -signal.SIGKILL

    def finish(self) -> None:
        self.wait_for("done")
        self.process.communicate()
        assert self.process.returncode == 0


def is_whole(ledger: Ledger, campaign: str = "boil") -> int:
    """Verify, check that no transaction is half there, return how many there are."""
    report = ledger.verify(campaign)
    before = ledger.events(campaign, kind="before")
    after = ledger.events(campaign, kind="after")
    assert len(before) == len(after) == report.n_measured
    return len(before)


@pytest.fixture
def opened(ledger: Ledger, protocol) -> Iterator[Ledger]:
    open_campaign(ledger, protocol, "boil")
    return ledger


def all_at_once(writers: list[Writer]) -> float:
    """Let writers write together; returns the seconds that it took."""
    for writer in writers:
        writer.wait_for("ready")
    started = time.monotonic()
    for writer in writers:
        writer.go()
    for writer in writers:
        writer.finish()
    return time.monotonic() - started


def test_eight_writers_keep_one_chain_whole(opened: Ledger, url: str):
    seconds = all_at_once([Writer(url, f"w{i}", 20) for i in range(8)])
    assert is_whole(opened) == 160
    actors = [event.actor for event in opened.events("boil", kind="after")]
    assert {actors.count(f"w{i}") for i in range(8)} == {20}
    print(f"8 writers of one chain: 160 transactions in {seconds:.2f} s")  # noqa: T201


def test_eight_writers_of_several_chains_keep_each_whole(
    opened: Ledger, url: str, protocol
):
    names = ["boil", *(open_campaign(opened, protocol, f"boil-{i}") for i in range(3))]
    writers = [Writer(url, f"w{i}", 20, campaign=names[i % 4]) for i in range(8)]
    seconds = all_at_once(writers)
    for place, name in enumerate(names):
        assert is_whole(opened, name) == 40
        actors = {event.actor for event in opened.events(name, kind="after")}
        assert actors == {f"w{place}", f"w{place + 4}"}
    print(f"8 writers of 4 chains: 160 transactions in {seconds:.2f} s")  # noqa: T201


@pytest.mark.parametrize(
    ("moment", "n_stored"),
    [("begun", 0), ("between", 0), ("written", 0), ("committed", 1)],
)
def test_a_writer_killed_in_a_transaction_leaves_all_or_nothing(
    opened: Ledger, url: str, moment: str, n_stored: int
):
    writer = Writer(url, "victim", 1, moment)
    writer.wait_for("ready")
    writer.go()
    writer.wait_for("here")
    writer.kill()
    with opened.visit("boil", actor="next") as w:
        w.event("goes-on", {})
    assert is_whole(opened) == n_stored


def test_writers_killed_at_random_moments_leave_whole_transactions(
    opened: Ledger, url: str
):
    rng = random.Random(7)
    stored = 0
    for i in range(4):
        writer = Writer(url, f"victim-{i}", 100_000)
        writer.wait_for("ready")
        writer.go()
        time.sleep(rng.uniform(0.01, 0.4))
        writer.kill()
        now = is_whole(opened)
        assert now >= stored
        stored = now
    assert stored > 0


FILLER = """
import sys
from labwm.errors import StoreError
from labwm.store import Ledger
ledger = Ledger.open(sys.argv[1])
try:
    for i in range(10_000):
        with ledger.visit("boil", actor="filler") as w:
            w.event("before", {"padding": "x" * 10_000})
            w.event("after", {})
except StoreError as error:
    print(type(error).__name__, error)
"""


def test_on_a_full_disk_the_ledger_stays_whole(
    sqlite_template: Path, tmp_path: Path, protocol
):
    url = f"sqlite:///{shutil.copy(sqlite_template, tmp_path / 'ledger.db')}"
    opened = Ledger.open(url)
    open_campaign(opened, protocol, "boil")
    opened.close()
    done = subprocess.run(
        [sys.executable, "-c", FILLER, url],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
        preexec_fn=lambda: resource.setrlimit(
            resource.RLIMIT_FSIZE, (1_500_000, 1_500_000)
        ),
    )
    assert done.stdout.startswith("StoreError The ledger must be able to serve")
    assert "Free space" in done.stdout
    again = Ledger.open(url)
    n_before = len(again.events("boil", kind="before"))
    assert n_before == len(again.events("boil", kind="after")) > 0
    again.verify("boil")
    with again.visit("boil", actor="next") as w:
        w.event("goes-on", {})
    again.close()
