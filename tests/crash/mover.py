"""The process that the crash tests kill: it opens a campaign and moves it to its end.

A server imports labwm once and forks a child for each life, so that a life costs tens
of milliseconds. No child loads torch or Prefect: an agent has queued every experiment,
and a round without choices of a policy fits no model.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from labwm import campaign
from labwm.campaign.books import books
from labwm.campaign.dispatch import lab_of
from labwm.campaign.moments import EVENT
from labwm.campaign.situation import read_situation
from labwm.errors import ConflictError, LeaseHeldError
from labwm.schema import (
    ApprovalRequest,
    CampaignSpec,
    Candidate,
    Principal,
    PrincipalKind,
    Proposal,
    Record,
    Scope,
    SettleRequest,
    Step,
    WaitsFor,
)
from labwm.testing.faults import die_at_call, die_at_moment
from tests.conftest import ROOT
from tests.crash import station

GRACE = Principal(
    name="grace", kind=PrincipalKind.PERSON, scopes=(Scope.SUBMIT, Scope.APPROVE)
)
PROTOCOL = """\
name: kettle-{lab}-{approval}
version: 1
parameters:
  - {{name: power, kind: discrete, unit: W, levels: [500, 1000, 1500, 2000, 2500]}}
  - {{name: volume, kind: discrete, unit: L, levels: [0.25, 0.5, 1.0, 1.75]}}
readouts:
  - {{name: seconds, unit: s, bounds: [0, 5000]}}
objectives:
  - {{readout: seconds, goal: minimise}}
