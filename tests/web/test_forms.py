"""What the pages refuse: strangers, forged forms, other sites, other folders."""

import re

import pytest


def batch_of(site, campaign: str) -> dict[str, str]:
    (batch,) = site.status(campaign)["batches"]
    return batch


def decision(site, visitor, **changes: str) -> tuple[str, dict[str, str]]:
    batch = batch_of(site, "other")
    path = f"/campaigns/other/batches/{batch['batch_id']}"
    found = re.search(r'name="csrf" value="([0-9a-f]+)"', visitor.get(path).text)
    assert found
    form = {
        "csrf": found[1],
        "content_sha256": batch["content_sha256"],
        "decision": "approve",
    }
    return path, form | changes


@pytest.mark.parametrize(
    "path",
    ["/", "/campaigns/free", "/campaigns/free/report/index.html", "/campaigns/nobody"],
)
def test_a_stranger_sees_nothing_but_the_sign_in(site, path):
    answer = site.http(None).get(path)
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/sign-in?next=")


def test_the_key_is_kept_where_no_script_and_no_other_site_gets_it(site):
    answer = site.http(None).post("/sign-in", data={"key": site.keys["ada"]})
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    site.http(None).cookies.clear()


@pytest.mark.parametrize(
    "target",
    ["https://evil.example/", "//evil.example/", "/\\evil.example", "javascript:x"],
)
def test_the_sign_in_leads_nowhere_else(site, target):
    form = {"key": site.keys["ada"], "next": target}
    answer = site.http(None).post("/sign-in", data=form)
    assert answer.headers["location"] == "/"
    site.http(None).cookies.clear()


def test_a_form_without_the_token_decides_nothing(site, visitor):
    path, form = decision(site, visitor, csrf="0" * 64)
    assert visitor.post(path, data=form).status_code == 403
    assert batch_of(site, "other")["approval"] == "awaiting"


def test_a_form_from_another_site_decides_nothing(site, visitor):
    path, form = decision(site, visitor)
    answer = visitor.post(path, data=form, headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 403
    assert batch_of(site, "other")["approval"] == "awaiting"


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"content_sha256": "0" * 64}, 404),
        ({"content_sha256": "short"}, 422),
        ({"decision": "maybe"}, 422),
        ({"note": "x" * 3000}, 422),
        ({"more": "1"}, 422),
    ],
    ids=["other-digest", "no-digest", "no-decision", "long-note", "unknown-field"],
)
def test_a_wrong_form_decides_nothing(site, visitor, changes, status):
    path, form = decision(site, visitor, **changes)
    answer = visitor.post(path, data=form)
    assert answer.status_code == status
    assert "text/html" in answer.headers["content-type"]
    assert batch_of(site, "other")["approval"] == "awaiting"


@pytest.mark.parametrize(
    "name", ["..%2F..%2Fledger.db", "ledger.db", "x.svg", "absent.png", "%00.png"]
)
def test_a_report_serves_its_own_files_only(visitor, name):
    answer = visitor.get(f"/campaigns/free/report/{name}")
    assert answer.status_code in {404, 422}


def test_pages_carry_a_strict_policy(visitor):
    policy = visitor.get("/").headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "script-src" not in policy


def test_what_others_wrote_is_shown_as_text(site, visitor):
    script = "<script>alert(1)</script> because"
    client = site.http("planner")
    proposed = client.post(
        "/v1/propose",
        json={
            "campaign_id": "other",
            "experiments": [{"solvent": "CCO", "heat": 20}],
            "reason": script,
            "idempotency_key": "with-markup",
        },
    )
    assert proposed.status_code == 200, proposed.text
    assert script not in visitor.get("/campaigns/other").text
    problem = visitor.get("/campaigns/free/batches/%3Cscript%3Ealert(1)").text
    assert "<script>" not in problem
