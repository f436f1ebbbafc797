"""A hundred bad requests: each is refused with words, none breaks the server."""

import itertools
import json

import pytest

POSTS = (
    "/v1/predict",
    "/v1/suggest",
    "/v1/propose",
    "/v1/submit",
    "/v1/approvals",
    "/v1/campaigns",
)
DEEP = b'{"a":' * 5000 + b"1" + b"}" * 5000
BODIES = {
    "empty": b"",
    "not-json": b"hello",
    "half": b'{"campaign_id": "fr',
    "null": b"null",
    "number": b"7",
    "list": b"[]",
    "string": b'"free"',
    "no-keys": b"{}",
    "unknown-key": b'{"campaign_id": "free", "nonsense": 1}',
    "nan": b'{"campaign_id": "free", "experiments": [{"heat": NaN}]}',
    "infinity": b'{"campaign_id": "free", "experiments": [{"heat": -Infinity}]}',
    "beyond-float": b'{"campaign_id": "free", "experiments": [{"heat": 1e999}]}',
    "huge-integer": b'{"campaign_id": "free", "n": ' + b"9" * 5000 + b"}",
    "deep": DEEP,
    "deep-in-a-field": b'{"campaign_id": "free", "experiments": [' + DEEP + b"]}",
    "not-utf8": b'{"campaign_id": "\xff\xfe"}',
    "surrogate": b'{"campaign_id": "\\ud800", "experiments": [{"\\udfff": "\\ud800"}]}',
    "surrogate-key": b'{"campaign_id": "free", "\\ud800": 1}',
    "nul": b'{"campaign_id": "fr\\u0000ee", "experiments": [{"heat": "\\u0000"}]}',
    "repeated-key": b'{"campaign_id": "free", "campaign_id": 1}',
    "wrong-types": b'{"campaign_id": {}, "experiments": "x", "n": "many"}',
    "negative": b'{"campaign_id": "free", "n": -1, "limit": -1}',
    "markup": b'{"campaign_id": "<script>alert(1)</script>"}',
    "path": b'{"campaign_id": "../../etc/passwd", "protocol": "../x"}',
}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        pytest.param(path, body, id=f"{path.removeprefix('/v1/')}-{name}")
        for path, (name, body) in itertools.product(POSTS, BODIES.items())
    ],
)
def test_a_bad_body_is_refused_with_a_problem(site, path, body):
    answer = site.http("ada").post(
        path, content=body, headers={"Content-Type": "application/json"}
    )
    assert 400 <= answer.status_code < 500, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert json.loads(answer.content)["detail"]


@pytest.mark.parametrize(
    "kind", ["text/plain", "multipart/form-data", "application/xml", ""]
)
def test_another_content_type_is_refused(site, kind):
    answer = site.http("ada").post(
        "/v1/predict", content=b"campaign_id=free", headers={"Content-Type": kind}
    )
    assert 400 <= answer.status_code < 500


@pytest.mark.parametrize(
    "address",
    [
        "/v1/campaigns/%00",
        "/v1/campaigns/..%2F..%2Fetc",
        "/v1/campaigns/" + "a" * 3000,
        "/v1/campaigns/%F0%9F%98%80",
        "/v1/campaigns/free/measurements?limit=0",
        "/v1/campaigns/free/measurements?limit=99999999999999999999",
        "/v1/campaigns/free/measurements?offset=-1",
        "/v1/campaigns/free/measurements?offset=x",
        "/v1/nothing",
    ],
    ids=lambda address: address[:40],
)
def test_a_bad_address_is_refused_with_a_problem(site, address):
    answer = site.http("ada").get(address)
    assert 400 <= answer.status_code < 500
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_wrong_method_says_which_fits(site):
    answer = site.http("ada").delete("/v1/campaigns")
    assert answer.status_code == 405
    assert "GET" in answer.headers["allow"] or "POST" in answer.headers["allow"]
