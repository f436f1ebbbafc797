"""`make bench-ledger`: how long every campaign query takes on a full ledger.

A developer's benchmark over all floors, hence beside the tests: it fills a ledger
through the ledger's own code, so that every chain verifies, and times each query on
campaigns drawn at random, and on one ten times as large. With `--home` filling goes on
where it was cut off, and a ledger that is full is only read.
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
from datetime import UTC, datetime
from pathlib import Path

LIMIT_MS = 100.0
BESIDE = ("large: ", "all campaigns")
"""Rows that are told and not judged: ten thousand results at once, every campaign."""
WELLS = 100
SMALL, LARGE = 10, 100
"""Jobs of an ordinary campaign, and of the large one that comes first."""


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    query: str
    median_ms: float
    slowest_ms: float


def main() -> int:
    """Fill, time, print; 1 if a query is above the limit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--home", type=Path, help="keep the ledger here, and fill on")
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["LABWM_HOME"] = str(asked.home or folder)
        os.environ.pop("LABWM_DATABASE_URL", None)
        names = fill(asked.jobs)
        rows = measure(names)
    show(rows)
    if asked.json:
        asked.json.write_text(json.dumps([vars(row) for row in rows], indent=1))
    asked_for = [row for row in rows if not row.query.startswith(BESIDE)]
    return int(any(row.median_ms > LIMIT_MS for row in asked_for))


def fill(n_jobs: int) -> list[str]:
    """Fill campaigns until there are so many jobs; return their names."""
    from labwm.campaign.books import books

    ledger = books().ledger
    whole = {view.id for view in ledger.campaigns()}
    whole -= {max(whole, default="")}  # the last one may have been cut off
    names: list[str] = []
    started, n_done = time.monotonic(), 0
    while n_done < n_jobs:
        n_now = LARGE if not names else SMALL
        names.append(f"bench-{len(names):04d}")
        if names[-1] not in whole:
            _fill_campaign(names[-1], n_now)
        n_done += n_now
        if len(names) % 50 == 0:
            seconds = time.monotonic() - started
            print(f"{n_done} of {n_jobs} jobs, {seconds:.0f} s", flush=True)  # noqa: T201
    return names


def _fill_campaign(name: str, n_jobs: int) -> None:
    """Open a campaign and measure its rounds, from where it was cut off."""
    from labwm.campaign.books import books
    from labwm.campaign.situation import PREPARED, Opening
    from labwm.schema import CampaignSpec, Origin, parse_protocol, sha256_of
    from tests.unit.campaign.conftest import PROTOCOL

    protocol = parse_protocol(PROTOCOL % "")
    spec = CampaignSpec(name=name, protocol="kettle", budget=n_jobs * WELLS)
    digest = sha256_of("")
    opening = Opening(
        spec=spec,
        protocol_name=protocol.name,
        protocol_version=protocol.version,
        protocol_sha256=protocol.digest(),
        lab="replay",
        origin=Origin.REPLAYED,
        uid=digest[:8],
        pool_sha256=digest,
        pool_object=digest,
        table_object=None,
        labels_object=digest,
        opened_by="bench",
        opened_at=datetime.now(UTC),
    )
    ledger = books().ledger
    ledger.open_campaign(
        name,
        spec,
        protocol,
        origins=[Origin.REPLAYED],
        actor="bench",
        prepared=(PREPARED, opening.model_dump(mode="json")),
    )
    for start in range(len(ledger.jobs(name)), n_jobs, SMALL):
        with ledger.visit(name, actor="bench") as w:
            for number in range(start, start + SMALL):
                _measure_round(w, name, number, protocol)


