"""Amend, steer and trace through the command line and REST."""

import json

import pytest

from tests.api.site import Site
from tests.api.test_rest import is_problem

DROP = {"kind": "drop", "parameter": "solvent", "level": "CC#N"}


@pytest.fixture(scope="module")
def amended(site: Site) -> str:
    """A campaign of this module's own, with one measured batch."""
    site.do(
        *("campaign", "start", "free.yaml", "--data", "table.csv", "--name", "amended"),
        *("--policy", "random", "--budget", 12, "--no-wait"),
    )
    assert site.http("ada").post("/v1/campaigns/amended/advance").status_code == 200
    return "amended"


def ask(**fields: object) -> dict[str, object]:
    return {"campaign_id": "amended", "reason": "ran out", "changes": [DROP]} | fields


def test_people_amend_over_rest_and_agents_do_not(site: Site, amended: str):
    refused = site.http("planner").post("/v1/amendments", json=ask())
    assert is_problem(refused, 403, "forbidden")
    told = site.http("ada").post("/v1/amendments", json=ask(dry_run=True)).json()
    assert told["after"]["version"] == 2
    key = {"Idempotency-Key": "amend-once"}
    first = site.http("ada").post("/v1/amendments", json=ask(), headers=key).json()
    again = site.http("ada").post("/v1/amendments", json=ask(), headers=key).json()
    assert first == again
    assert (first["by"], first["number"]) == ("ada", 1)
    listed = site.http("reader").get("/v1/campaigns/amended/amendments").json()
    assert listed == [first]
    broken = ask(changes=[{"kind": "drop", "parameter": "solvent"}])
    answer = site.http("ada").post("/v1/amendments", json=broken)
    assert is_problem(answer, 422, "invalid-input")


def test_a_trace_over_rest_needs_a_key_that_reads(site: Site, amended: str):
    name = "amended-r000-p000"
    found = site.http("reader").get("/v1/trace", params={"id": name}).json()
    assert (found["kind"], found["campaign_id"]) == ("proposal", "amended")
    assert is_problem(site.http(None).get("/v1/trace?id=x"), 401, "unauthenticated")
    absent = site.http("reader").get("/v1/trace", params={"id": "nobody"})
    assert is_problem(absent, 404, "not-found")
    for query in ("", "?id=", "?id=x&limit=0", "?id=x&nonsense=1"):
        answer = site.http("reader").get(f"/v1/trace{query}")
        assert is_problem(answer, 422, "invalid-input"), query


def test_people_pause_resume_and_close_over_rest(site: Site, amended: str):
    asked = {"campaign_id": "amended", "reason": "the pump leaks"}
    for what, state in (("pause", "stopped"), ("resume", "open"), ("close", "done")):
        refused = site.http("planner").post(f"/v1/{what}", json=asked)
        assert is_problem(refused, 403, "forbidden")
        done = site.http("ada").post(f"/v1/{what}", json=asked).json()
        assert done["summary"]["state"] == state
    again = site.http("ada").post("/v1/close", json=asked)
    assert is_problem(again, 409, "illegal-transition")


def test_the_command_line_refuses_what_makes_no_amendment(desk: Site):
    start = ("campaign", "start", "free.yaml", "--data", "table.csv", "--no-wait")
    desk.do(*start, "--name", "mine", "--policy", "random", "--budget", 8)
    desk.do("campaign", "advance", "mine")
    (desk.folder / "carry.yaml").write_text("renamed: {heat: hot}\n")
    refused = desk.run(
        *("campaign", "amend", "mine", "--reason", "why not", "--carry", "carry.yaml"),
        *("--drop", "solvent=CCO"),
    )
    assert (refused.returncode, "goes with a new" in refused.stderr) == (2, True)
    empty = desk.run("campaign", "amend", "mine", "--reason", "nothing")
    assert (empty.returncode, "changes something" in empty.stderr) == (2, True)


def test_the_command_line_corrects_and_retracts(desk: Site):
    start = ("campaign", "start", "free.yaml", "--data", "table.csv", "--no-wait")
    desk.do(*start, "--name", "mine", "--policy", "random", "--budget", 4)
    desk.do("campaign", "advance", "mine")
    said = desk.do(
        *("campaign", "amend", "mine", "--reason", "read wrongly"),
        *("--correct", "mine-r000-p000:yield=<5", "--retract", "mine-r000-p001"),
        *("--json", "made.json"),
    )
    assert "corrects" in said
    assert "retracted" in said
    made = json.loads((desk.folder / "made.json").read_text())
    assert [taken["what"][:8] for taken in made["results"]] == ["corrects", "retracte"]
    shown = desk.do("trace", "mine-r000-p001")
    assert "retracted" in shown
    assert "read wrongly" in shown
    assert desk.status("mine")["summary"]["n_measured"] == 3
    unknown = desk.run("trace", "nothing-such")
    assert (unknown.returncode, "error[not-found]" in unknown.stderr) == (3, True)
    cell = desk.run(
        *("campaign", "amend", "mine", "--reason", "typo"),
        *("--correct", "mine-r000-p002:yield=high"),
    )
    assert (cell.returncode, "'high'" in cell.stderr) == (2, True)


def test_results_come_from_a_file_and_carry_their_reasons(desk: Site):
    protocol = (desk.folder / "free.yaml").read_text()
    by_hand = protocol.replace("adapter: replay", "adapter: folder")
    (desk.folder / "hand.yaml").write_text(by_hand)
    desk.do("campaign", "start", "hand.yaml", "--name", "hand", "--no-wait")
    good = "- conditions: {solvent: CCO, heat: 20}\n  readouts: {yield: <5}\n"
    (desk.folder / "mine.yaml").write_text(good)
    amend = ("campaign", "amend", "hand", "--reason", "by hand", "--result")
    desk.do(*amend, "mine.yaml", "--json", "made.json")
    made = json.loads((desk.folder / "made.json").read_text())
    (value,) = [change["readouts"]["yield"] for change in made["changes"]]
    assert (value["status"], value["value"]) == ("below", 5.0)
    assert desk.status("hand")["summary"]["n_own"] == 1
    for text, told in (
        ("- conditions: {solvent: CCO}", "readouts"),
        (good.replace("heat", "heatt"), "Did you mean 'heat'"),
        (good.replace("yield", "yeild"), "Did you mean 'yield'"),
        (good + "  surprise: 1\n", "surprise"),
        ("{", "is YAML or JSON"),
    ):
        (desk.folder / "mine.yaml").write_text(text)
        refused = desk.run(*amend, "mine.yaml")
        assert (refused.returncode, told in refused.stderr) == (2, True), text
    absent = desk.run(*amend, "absent.yaml")
    assert absent.returncode == 8
