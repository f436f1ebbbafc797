"""The approval page: a plate to look at, trimming, a raised budget, and two at once."""

import re
import threading

import httpx
import pytest

from tests.web.test_pages import sign_in


def csrf_in(text: str) -> str:
    found = re.search(r'name="csrf" value="([0-9a-f]+)"', text)
    assert found
    return found[1]


@pytest.mark.browser
def test_a_person_looks_at_the_plate_and_trims_it(page, site, tmp_path):
    (batch,) = site.status("plated")["batches"]
    sign_in(page, site, "ada", f"/campaigns/plated/batches/{batch['batch_id']}")
    assert page.ask("document.querySelectorAll('#plate td').length") == 24
    assert page.ask("document.querySelectorAll('#plate td.control').length") == 4
    assert page.ask("document.querySelectorAll('#plate td.experiment').length") == 8
    assert page.ask("document.querySelectorAll('img.molecule').length") >= 4
    assert "order drawn with seed" in page.text
    assert "37 min" in page.text  # of the stages
    assert "80 EUR" in page.text
    page.screenshot(tmp_path / "plate.png")
    page.click("input[name=keep]:first-of-type")
    page.click("#trim")
    assert page.path != f"/campaigns/plated/batches/{batch['batch_id']}"
    assert page.ask("document.querySelector('#decided-by').innerText") == "ada"
    assert page.ask("document.querySelectorAll('#plate td.experiment').length") == 6
    old, new = site.status("plated")["batches"]
    assert (old["approval"], new["approval"]) == ("expired", "approved")
    assert old["content_sha256"] != new["content_sha256"]
    assert len(new["proposals"]) == 3
    assert "60 EUR" in page.text
    page.screenshot(tmp_path / "trimmed.png")
    page.open(site.address + "/campaigns/plated")
    assert page.ask("document.querySelectorAll('#accounts tbody tr').length") == 1
    page.click("details summary")
    page.ask("document.querySelector('#budget').value = '9'")
    page.type("#budget-note", "two more rounds")
    page.click("#raise")
    assert site.status("plated")["summary"]["budget"] == 9
    page.screenshot(tmp_path / "campaign.png")


def test_of_many_decisions_at_once_one_counts_and_one_job_is_sent(site):
    (batch,) = site.status("other")["batches"]
    names = [proposal["id"] for proposal in batch["proposals"]]
    body = {"campaign_id": "other", "content_sha256": batch["content_sha256"]}
    bodies = [
        body | {"decision": "approve"},
        body | {"decision": "trim", "keep": names[:2]},
        body | {"decision": "approve", "note": "me too"},
        body | {"decision": "trim", "keep": names[1:]},
    ]
    answers: list[httpx.Response] = []
    start = threading.Barrier(8)

    def decide(who: str, asked: dict[str, object]) -> None:
        headers = {"Authorization": f"Bearer {site.keys[who]}"}
        with httpx.Client(base_url=site.address, headers=headers, timeout=60) as client:
            start.wait()
            answers.append(client.post("/v1/approvals", json=asked))

    threads = [
        threading.Thread(target=decide, args=(who, asked))
        for asked in bodies
        for who in ("ada", "ben")
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    codes = sorted(answer.status_code for answer in answers)
    assert codes == [200] + [409] * 7
    moved = [
        site.http("ben").post("/v1/campaigns/other/advance").status_code
        for _ in range(2)
    ]
    assert 200 in moved
    batches = site.status("other")["batches"]
    sent = [one for one in batches if one["submission"] is not None]
    assert len(sent) == 1
    assert sum(one["approval"] == "approved" for one in batches) == 1
    (won,) = [answer.json() for answer in answers if answer.status_code == 200]
    assert sent[0]["content_sha256"] == won["content_sha256"]


def test_a_budget_is_raised_by_people_only(site):
    body = {"campaign_id": "other", "budget": 7, "note": "more to learn"}
    assert site.http("planner").post("/v1/budgets", json=body).status_code == 403
    answer = site.http("ben").post("/v1/budgets", json=body)
    assert answer.status_code == 200, answer.text
    assert answer.json()["summary"]["budget"] == 7
    lower = site.http("ben").post("/v1/budgets", json=body | {"budget": 5})
    assert lower.status_code == 409
    free = {one["account"]: one["free"] for one in answer.json()["accounts"]}
    assert free["budget"] >= 3


@pytest.mark.parametrize(
    "changes",
    [{"budget": 0}, {"budget": "many"}, {"note": ""}, {"more": 1}],
    ids=["none", "no-number", "no-note", "unknown"],
)
def test_a_wrong_budget_is_refused(site, changes):
    body = {"campaign_id": "other", "budget": 70, "note": "more"} | changes
    assert site.http("ben").post("/v1/budgets", json=body).status_code == 422


def test_the_commands_trim_and_raise(site):
    table = ("--data", "table.csv", "--budget", 4, "--seed", 3)
    site.do("campaign", "start", "asking.yaml", *table, "--name", "by-command")
    (batch,) = site.status("by-command")["batches"]
    digest = batch["content_sha256"][:12]
    wrong = site.run("campaign", "trim", "by-command", "1-9", "--digest", digest)
    assert wrong.returncode == 2
    assert "from 1 to 4" in wrong.stderr
    told = site.do(
        *("campaign", "trim", "by-command", "1,3-4"),
        *("--digest", digest, "--note", "dear"),
    )
    assert "3 of 4 experiments are approved by local" in told
    agent = site.run(
        *("campaign", "budget", "by-command", 9, "--note", "more"),
        LABWM_KEY=site.keys["planner"],
    )
    assert agent.returncode == 5
    told = site.do("campaign", "budget", "by-command", 9, "--note", "more to learn")
    assert "budget: 6 experiments free, 3 reserved, 0 used" in told
