"""Killed at each point of the crash matrix and at random moments, on labs that differ
in what they can be asked: nothing twice, nothing lost, and the campaign finishes.

A failure names the seed of its case; `LABWM_KILL_SEED` runs that case again, alone.
"""

import os
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from labwm import campaign, settings
from labwm.campaign.books import books
from labwm.campaign.moments import Moment
from labwm.labs.registry import ADAPTERS
from labwm.schema import CampaignSpec, CampaignState
from labwm.store import SubmissionState
from tests.crash import station
from tests.crash.mover import PROTOCOL, Movers
from tests.unit.campaign.conftest import kettle

__all__ = ["kettle"]

BUDGET = 8
KINDS = tuple(station.KINDS)
REACHED = [m for m in Moment if m is not Moment.MEASURED]
"""Moments at a lab that others work for; K11 is of labs that compute."""


@pytest.fixture(autouse=True)
def _stations() -> Iterator[None]:
    kept = dict(ADAPTERS)
    station.register()
    yield
    ADAPTERS.clear()  # type: ignore[attr-defined]
    ADAPTERS.update(kept)  # type: ignore[attr-defined]


@pytest.fixture
def database(url: str, monkeypatch) -> str:
    """The ledger of this test, in either database."""
    monkeypatch.setenv("LABWM_DATABASE_URL", url)
    return url


def spec_of(folder: Path, lab: str, name: str, *, approval: str = "never"):
    path = folder / f"{lab}-{approval}.yaml"
    path.write_text(PROTOCOL.format(lab=lab, approval=approval))
    return CampaignSpec(name=name, protocol=str(path), policy="random", budget=BUDGET)


def check_once(spec: CampaignSpec, lab: str, seed: object) -> None:
    """Compare what the lab really did with what the ledger says."""
    path = settings.lab_folder(lab) / spec.name / "effects.jsonl"
    done = station.times_done(path)
    said = f"seed {seed}, lab {lab}, campaign {spec.name}: {done}"
    assert set(done.values()) == {1}, f"measured twice: {said}"
    assert len(done) == BUDGET, f"not all was measured: {said}"
    jobs = station.jobs_of(station.effects(path))
    kept = books().ledger.jobs(spec.name)
    finished = {
        v.job.submission_key for v in kept if v.state is SubmissionState.FINISHED
    }
    assert finished == set(jobs), said
    assert {v.state for v in kept} <= {SubmissionState.FINISHED, SubmissionState.FAILED}
    truth = {
        (key, well.name): station.result_of(job, i, revision=int(i % 3 == 0)).readouts
        for key, job in jobs.items()
        for i, well in enumerate(job.wells)
    }
    rows = campaign.measurements(spec.name, limit=1000).measurements
    assert {(m.job_key, m.well): m.readouts for m in rows} == truth, f"lost: {said}"
    (budget,) = campaign.status(spec.name).accounts
    assert (budget.free, budget.reserved, budget.used) == (0, 0, BUDGET), said
    now = campaign.status(spec.name).summary
    assert now.state is CampaignState.DONE, said
    assert (now.n_measured, now.n_pending, now.budget) == (BUDGET, 0, BUDGET), said
    assert books().ledger.verify(spec.name).n_measured == BUDGET, said


def all_is_sound() -> None:
    assert not [line for line in campaign.doctor() if "PROBLEM" in line]


def live_on(server: Movers, spec: CampaignSpec) -> None:
    assert server.live(spec), "a life without a kill must end"


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_a_life_of_the_mover_is_short_and_loads_no_model_library(
    server: Movers, database, tmp_path: Path
):
    spec = spec_of(tmp_path, "deduplicates", "boil")
    assert server.live(spec, count=True)
    report = server.read_report()
    assert report["heavy"] == []
    # Processor time: the machine may be busy with something else.
    assert report["cpu_seconds"] < 2.0, "a whole campaign, counting its calls"
    check_once(spec, "deduplicates", None)


SQLITE = pytest.mark.parametrize("url", ["sqlite"], indirect=True)
DOUBTFUL = {Moment.INTENDED, Moment.SENT}
"""Where labs of different capability go different ways; else two stand for all."""


def _matrix(*, is_whole: bool):
    return pytest.mark.parametrize(
        ("moment", "lab"),
        [
            pytest.param(moment, lab, id=f"{moment.value}-{lab}")
            for moment in REACHED
            for lab in KINDS
            if is_whole or moment in DOUBTFUL or lab in {"deduplicates", "mute"}
        ],
    )


@SQLITE
@_matrix(is_whole=False)
def test_killed_at_each_point_of_the_matrix(
    server: Movers, database, tmp_path: Path, moment: Moment, lab: str
):
    killed_at_a_point(server, tmp_path, moment, lab)


