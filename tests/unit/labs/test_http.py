"""What a client of a lab server concludes from answers, and from their absence."""

import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from labwm.errors import (
    DuplicateError,
    InDoubtError,
    LabError,
    NotFoundError,
    ProtocolError,
    UnavailableError,
)
from labwm.labs import HttpLab
from labwm.schema import Job, JobState, Origin, Problem, Value, Well, WellResult

KEY = "http-job-0001"
SHA = "0" * 64
ACCEPTED = f'{{"submission_key":"{KEY}","external_id":"x","is_duplicate":false}}'


def job() -> Job:
    return Job(
        submission_key=KEY,
        campaign_id="oven",
        round=0,
        lab="http",
        protocol_name="oven",
        protocol_version=1,
        protocol_sha256=SHA,
        wells=(Well(name="A1", proposal_id="p", conditions={"heat": 1.0}),),
    )


@dataclass
class Answers:
    """A server that says what it is told to say, and notes what it heard."""

    status: int = 200
    body: str = ACCEPTED
    delay: float = 0.0
    heard: list[str] = field(default_factory=list)
    url: str = ""


@pytest.fixture
def answers(monkeypatch) -> Iterator[Answers]:
    monkeypatch.setenv("LABWM_LAB_KEY", "secret")
    here = Answers()

    class Handler(BaseHTTPRequestHandler):
        def handle_any(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            asked = f"{self.command} {self.path} {self.headers['Authorization']}"
            here.heard.append(asked)
            time.sleep(here.delay)
            if here.status == 0:
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            self.send_response(here.status)
            self.send_header("Content-Length", str(len(here.body)))
            self.end_headers()
            self.wfile.write(here.body.encode())

        do_GET = do_PUT = do_POST = handle_any  # noqa: N815 http.server wants it

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    here.url = f"http://127.0.0.1:{server.server_address[1]}"
    yield here
    server.shutdown()
    thread.join()
    server.server_close()


def lab(answers: Answers, **more: object) -> HttpLab:
    return HttpLab(answers.url, SHA, **more)  # pyright: ignore[reportArgumentType]


def problem(status: int, code: str) -> str:
    said = Problem(type="t", title="t", status=status, detail="as it said", code=code)
    return said.model_dump_json()


def test_a_job_is_put_under_its_key_with_the_bearer_key(answers: Answers):
    assert lab(answers).submit(job()).external_id == "x"
    assert answers.heard == [f"PUT /v1/jobs/{KEY} Bearer secret"]


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (0, ""),
        (500, "oops"),
        (502, "<html>bad gateway</html>"),
        (503, problem(503, "store")),
        (200, "not json"),
        (200, ACCEPTED.replace("0001", "0002")),
    ],
    ids=["cut", "500", "proxy", "store", "no-json", "other-key"],
)
def test_an_answer_that_says_nothing_leaves_a_job_in_doubt(
    answers: Answers, status: int, body: str
):
    answers.status, answers.body = status, body
    with pytest.raises(InDoubtError):
        lab(answers).submit(job())


def test_an_answer_that_comes_too_late_leaves_a_job_in_doubt(answers: Answers):
    answers.delay = 0.5
    with pytest.raises(InDoubtError, match="Timeout"):
        lab(answers, timeout_seconds=0.1).submit(job())


def test_a_connection_that_was_never_made_leaves_nothing_in_doubt(answers: Answers):
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        away = HttpLab(f"http://127.0.0.1:{bound.getsockname()[1]}", SHA)
        with pytest.raises(UnavailableError, match="Nothing was sent"):
            away.submit(job())


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (409, "duplicate", DuplicateError),
        (404, "not-found", NotFoundError),
        (502, "lab", LabError),
        (422, "invalid-input", LabError),
        (401, "unauthenticated", UnavailableError),
    ],
)
def test_a_refusal_is_the_error_that_the_lab_means(
    answers: Answers, status: int, code: str, kind: type[Exception]
):
    answers.status, answers.body = status, problem(status, code)
    with pytest.raises(kind) as caught:
        lab(answers).submit(job())
    assert type(caught.value) is kind


def test_a_question_without_an_answer_is_asked_again_later(answers: Answers):
    answers.status = 0
    for ask in (lab(answers).status, lab(answers).collect, lab(answers).cancel):
        with pytest.raises(UnavailableError):
            ask(KEY)


def test_results_of_another_origin_or_job_are_refused(answers: Answers):
    result = WellResult(
        submission_key=KEY,
        well="A1",
        readouts={"y": Value(value=1.0)},
        origin=Origin.REPLAYED,
    )
    answers.body = f"[{result.model_dump_json()}]"
    (read,) = lab(answers, origin=Origin.REPLAYED).collect(KEY)
    assert read.model_copy(update={"raw_sha256": None}) == result
    with pytest.raises(LabError, match="replayed"):
        lab(answers).collect(KEY)
    answers.body = answers.body.replace("0001", "0002")
    with pytest.raises(LabError, match="http-job-0002"):
        lab(answers, origin=Origin.REPLAYED).collect(KEY)


def test_what_is_no_key_is_never_part_of_an_address(answers: Answers):
    assert lab(answers).status("../../admin").state is JobState.UNKNOWN
    assert answers.heard == []


@pytest.mark.parametrize("url", ["http://lab.example", "ftp://127.0.0.1", "lab", ""])
def test_a_key_goes_to_no_address_without_encryption(url: str):
    with pytest.raises(ProtocolError, match="https://"):
        HttpLab(url, SHA)


def test_a_protocol_sends_no_other_secret_away():
    with pytest.raises(ProtocolError, match="LABWM_LAB_KEY_NAME"):
        HttpLab("https://lab.example", SHA, key_variable="AWS_SECRET_ACCESS_KEY")


def test_a_missing_key_is_told_before_anything_is_sent(answers: Answers, monkeypatch):
    monkeypatch.delenv("LABWM_LAB_KEY")
    with pytest.raises(UnavailableError, match="LABWM_LAB_KEY"):
        lab(answers).submit(job())
    assert answers.heard == []
