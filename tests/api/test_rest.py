"""The REST door: a real server, a real HTTP client."""

import json

import pytest

from labwm.api.rest import openapi_json
from tests.conftest import ROOT

CONDITIONS = {"solvent": "CCO", "heat": 20}


def propose(key: str, **changes: object) -> dict[str, object]:
    return {
        "campaign_id": "asking",
        "experiments": [CONDITIONS],
        "reason": "a colleague asked for it",
        "idempotency_key": key,
    } | changes


def is_problem(answer, status: int, code: str) -> bool:
    body = answer.json()
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    assert body["status"] == answer.status_code == status, answer.text
    assert {"type", "title", "detail"} <= set(body)
    return body["code"] == code


def test_health_needs_no_key(site):
    assert site.http(None).get("/v1/health").json()["status"] == "ok"


@pytest.mark.parametrize(
    "header",
    [None, "", "Bearer", "Bearer nonsense", "Basic YTpi", "Bearer " + "x" * 5000],
    ids=["none", "empty", "no-key", "unknown", "basic", "huge"],
)
@pytest.mark.parametrize("path", ["/v1/campaigns", "/mcp", "/v1/no-such-thing"])
def test_without_a_valid_key_nothing_is_answered(site, header, path):
    headers = {} if header is None else {"Authorization": header}
    answer = site.http(None).get(path, headers=headers)
    assert is_problem(answer, 401, "unauthenticated")
    assert answer.headers["www-authenticate"].startswith("Bearer")


def test_a_revoked_key_is_refused(site):
    assert is_problem(site.http("leaver").get("/v1/campaigns"), 401, "unauthenticated")


def test_campaigns_are_listed_and_shown(site):
    client = site.http("reader")
    listed = {row["campaign_id"]: row for row in client.get("/v1/campaigns").json()}
    assert listed["free"]["waits_for"] == "Done"
    assert listed["free"]["n_measured"] == 8
    shown = client.get("/v1/campaigns/asking").json()
    assert shown["summary"]["campaign_id"] == "asking"
    assert shown["spec"]["budget"] == 12


def test_measurements_come_in_pages(site):
    client = site.http("reader")
    first = client.get("/v1/campaigns/free/measurements", params={"limit": 5}).json()
    rest = client.get("/v1/campaigns/free/measurements", params={"offset": 5}).json()
    assert first["total"] == rest["total"] == 8
    assert len(first["measurements"]) == 5
    assert len(rest["measurements"]) == 3


def test_an_unknown_campaign_is_a_problem_that_says_so(site):
    answer = site.http("reader").get("/v1/campaigns/nobody")
    assert is_problem(answer, 404, "not-found")
    assert "nobody" in answer.json()["detail"]


def test_a_model_predicts_with_an_interval_and_an_id(site):
    request = {"campaign_id": "free", "experiments": [CONDITIONS, CONDITIONS]}
    answer = site.http("reader").post("/v1/predict", json=request)
    assert answer.status_code == 200, answer.text
    first = answer.json()["predictions"][0]
    assert first["id"]
    assert first["readouts"]["yield"]["low90"] < first["readouts"]["yield"]["high90"]


def test_conditions_outside_the_space_are_refused(site):
    request = {"campaign_id": "free", "experiments": [{"solvent": "CCO", "heat": 999}]}
    answer = site.http("reader").post("/v1/predict", json=request)
    assert is_problem(answer, 422, "outside-space")


def test_a_policy_suggests_with_reasons(site):
    answer = site.http("reader").post(
        "/v1/suggest", json={"campaign_id": "free", "n": 2, "policy": "random"}
    )
    assert answer.status_code == 200, answer.text
    assert len(answer.json()["suggestions"]) == 2
    assert all(one["reason"] for one in answer.json()["suggestions"])


def test_a_missing_scope_is_forbidden(site):
    reader = site.http("reader")
    assert is_problem(
        reader.post("/v1/propose", json=propose("k" * 8)), 403, "forbidden"
    )
    advance = reader.post("/v1/campaigns/asking/advance")
    assert is_problem(advance, 403, "forbidden")


def test_an_agent_cannot_approve(site):
    (batch, *_) = site.http("planner").get("/v1/campaigns/asking").json()["batches"]
    request = {
        "campaign_id": "asking",
        "content_sha256": batch["content_sha256"],
        "decision": "approve",
    }
    answer = site.http("planner").post("/v1/approvals", json=request)
    assert is_problem(answer, 403, "forbidden")