@pytest.mark.slow  # every point with every lab, on both databases
@pytest.mark.postgres
@_matrix(is_whole=True)
def test_killed_at_each_point_of_the_whole_matrix(
    server: Movers, database, tmp_path: Path, moment: Moment, lab: str
):
    killed_at_a_point(server, tmp_path, moment, lab)


def killed_at_a_point(server: Movers, folder: Path, moment: Moment, lab: str) -> None:
    """Die there the first time; then a life later the second time; then live on."""
    approval = "always" if moment is Moment.AWAITING else "never"
    spec = spec_of(folder, lab, "boil", approval=approval)
    n_killed = sum(not server.live(spec, moment=(moment, n)) for n in (1, 2))
    assert n_killed, f"{moment.name} was never reached"
    live_on(server, spec)
    check_once(spec, lab, moment.value)
    all_is_sound()


@SQLITE
@pytest.mark.parametrize("n", [1, 3])
def test_a_computing_lab_killed_after_a_well_measures_the_others_only(
    server: Movers, database, tmp_path: Path, kettle: Path, n: int
):
    # K11: the lab is this process; what it had measured stays measured.
    spec = CampaignSpec(
        name="boil",
        protocol=str(kettle / "kettle.yaml"),
        data=str(kettle / "kettle.csv"),
        policy="random",
        budget=BUDGET,
    )
    assert not server.live(spec, moment=(Moment.MEASURED, n))
    results = settings.lab_folder("replay").rglob("results/*")
    before = {path: path.stat().st_mtime_ns for path in results}
    assert len(before) == n
    live_on(server, spec)
    assert {path: path.stat().st_mtime_ns for path in before} == before
    rows = campaign.measurements("boil", limit=1000).measurements
    assert len(rows) == len({m.proposal_id for m in rows}) == BUDGET
    all_is_sound()


@dataclass
class Series:
    """Lives that end at random, over every kind of lab, until enough were killed."""

    server: Movers
    folder: Path
    seed: int
    n_killed: int = 0
    n_lives: int = 0
    n_campaigns: int = 0
    n_calls: int = 0
    seconds: float = 0.0
    """Of a whole life that nobody kills."""

    def run(self, n_kills: int) -> None:
        """Kill until so many were killed; every campaign must finish whole."""
        self._measure()
        while self.n_killed < n_kills:
            self._campaign(f"{self.seed}-{self.n_campaigns}")
            self.n_campaigns += 1

    def _measure(self) -> None:
        spec = spec_of(self.folder, KINDS[0], "whole")
        assert self.server.live(spec, count=True)
        self.n_calls = self.server.read_report()["calls"]
        spec = spec_of(self.folder, KINDS[0], "timed")
        started = time.monotonic()
        live_on(self.server, spec)
        self.seconds = time.monotonic() - started

    def _campaign(self, seed: str) -> None:
        rng = random.Random(seed)
        lab = rng.choice(KINDS)
        approval = rng.choice(["never", "always"])
        spec = spec_of(self.folder, lab, f"boil-{seed}", approval=approval)
        for _ in range(25):
            self.n_lives += 1
            # Half by the clock, anywhere; half by the count of calls, repeatable.
            if rng.random() < 0.5:
                arms = {"kill_after": rng.uniform(0.0, self.seconds / 3)}
            else:
                arms = {"call": rng.randrange(1, self.n_calls // 4)}
            n_rivals = int(rng.random() < 0.2)
            if self.server.live(spec, n_rivals=n_rivals, **arms):
                break
            self.n_killed += 1
        else:
            live_on(self.server, spec)
        check_once(spec, lab, seed)


def kill_at_random(
    server: Movers, folder: Path, n_kills: int, *, part: int = 0
) -> None:
    seed = int(os.environ.get("LABWM_KILL_SEED", "20261122")) + part
    series = Series(server, folder, seed)
    started = time.monotonic()
    series.run(n_kills)
    all_is_sound()
    seconds = time.monotonic() - started
    print(  # noqa: T201 the figures of docs/testing.md
        f"seed {seed}: {series.n_killed} kills in {series.n_lives} lives of "
        f"{series.n_campaigns} campaigns, {seconds:.0f} s"
    )


@SQLITE
def test_forty_random_kills_lose_and_repeat_nothing(server, database, tmp_path: Path):
    kill_at_random(server, tmp_path, 40)


@pytest.mark.slow
@pytest.mark.postgres
@pytest.mark.timeout(900)
def test_two_hundred_random_kills_lose_and_repeat_nothing(
    server, database, tmp_path: Path
):
    kill_at_random(server, tmp_path, 200)


@pytest.mark.soak
@pytest.mark.postgres
@pytest.mark.timeout(900)
@pytest.mark.parametrize("part", range(1, 21))
def test_a_thousand_random_kills_lose_and_repeat_nothing(
    server, database, tmp_path: Path, part: int
):
    """Twenty series, each of seeds of its own: one of them can be played alone."""
    kill_at_random(server, tmp_path, 50, part=part)
