"""`labwm up`: real servers, real runs, killed and stopped, nothing left behind."""

import os
import re
import signal
import socket

import httpx
import pytest

from tests.api.site import Site, free_port, until
from tests.api.up import Launched

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.prefect,
    pytest.mark.xdist_group("prefect"),
]


@pytest.mark.parametrize("deployment", ["advance", "retrain"])
def test_a_schedule_really_gets_runs(launched: Launched, deployment: str):
    # With SQLAlchemy 2.1 all looks healthy and nothing is ever scheduled.
    until(
        lambda: launched.runs(deployment, "SCHEDULED"),
        seconds=90,
        what=f"a scheduled run of {deployment}",
    )
    assert launched.runs("campaign", "SCHEDULED") == []


def test_a_campaign_started_through_prefect_runs_to_done(launched: Launched):
    run = launched.start("campaign", spec=small_spec("by-prefect", budget=8))
    state = launched.ended(run)
    assert (state["type"], state["name"]) == ("COMPLETED", "Done"), state
    assert state["message"] == f"{launched.api}/campaigns/by-prefect"
    assert rounds_sent(launched, "by-prefect") == ["r000", "r001"]
    notes = launched.artifacts("campaign-by-prefect")
    assert len(notes) >= 3
    assert any("8 of 8 experiments measured" in note["data"] for note in notes)
    progress = launched.ask(
        "/artifacts/filter",
        {"artifacts": {"flow_run_id": {"any_": [run]}, "type": {"any_": ["progress"]}}},
    )
    assert max(one["data"] for one in progress) == 100


def test_a_campaign_that_must_be_approved_completes_and_names_why(launched: Launched):
    spec = small_spec("must-ask", budget=4) | {"protocol": "asking.yaml"}
    state = launched.ended(launched.start("campaign", spec=spec))
    assert (state["type"], state["name"]) == ("COMPLETED", "AwaitingApproval")
    assert state["message"] == f"{launched.api}/campaigns/must-ask"


def test_advance_finishes_a_campaign_whose_flow_run_was_killed(launched: Launched):
    spec = small_spec("killed", budget=12) | {"batch_size": 1}
    run = launched.start("campaign", spec=spec)
    until(lambda: len(rounds_sent(launched, "killed")) >= 3, seconds=90, what="rounds")
    for pid in launched.flow_processes():
        os.kill(pid, signal.SIGKILL)
    assert launched.ended(run)["type"] == "CRASHED"
    before = launched.site.status("killed")["summary"]
    assert before["state"] == "open"
    assert before["n_measured"] < 12

    until(lambda: is_done_after_advance(launched, "killed"), seconds=120, what="done")
    assert rounds_sent(launched, "killed") == [f"r{i:03d}" for i in range(12)]
    assert launched.site.status("killed")["summary"]["n_measured"] == 12
    assert "killed: " in launched.site.do("db", "verify")


def test_up_starts_revives_and_stops_everything(launched: Launched):
    api, prefect, site = launched.api, launched.prefect, launched.site
    for address in (api, prefect):
        assert re.search(rf"{address}\s", launched.text)
    assert httpx.get(f"{api}/v1/health").json()["status"] == "ok"
    assert httpx.get(f"{prefect}/api/health").json() is True
    served = {one["name"] for one in launched.ask("/deployments/filter")}
    assert {"campaign", "advance", "evaluate", "retrain"} <= served
    assert (site.folder / "home" / "prefect").is_dir()

    second = site.run("up", "--port", free_port(), "--prefect-port", free_port())
    assert second.returncode == 4
    assert str(launched.process.pid) in second.stderr
    assert api in second.stderr

    (server,) = launched.runs_of("labwm.api.cli", "serve")
    os.kill(server, signal.SIGKILL)
    until(
        lambda: launched.text.count(f"(/mcp): {api}\n") == 2,
        seconds=60,
        what=launched.text,
    )
    assert "api ended with -9" in launched.text
    assert httpx.get(f"{api}/v1/health").json()["status"] == "ok"

    launched.process.send_signal(signal.SIGTERM)
    assert launched.process.wait(60) == 0
    assert launched.descendants() == set()
    for port in launched.ports:
        with socket.socket() as again:
            again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            again.bind(("127.0.0.1", port))


def test_up_says_which_port_is_taken(desk: Site):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = desk.run("up", "--port", free_port(), "--prefect-port", port)
    assert done.returncode == 8
    assert f"127.0.0.1:{port} for Prefect" in done.stderr
    assert "Ready" not in done.stdout


def is_done_after_advance(launched: Launched, campaign: str) -> bool:
    state = launched.ended(launched.start("advance"))
    assert state["type"] in {"COMPLETED", "CANCELLED"}, state
    return launched.site.status(campaign)["summary"]["state"] == "done"


def small_spec(name: str, *, budget: int) -> dict[str, object]:
    return {
        "name": name,
        "protocol": "free.yaml",
        "data": "table.csv",
        "budget": budget,
    }


def rounds_sent(launched: Launched, campaign: str) -> list[str]:
    """Return the round of every job that the lab ever took: one folder each."""
    spool = launched.site.folder / "home" / "labs" / "replay" / campaign
    return sorted(path.name.rpartition("-")[2] for path in spool.glob("*-r*"))
