"""`make bench-ledger`: how long every campaign query takes on a full ledger.

A developer's benchmark over all floors, hence beside the tests. Four campaigns are
written by the ledger's own code: a large one, and ordinary ones whose last round is
over, awaits a person, or is at the lab. The others are copies of those, each with its
own chain: `--doctor` verifies all of it. Then each use-case that a door, a page or the
schedule calls is timed, on campaigns drawn at random. With `--home` the ledger is kept.
"""

import argparse
import json
import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from labwm import campaign
from labwm.campaign.alarms import freeze_of
from labwm.campaign.books import Books, books
from labwm.campaign.learning import score
from labwm.campaign.reporting import record_of
from labwm.campaign.situation import read_situation
from labwm.schema import TraceRequest
from labwm.store import ApprovalState
from tests.bench.copying import Copier
from tests.bench.filling import WELLS, Stage, fill_campaign

LIMIT_MS = 100.0
SMALL, LARGE = 10, 100
"""Rounds of an ordinary campaign, and of the large one, of `WELLS` results each."""
STAGES: tuple[Stage, ...] = ("closed", "awaiting", "running")
EVERY = 20
"""Of so many campaigns one awaits a person and one is at the lab; the rest are over."""
LEARNING = ("planning reads", "report reads", "data set")
"""Rows that return every result or learn from it: they grow with the campaign."""


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    query: str
    median_ms: float
    slowest_ms: float

    @property
    def is_judged(self) -> bool:
        """Does the limit hold for it? Not for all of ten thousand results at once."""
        is_large = self.query.startswith("large: ")
        return not (is_large and any(word in self.query for word in LEARNING))


def main() -> int:
    """Fill, time, print; 1 if a query is above the limit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--home", type=Path, help="keep the ledger here, and fill on")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--doctor", action="store_true", help="verify it, too")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["LABWM_HOME"] = str(asked.home or folder)
        os.environ.pop("LABWM_DATABASE_URL", None)
        fill(books(), asked.jobs)
        rows = measure(books())
        if asked.doctor:
            verify()
    if asked.json:
        asked.json.write_text(json.dumps([vars(row) for row in rows], indent=1))
    return int(any(row.median_ms > LIMIT_MS for row in rows if row.is_judged))


def name_of(number: int) -> str:
    """Return the name of a campaign: names are of one length, so that copies are."""
    return f"bench-{number:05d}"


def fill(store: Books, n_jobs: int) -> None:
    """Fill campaigns until there are so many jobs, each with `WELLS` results."""
    started = time.monotonic()
    whole = {view.id for view in store.ledger.campaigns()}
    originals: list[tuple[int, Stage]] = [(LARGE, "closed")]
    originals.extend((SMALL, stage) for stage in STAGES)
    for number, (n_rounds, stage) in enumerate(originals):
        if name_of(number) not in whole:
            fill_campaign(store, name_of(number), n_rounds, stage)
    path = Path(str(store.ledger.engine.url.database))
    copiers = [Copier(path, name_of(number)) for number in (1, 2, 3)]
    number, n_results = len(originals), (LARGE + 3 * SMALL) * WELLS
    while n_results < n_jobs * WELLS:
        which = max(0, number % EVERY - EVERY + 3)
        if name_of(number) not in whole:
            copiers[which].copy(name_of(number))
        number, n_results = number + 1, n_results + copiers[which].n_results
    for copier in copiers:
        copier.close()
    print(f"{number} campaigns, {time.monotonic() - started:.0f} s")  # noqa: T201


def verify() -> None:
    """Let `labwm doctor` verify every chain; raise at what does not match."""
    started = time.monotonic()
    problems = [line for line in campaign.doctor() if "PROBLEM" in line]
    assert not problems, problems
    print(f"`labwm doctor` found no fault, {time.monotonic() - started:.0f} s")  # noqa: T201


def of_one() -> dict[str, Callable[[str], object]]:
    """Return every question about one campaign by name."""
    store = books()
    ledger = store.ledger
    return {
        "status": campaign.status,
        "batch page": lambda c: campaign.batch(c, f"{c}-r003"),
        "page of results, first": lambda c: campaign.measurements(c, limit=200),
        "page of results, last": lambda c: campaign.measurements(c, offset=800),
        "trace of a prediction": _tracing("{}-r003-p007-prediction"),
        "trace of a well": _tracing("{}-r003/007"),
        "trace of a job": _tracing("{}-r003"),
        "planning reads (each step of advance)": lambda c: read_situation(store, c),
        "report reads": report_reads,
        "data set": ledger.measurements,
        "digest of the data set": ledger.dataset_sha256,
        "batches that await approval": lambda c: ledger.batches(
            c, states=[ApprovalState.AWAITING]
        ),
        "a lab's notice: its job": lambda c: ledger.job(f"{c}-r003"),
        "wells of a job": lambda c: ledger.well_states(f"{c}-r003"),
        "is it due for a review": campaign.is_due_for_review,
        "recipes": campaign.champions,
        "protocol": campaign.protocol_of,
        "is it frozen": lambda c: freeze_of(store, c),
        "events of a kind": lambda c: ledger.events(c, kind="round.learned"),
    }


def of_all() -> dict[str, Callable[[str], object]]:
    """Return every question about all campaigns by name."""
    return {
        "all: list": lambda _: campaign.list_campaigns(),
        "all: calibrations": lambda _: campaign.calibrations(),
        "all: open ones (schedule, doorbell)": lambda _: campaign.open_ids(),
        "all: late results awaited": lambda _: campaign.awaited_ids(),
    }


def _tracing(name: str) -> Callable[[str], object]:
    return lambda c: campaign.trace(TraceRequest(id=name.format(c)))


def report_reads(campaign_id: str) -> None:
    """Read what a report is made from."""
    situation = read_situation(books(), campaign_id)
    record_of(books(), situation)
    score(books(), situation)


def measure(store: Books) -> list[Row]:
    """Time each query on campaigns drawn at random, and on the large one; tell it."""
    print("| query | median [ms] | slowest [ms] |\n|---|---|---|")  # noqa: T201
    names = [view.id for view in store.ledger.campaigns()]
    drawn = random.Random(7).sample(names[1:], k=min(15, len(names) - 1))
    rows = [_timed(name, query, drawn) for name, query in of_one().items()]
    waiting = [
        c for c in names if store.ledger.batches(c, states=[ApprovalState.AWAITING])
    ]
    moved = random.Random(7).sample(waiting, k=min(10, len(waiting)))
    rows.append(_timed("advance, while a person is awaited", campaign.advance, moved))
    rows += [_timed(name, query, [""] * 10) for name, query in of_all().items()]
    large = names[:1] * 3
    return rows + [_timed(f"large: {n}", q, large) for n, q in of_one().items()]


def _timed(name: str, query: Callable[[str], object], campaigns: list[str]) -> Row:
    spent: list[float] = []
    for campaign_id in campaigns:
        started = time.perf_counter()
        query(campaign_id)
        spent.append(1000 * (time.perf_counter() - started))
    row = Row(name, statistics.median(spent), max(spent))
    print(f"| {name} | {row.median_ms:.1f} | {row.slowest_ms:.1f} |", flush=True)  # noqa: T201
    return row


if __name__ == "__main__":
    raise SystemExit(main())
