"""Signed notices: what is taken, what is refused, and that the bell rings."""

import logging
import os
import time
from base64 import b64encode
from pathlib import Path

import pytest

from labwm import campaign
from labwm.campaign.doorbell import rung_at
from labwm.campaign.webhooks import (
    ID,
    SIGNATURE,
    TIMESTAMP,
    WINDOW_SECONDS,
    check_signature,
    secrets_in,
    sign,
)
from labwm.errors import (
    DuplicateError,
    InvalidInputError,
    LabwmError,
    NotFoundError,
    UnauthenticatedError,
    UnavailableError,
)
from labwm.schema import CampaignSpec, Notice


def secret(letter: bytes, n_bytes: int = 32) -> str:
    return "whsec_" + b64encode(letter * n_bytes).decode()


OLD, NEW, FORGED = secret(b"o"), secret(b"n"), secret(b"f")
NOW = 1_764_000_000


def signed(body: bytes, *words: str, at: int = NOW, id: str = "notice-1"):
    return sign(body, secrets=secrets_in(" ".join(words)), id=id, at=at)


def test_the_vector_of_the_specification_is_signed_as_it_says():
    # Published with Standard Webhooks; every library of it has this test.
    made = sign(
        b'{"test": 2432232314}',
        secrets=secrets_in("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
        id="msg_p5jXN8AQM9LWM0D4loKWxJek",
        at=1614265330,
    )
    assert made[SIGNATURE] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize(
    ("sender", "receiver", "is_taken"),
    [
        ([OLD], [OLD], True),
        ([OLD], [OLD, NEW], True),
        ([OLD, NEW], [NEW], True),
        ([NEW], [OLD, NEW], True),
        ([OLD], [NEW], False),
        ([FORGED], [OLD, NEW], False),
        ([OLD], [], False),
    ],
    ids=["one", "added", "both", "changed", "removed", "forged", "none"],
)
def test_secrets_are_rotated_without_a_gap(sender, receiver, is_taken):
    headers = signed(b"{}", *sender)
    secrets = secrets_in(",".join(receiver))
    if is_taken:
        assert check_signature(b"{}", headers, secrets=secrets, now=NOW) == "notice-1"
    else:
        with pytest.raises(UnauthenticatedError):
            check_signature(b"{}", headers, secrets=secrets, now=NOW)


@pytest.mark.parametrize(
    ("changes", "body", "seconds"),
    [
        ({}, b"{ }", 0),
        ({ID: "notice-2"}, b"{}", 0),
        ({TIMESTAMP: str(NOW + 1)}, b"{}", 0),
        ({TIMESTAMP: "soon"}, b"{}", 0),
        ({TIMESTAMP: "9" * 5000}, b"{}", 0),
        ({TIMESTAMP: "-1"}, b"{}", 0),
        ({ID: ""}, b"{}", 0),
        ({ID: "a\nb"}, b"{}", 0),
        ({ID: "x" * 5000}, b"{}", 0),
        ({SIGNATURE: ""}, b"{}", 0),
        ({SIGNATURE: "v1,"}, b"{}", 0),
        ({SIGNATURE: "v2,AAAA"}, b"{}", 0),
        ({SIGNATURE: "v1,ü€"}, b"{}", 0),
        ({}, b"{}", WINDOW_SECONDS + 1),
        ({}, b"{}", -WINDOW_SECONDS - 1),
    ],
)
def test_what_was_changed_or_is_not_of_now_is_refused(changes, body, seconds):
    headers = signed(b"{}", OLD) | changes
    with pytest.raises(UnauthenticatedError):
        check_signature(body, headers, secrets=secrets_in(OLD), now=NOW + seconds)


def test_without_headers_nothing_is_taken():
    with pytest.raises(UnauthenticatedError, match="webhook-id"):
        check_signature(b"{}", {}, secrets=secrets_in(OLD), now=NOW)


@pytest.mark.parametrize(
    "text", ["secret", "whsec_", "whsec_%%%", OLD[6:], secret(b"s", 23)]
)
def test_a_secret_that_is_none_is_refused_and_not_shown(text: str):
    with pytest.raises(InvalidInputError) as caught:
        secrets_in(text)
    assert "whsec_ and 24" in str(caught.value)
    if len(text) > 10:
        assert text[6:] not in str(caught.value)


def notice(key: str) -> bytes:
    return Notice(type="results", submission_key=key).canonical_json()


def test_a_notice_rings_the_bell_once_and_moves_nothing(
    spec: CampaignSpec, monkeypatch, caplog
):
    monkeypatch.setenv("LABWM_HOOK_SECRETS", f"{OLD},{NEW}")
    campaign.open_campaign(spec)
    campaign.advance(spec.name)
    before = campaign.status(spec.name)
    key = before.batches[0].submission_key
    rung, body = rung_at(), notice(key)
    headers = signed(body, NEW, at=int(time.time()))
    taken = campaign.take_notice(body, headers)
    assert (taken.campaign_id, taken.submission_key) == (spec.name, key)
    assert rung_at() > rung
    assert campaign.status(spec.name) == before
    rung = rung_at()
    with caplog.at_level(logging.WARNING), pytest.raises(DuplicateError):
        campaign.take_notice(body, headers)
    assert rung_at() == rung
    assert "refused, duplicate" in caplog.text


@pytest.fixture
def _old(monkeypatch):
    monkeypatch.setenv("LABWM_HOOK_SECRETS", OLD)


@pytest.mark.usefixtures("_old")
@pytest.mark.parametrize(
    ("body", "words", "age", "kind"),
    [
        (None, FORGED, 0, UnauthenticatedError),
        (None, OLD, 2 * WINDOW_SECONDS, UnauthenticatedError),
        (notice("no-such-job-1"), OLD, 0, NotFoundError),
        (b"{}", OLD, 0, InvalidInputError),
        (b"\xff", OLD, 0, InvalidInputError),
        (b'{"type":"results","submission_key":"../../etc"}', OLD, 0, InvalidInputError),
        (b" " * 20_000, OLD, 0, InvalidInputError),
    ],
    ids=["forged", "stale", "unknown", "empty", "binary", "path", "long"],
)
def test_what_is_refused_is_logged_rings_nothing_and_leaves_nothing(
    spec: CampaignSpec, caplog, body, words, age, kind: type[LabwmError]
):
    campaign.open_campaign(spec)
    campaign.advance(spec.name)
    sent = body or notice(campaign.status(spec.name).batches[0].submission_key)
    rung = rung_at()
    with caplog.at_level(logging.WARNING), pytest.raises(kind):
        campaign.take_notice(sent, signed(sent, words, at=int(time.time()) - age))
    assert rung_at() == rung
    assert kind.code in caplog.text
    assert OLD not in caplog.text
    assert not list((Path(os.environ["LABWM_HOME"]) / "notices").glob("*"))


def test_without_a_secret_no_notice_is_taken(monkeypatch):
    monkeypatch.delenv("LABWM_HOOK_SECRETS", raising=False)
    with pytest.raises(UnavailableError, match="LABWM_HOOK_SECRETS"):
        campaign.take_notice(b"{}", signed(b"{}", OLD))