def _measure_round(w, name: str, number: int, protocol) -> None:
    from labwm.schema import (
        Candidate,
        Job,
        Measurement,
        ModelCard,
        Origin,
        PredictedReadout,
        Proposal,
        StoredPrediction,
        Value,
        Well,
    )
    from labwm.store import ApprovalState, SubmissionState

    key, digest = f"{name}-r{number:03d}", "0" * 64
    rng = random.Random(key)
    card = ModelCard(
        recipe="bench",
        labwm_version="bench",
        protocol_name=protocol.name,
        protocol_version=protocol.version,
        readouts=("seconds",),
        units=("s",),
        n_rows=number * WELLS,
        data_sha256=digest,
    )
    model = w.add_model_card(card, as_of=w.last_event())
    rows = [
        {"power": 5e2 * rng.randint(1, 5), "volume": rng.uniform(0.2, 2), "lid": lid}
        for lid in ("open", "closed")
        for _ in range(WELLS // 2)
    ]
    proposals = [
        Proposal(
            id=f"{key}-p{i:03d}",
            campaign_id=name,
            round=number,
            rank=i,
            candidate=Candidate(conditions=row),
            proposer="policy:random",
            policy="random",
            policy_version="1",
            reason="bench",
            n_considered=WELLS,
            seed=number,
            pool_sha256=digest,
            data_sha256=digest,
            prediction_id=f"{key}-p{i:03d}-prediction",
        )
        for i, row in enumerate(rows)
    ]
    expected = PredictedReadout(
        location=300.0, epistemic=30.0, aleatoric=10.0, mean=300.0, sd=31.6,
        low90=248.0, high90=352.0, unit="s",
    )  # fmt: skip
    predictions = [
        StoredPrediction(
            id=f"{p.id}-prediction",
            campaign_id=name,
            conditions=p.candidate.conditions,
            readouts={"seconds": expected},
            model_sha256=model,
            data_sha256=digest,
            made_at=datetime.now(UTC),
        )
        for p in proposals
    ]
    job = Job(
        submission_key=key,
        campaign_id=name,
        round=number,
        lab="replay",
        protocol_name=protocol.name,
        protocol_version=protocol.version,
        protocol_sha256=protocol.digest(),
        wells=tuple(
            Well(name=f"{i:03d}", proposal_id=p.id, conditions=p.candidate.conditions)
            for i, p in enumerate(proposals)
        ),
    )
    w.add_predictions(predictions)
    w.add_proposals(proposals)
    w.add_batch(key, job, proposer="policy:random")
    w.move_approval(key, ApprovalState.AWAITING)
    w.move_approval(key, ApprovalState.APPROVED, {"auto_approved": True})
    w.reserve_job(key, job)
    for state in ("submitting", "accepted", "finished"):
        w.move_job(key, SubmissionState(state))
    w.add_observations(
        [
            Measurement(
                conditions=well.conditions,
                readouts={"seconds": Value(value=rng.uniform(50, 1000))},
                origin=Origin.REPLAYED,
                job_key=key,
                well=well.name,
                proposal_id=well.proposal_id,
            )
            for well in job.wells
        ]
    )
    w.event("round.learned", {"round": number, "submission_key": key})


def queries() -> dict[str, Callable[[str], object]]:
    """Return every question about one campaign by name."""
    from labwm import campaign
    from labwm.campaign.batches import rounds_of
    from labwm.campaign.books import books
    from labwm.campaign.situation import read_situation
    from labwm.schema import TraceRequest
    from labwm.store import ApprovalState, SubmissionState

    ledger = books().ledger
    pending = [SubmissionState(s) for s in ("submitting", "in_doubt", "accepted")]
    return {
        "campaign": ledger.campaign,
        "status": campaign.status,
        "situation (what planning reads)": lambda c: read_situation(books(), c),
        "rounds": lambda c: rounds_of(books(), c),
        "pending jobs": lambda c: ledger.jobs(c, states=pending),
        "batches that await approval": lambda c: ledger.batches(
            c, states=[ApprovalState.AWAITING]
        ),
        "one job": lambda c: ledger.job(f"{c}-r003"),
        "wells of a job": lambda c: ledger.well_states(f"{c}-r003"),
        "data set": ledger.measurements,
        "digest of the data set": ledger.dataset_sha256,
        "number measured": ledger.n_measured,
        "page of measurements": lambda c: campaign.measurements(c, limit=100),
        "last event": ledger.last_event,
        "events of a kind": lambda c: ledger.events(c, kind="round.learned"),
        "trace of a prediction": lambda c: campaign.trace(
            TraceRequest(id=f"{c}-r003-p007-prediction")
        ),
        "trace of a well": lambda c: campaign.trace(TraceRequest(id=f"{c}-r003/007")),
        "proposals of a round": lambda c: ledger.proposals(c, round=3),
    }


def measure(names: list[str]) -> list[Row]:
    """Time each query on campaigns drawn at random, and on the large one."""
    from labwm import campaign

    drawn = random.Random(7).sample(names[1:], k=min(15, len(names) - 1))
    asked = queries()
    rows = [_timed(name, query, drawn) for name, query in asked.items()]
    rows.append(_timed("all campaigns", lambda _: campaign.list_campaigns(), [""]))
    large = names[:1] * 3
    return rows + [_timed(f"large: {name}", q, large) for name, q in asked.items()]


def _timed(name: str, query: Callable[[str], object], campaigns: list[str]) -> Row:
    spent: list[float] = []
    for campaign_id in campaigns:
        started = time.perf_counter()
        query(campaign_id)
        spent.append(1000 * (time.perf_counter() - started))
    return Row(name, statistics.median(spent), max(spent))


def show(rows: list[Row]) -> None:
    """Print the table as Markdown."""
    print("| query | median [ms] | slowest [ms] |\n|---|---|---|")  # noqa: T201
    for row in rows:
        print(f"| {row.query} | {row.median_ms:.1f} | {row.slowest_ms:.1f} |")  # noqa: T201


if __name__ == "__main__":
    raise SystemExit(main())