lab: {{adapter: {lab}, batch_size: 4, approval: {{real: {approval}}}}}
"""


def run_campaign(spec: CampaignSpec) -> None:
    """Open the campaign, queue what an agent wants, and move it until it is done."""
    campaign.open_campaign(spec, principal=GRACE)
    queue(spec)
    while True:
        try:
            step = campaign.advance(spec.name)
        except LeaseHeldError:
            time.sleep(0.005)  # a rival moves it
            continue
        if step.waits_for is WaitsFor.DONE:
            return
        decide(spec, step)


def queue(spec: CampaignSpec) -> None:
    """Queue as many experiments as the budget allows, as an agent does; once."""
    store = books()
    situation = read_situation(store, spec.name)
    wanted = [
        Proposal(
            id=f"{spec.name}-wanted-{i:03d}",
            campaign_id=spec.name,
            round=0,
            rank=i,
            candidate=Candidate(conditions=situation.pool.row(i)),
            proposer="alice",
            policy="agent:alice",
            policy_version="1",
            reason="to be measured",
            n_considered=spec.budget,
            seed=0,
            pool_sha256=situation.pool_sha256,
            data_sha256="0" * 64,
        )
        for i in range(spec.budget)
    ]
    with store.ledger.visit(spec.name, actor="alice") as w:
        if not w.events("agent.submitted"):
            w.add_proposals(wanted)
            w.event("agent.submitted", {"proposal_ids": [p.id for p in wanted]})


def decide(spec: CampaignSpec, step: Step) -> None:
    """Do what a person does: approve what waits, and ask the lab what it did."""
    if step.waits_for is WaitsFor.APPROVAL:
        for batch in campaign.status(spec.name).batches:
            if batch.approval == "awaiting":
                request = ApprovalRequest(
                    campaign_id=spec.name,
                    content_sha256=batch.content_sha256,
                    decision="approve",
                )
                _unless_raced(campaign.decide, request)
    if step.waits_for is WaitsFor.PERSON:
        batch = campaign.status(spec.name).batches[-1]
        lab = lab_of(books(), read_situation(books(), spec.name))
        assert isinstance(lab, station.Station)
        known = station.jobs_of(station.effects(lab.path))
        request = SettleRequest(
            campaign_id=spec.name,
            submission_key=batch.submission_key,
            verdict="arrived" if batch.submission_key in known else "never_arrived",
        )
        _unless_raced(campaign.settle, request)


def _unless_raced(decision: Any, request: Record) -> None:
    try:
        decision(request, principal=GRACE)
    except ConflictError:
        return  # a rival was faster


def _live(task: dict[str, Any]) -> None:
    os.environ.pop("LABWM_DATABASE_URL", None)  # of whoever started the server
    os.environ.update(task["environment"])
    station.register()
    if task["moment"]:
        die_at_moment(*task["moment"])
    if task["call"]:
        die_at_call(task["call"])
    n_calls = _count_calls() if task["count"] else None
    moments = _count_moments() if task["count"] else Counter()
    run_campaign(CampaignSpec.model_validate(task["spec"]))
    sys.setprofile(None)
    found = {
        "calls": n_calls[0] if n_calls else 0,
        "moments": moments,
        "cpu_seconds": time.process_time(),
    }
    heavy = sorted({"torch", "prefect"} & set(sys.modules))
    Path(task["report"]).write_text(json.dumps(found | {"heavy": heavy}))


def _count_calls() -> list[int]:
    n_calls = [0]

    def profile(frame: object, event: str, argument: object) -> None:
        n_calls[0] += 1

    sys.setprofile(profile)
    return n_calls


def _count_moments() -> Counter[str]:
    seen: Counter[str] = Counter()

    def hook(event: str, details: tuple[Any, ...]) -> None:
        if event == EVENT:
            seen[details[0]] += 1

    sys.addaudithook(hook)
    return seen


def _fork(task: dict[str, Any]) -> int:
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            errors = os.open(task["errors"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            os.dup2(errors, 2)
            os.dup2(errors, 1)
            _live(task)
            status = 0
        except BaseException:  # noqa: BLE001 a child must not become a second server
            import traceback

            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(status)
    return pid


def _wait(pid: int, kill_after: float | None) -> int:
    """Return the exit status; the child is killed after so many seconds."""
    if kill_after is not None:
        deadline = time.monotonic() + kill_after
        while time.monotonic() < deadline:
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.0005)
        os.kill(pid, signal.SIGKILL)  # ours, and not waited for: the number is its own
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def serve() -> None:
    """Fork one child for each task of a line, and say how they ended."""
    _warm_up()
    for line in sys.stdin:
        tasks = json.loads(line)
        pids = [_fork(task) for task in tasks]
        ended = [
            _wait(pid, task["kill_after"])
            for pid, task in zip(pids, tasks, strict=True)
        ]
        sys.stdout.write(json.dumps(ended) + "\n")
        sys.stdout.flush()


def _warm_up() -> None:
    """Play one campaign: what it imports is then imported for every life."""
    station.register()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["LABWM_HOME"] = folder
        protocol = Path(folder) / "kettle.yaml"
        protocol.write_text(PROTOCOL.format(lab="mute", approval="always"))
        run_campaign(CampaignSpec(name="warm", protocol=str(protocol), budget=4))
        books().ledger.close()


class Movers:
    """The server of lives, from outside."""

    def __init__(self, folder: Path) -> None:
        self.errors = folder / "errors.txt"
        self.report = folder / "report.json"
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.crash.mover"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def live(
        self,
        spec: CampaignSpec,
        *,
        moment: tuple[str, int] | None = None,
        call: int | None = None,
        kill_after: float | None = None,
        count: bool = False,
        n_rivals: int = 0,
    ) -> bool:
        """Run a life, with rivals that run free beside it; returns whether it ended."""
        free = {"moment": None, "call": None, "kill_after": None, "count": False}
        common = {
            "spec": spec.model_dump(mode="json"),
            "environment": {
                name: os.environ[name]
                for name in ("LABWM_HOME", "LABWM_DATABASE_URL")
                if name in os.environ
            },
            "errors": str(self.errors),
            "report": str(self.report),
        }
        armed = {"moment": moment, "call": call, "kill_after": kill_after}
        tasks = [common | free | armed | {"count": count}]
        tasks += [common | free] * n_rivals
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(json.dumps(tasks) + "\n")
        self.process.stdin.flush()
        ended = json.loads(self.process.stdout.readline())
        said = self.errors.read_text() if self.errors.exists() else ""
        assert set(ended) <= {0, -signal.SIGKILL}, said
        return ended[0] == 0

    def read_report(self) -> dict[str, Any]:
        """Return what the last life that counted saw."""
        return json.loads(self.report.read_text())

    def end(self) -> None:
        """Let the server end."""
        self.process.communicate(timeout=10)


@contextmanager
def movers(folder: Path) -> Iterator[Movers]:
    """Yield a server of lives and end it."""
    server = Movers(folder)
    try:
        yield server
    finally:
        server.end()


if __name__ == "__main__":
    serve()