def test_a_frozen_campaign_is_let_go_on_by_a_person_once(site):
    site.freeze("asking")
    body = {"campaign_id": "asking", "note": "looked at the reader: it is well"}
    refused = site.http("planner").post("/v1/unfreeze", json=body)
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    frozen = site.http("reader").get("/v1/campaigns/asking").json()["frozen"]
    assert "lie outside their 90 % interval" in frozen
    assert site.http("ada").post("/v1/unfreeze", json=body).json()["frozen"] is None
    again = site.http("ada").post("/v1/unfreeze", json=body)
    assert (again.status_code, again.json()["code"]) == (409, "conflict")


def test_the_same_idempotency_key_gives_the_same_answer(site):
    client = site.http("planner")
    first = client.post("/v1/propose", json=propose("twice-the-same"))
    again = client.post("/v1/propose", json=propose("twice-the-same"))
    assert first.status_code == 200, first.text
    assert first.json() == again.json()
    other = client.post("/v1/propose", json=propose("twice-the-same", reason="another"))
    assert is_problem(other, 409, "duplicate")


def test_the_header_stands_for_the_field(site):
    client = site.http("planner")
    body = propose("ignored")
    del body["idempotency_key"]
    header = {"Idempotency-Key": "from-the-header"}
    first = client.post("/v1/propose", json=body, headers=header)
    assert first.status_code == 200, first.text
    same = client.post("/v1/propose", json=propose("from-the-header"))
    assert same.json() == first.json()
    both = client.post("/v1/propose", json=propose("something-else"), headers=header)
    assert is_problem(both, 422, "invalid-input")


def test_proposals_that_passed_are_submitted_and_wait_for_a_person(site):
    client = site.http("planner")
    proposed = client.post(
        "/v1/propose",
        json=propose("to-submit", experiments=[{"solvent": "CS(C)=O", "heat": 80}]),
    ).json()
    (one,) = proposed["proposals"]
    request = {
        "campaign_id": "asking",
        "proposal_ids": [one["proposal"]["id"]],
        "idempotency_key": "submit-once",
    }
    answer = client.post("/v1/submit", json=request)
    if one["verdict"] == "pass":
        assert answer.status_code == 200, answer.text
        assert answer.json()["needs_approval"] is True
    else:
        assert is_problem(answer, 409, "conflict")


@pytest.mark.parametrize("field", ["protocol", "data"])
def test_a_campaign_over_the_network_reads_no_files_of_the_server(site, field):
    spec = {
        "name": "sneaky",
        "protocol": "direct_arylation",
        "data": "direct_arylation",
    }
    answer = site.http("ada").post("/v1/campaigns", json=spec | {field: "/etc/passwd"})
    assert is_problem(answer, 422, "invalid-input")


def test_broken_rules_are_named_by_their_place(site):
    request = {"campaign_id": "free", "experiments": [{"heat": []}], "a/b": 1}
    answer = site.http("reader").post("/v1/predict", json=request)
    assert is_problem(answer, 422, "invalid-input")
    pointers = {error["pointer"] for error in answer.json()["errors"]}
    assert "/a~1b" in pointers
    assert any(pointer.startswith("/experiments/0/heat") for pointer in pointers)


def test_a_huge_body_is_refused_and_said_so(site):
    answer = site.http("reader").post("/v1/predict", content=b"[" * 3_000_000)
    assert is_problem(answer, 413, "too-large")


def test_a_body_that_hides_its_size_is_refused_as_well(site):
    def chunks():
        for _ in range(60):
            yield b" " * 50_000

    answer = site.http("reader").post("/v1/predict", content=chunks())
    assert is_problem(answer, 413, "too-large")


def test_another_host_name_is_refused(site):
    answer = site.http("reader").get("/v1/campaigns", headers={"Host": "evil.example"})
    assert answer.status_code == 400


def test_the_openapi_document_in_the_docs_is_the_one_served(site):
    document = json.loads((ROOT / "docs" / "openapi.json").read_text())
    assert site.http(None).get("/v1/openapi.json").json() == document
    # Written by `labwm openapi --file docs/openapi.json`.
    assert (ROOT / "docs" / "openapi.json").read_text() == openapi_json()


def test_data_over_the_network_is_no_file_beside_the_server(site):
    (site.folder / "secret").write_text("TOPSECRET,1\nx,2\n")
    spec = {"name": "sneaky", "protocol": "direct_arylation", "data": "secret"}
    answer = site.http("ada").post("/v1/campaigns", json=spec)
    assert is_problem(answer, 422, "invalid-input")
    assert "TOPSECRET" not in answer.text
