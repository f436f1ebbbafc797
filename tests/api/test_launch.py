"""`labwm up`: real servers, real runs, killed and stopped, nothing left behind."""

import os
import re
import signal
import socket
import sqlite3
from contextlib import closing
from pathlib import Path

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


def test_a_campaign_finishes_though_all_that_moves_it_is_killed_in_turn(
    launched: Launched,
):
    name = "killed"
    start_and_measure(launched, name)
    for victims in (("flow",), ("runner",), ("server",), ("runner", "server")):
        seen = len(rounds_sent(launched, name))
        launched.ring()
        until(
            lambda seen=seen: len(rounds_sent(launched, name)) > seen,
            seconds=90,
            what=f"a round before {victims} is killed",
        )
        with launched.while_the_supervisor_sleeps():
            for victim in victims:
                launched.kill(victim)
            before = launched.site.status(name)["summary"]
        assert (before["state"], before["n_measured"] < BUDGET) == ("open", True)
    check_it_finishes(launched, name)


@pytest.mark.slow  # Prefect makes a new database
def test_a_campaign_finishes_though_prefect_lost_its_database(launched: Launched):
    start_and_measure(launched, "wiped")
    with launched.while_the_supervisor_sleeps():
        launched.kill("server")
        launched.wipe_prefect()
    until(
        lambda: "its deployments are made again" in launched.text,
        seconds=120,
        what="the new database",
    )
    check_it_finishes(launched, "wiped")
    assert launched.runs("retrain", "SCHEDULED")


@pytest.mark.slow  # a run is given some seconds before it counts as lost
def test_a_run_without_a_process_does_not_say_running_for_ever(launched: Launched):
    body = {"state": {"type": "RUNNING"}, "parameters": {}}
    place = f"/deployments/{launched.deployment('evaluate')['id']}/create_flow_run"
    run = launched.ask(place, body)["id"]
    state = launched.ended(run, seconds=60)
    assert (state["type"], state["message"]) == ("CRASHED", "its process is gone")


def test_up_starts_revives_and_stops_everything(launched: Launched):
    api, prefect, site = launched.api, launched.prefect, launched.site
    assert re.search(r"Ready after \d+ s\.", launched.text)
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

    start_and_measure(launched, "stopped")
    launched.process.send_signal(signal.SIGTERM)
    assert launched.process.wait(60) == 0
    assert unfinished_in(site.folder / "home" / "prefect" / "prefect.db") == []
    assert site.status("stopped")["summary"]["state"] == "open"
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


BUDGET = 16
"""Rounds of one experiment each, chosen at random."""


def start_and_measure(launched: Launched, name: str) -> str:
    """Start a campaign of many short rounds, and return its run when some are over."""
    spec = small_spec(name, budget=BUDGET) | {"batch_size": 1, "policy": "random"}
    run = launched.start("campaign", spec=spec)
    until(lambda: rounds_sent(launched, name), seconds=90, what="a round")
    return run


def check_it_finishes(launched: Launched, name: str) -> None:
    """Ring until it is done; then nothing was sent twice and no run says Running."""
    wanted = [f"r{i:03d}" for i in range(BUDGET)]
    launched.ring()
    until(lambda: rounds_sent(launched, name) == wanted, seconds=120, what="rounds")
    until(
        lambda: launched.site.status(name)["summary"]["state"] == "done",
        seconds=60,
        what="done",
    )
    assert rounds_sent(launched, name) == wanted
    assert launched.site.status(name)["summary"]["n_measured"] == BUDGET
    assert f"{name}: " in launched.site.do("db", "verify")
    until(
        lambda: is_served(launched) and not launched.runs("campaign", *UNFINISHED),
        seconds=60,
        what="no run that says Running",
    )


UNFINISHED = ("PENDING", "RUNNING", "CANCELLING")


def is_served(launched: Launched) -> bool:
    try:
        return bool(launched.runs("advance", "SCHEDULED"))
    except httpx.HTTPError:
        return False


def unfinished_in(database: Path) -> list[tuple[str, str]]:
    """Return the runs that a stopped server's database says are under way."""
    with closing(sqlite3.connect(database)) as connection:
        rows = connection.execute("SELECT name, state_type FROM flow_run").fetchall()
    assert rows
    return [row for row in rows if row[1] in UNFINISHED]


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
