"""A lab behind an address: submitted to by key, asked by key, safe to ask again.

    PUT  /v1/jobs/KEY            a job and the origin that its results must have
    GET  /v1/jobs/KEY            how it stands; `unknown` for a key never accepted
    GET  /v1/jobs/KEY/results    every result so far
    POST /v1/jobs/KEY/cancel     ask to stop
    POST /v1/jobs/KEY/refuse     never accept this key

Every request carries a bearer key. An answer that did not come leaves a submission in
doubt; a connection that was never made does not.
"""

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import urlsplit

from pydantic import TypeAdapter, ValidationError

from labwm.errors import (
    DuplicateError,
    InDoubtError,
    LabError,
    NotFoundError,
    ProtocolError,
    UnavailableError,
    UnsupportedError,
)
from labwm.labs import admission
from labwm.labs.answers import elements
from labwm.labs.lab import Keep, name_only
from labwm.schema import (
    Acknowledgement,
    Capabilities,
    Job,
    JobState,
    JobStatus,
    Origin,
    Problem,
    WellResult,
)

if TYPE_CHECKING:
    import httpx

CAPABILITIES: Final = Capabilities(
    dedup_by_key=True,
    query_by_key=True,
    refuse_key=True,
    cancel=True,
    partial_results=True,
    push=True,
    computes=False,
)
KEY_VARIABLE: Final = "LABWM_LAB_KEY"
"""Variable with the bearer key; a protocol may name another that starts like it."""
TIMEOUT_SECONDS: Final = 20.0
_LOOPBACK = {"127.0.0.1", "::1", "localhost"}
Answer = TypeVar("Answer", Acknowledgement, JobStatus)
_RESULTS = TypeAdapter(tuple[WellResult, ...])


@dataclass(frozen=True)
class HttpLab:
    """A lab that a server speaks for.

    Attributes:
        url: Address of the server; `https`, or `http` on this machine.
        protocol_sha256: Of the protocol that the lab follows.
        origin: Origin of everything it returns; the server must say the same.
        key_variable: Environment variable that holds the bearer key.
        timeout_seconds: How long an answer may take.
        name: Name under which jobs address it.
    """

    url: str
    protocol_sha256: str
    origin: Origin = Origin.MEASURED
    key_variable: str = KEY_VARIABLE
    timeout_seconds: float = TIMEOUT_SECONDS
    name: str = "http"

    def __post_init__(self) -> None:
        """Refuse an address or a variable to which no secret may go."""
        parts = urlsplit(self.url)
        is_safe = parts.scheme == "https" or parts.hostname in _LOOPBACK
        if parts.scheme not in {"http", "https"} or not parts.hostname or not is_safe:
            raise ProtocolError(
                "A lab's address starts with https://, or with http:// on this machine "
                f"only, because a key goes there; got {self.url!r}. Correct "
                "lab.settings.url."
            )
        # A protocol must not be able to send any secret of this machine away.
        if not re.fullmatch(rf"{KEY_VARIABLE}(_[A-Z0-9_]+)?", self.key_variable):
            raise ProtocolError(
                f"A lab's key is in a variable named {KEY_VARIABLE} or "
                f"{KEY_VARIABLE}_NAME; got {self.key_variable!r}. Correct "
                "lab.settings.key_variable."
            )

    @property
    def capabilities(self) -> Capabilities:
        """What every server of this interface can do."""
        return CAPABILITIES

    def submit(self, job: Job) -> Acknowledgement:
        """Send a job; the same key again starts nothing.

        Raises:
            LabError: If the lab refuses it.
            DuplicateError: If the key is known with another content.
            InDoubtError: If it may have arrived and no answer came.
            UnavailableError: If it was certainly not sent.
        """
        admission.check_address(
            job, lab=self.name, protocol_sha256=self.protocol_sha256
        )
        body = {"job": job.model_dump(mode="json"), "origin": self.origin.value}
        answer = self._ask("PUT", job.submission_key, body=body)
        found = _read(Acknowledgement, answer, job.submission_key)
        if found.submission_key != job.submission_key:
            raise _other_key(job.submission_key, found.submission_key)
        return found

    def status(self, submission_key: str) -> JobStatus:
        """Ask how a job stands; `unknown` for a key never accepted.

        Raises:
            UnavailableError: If the lab does not answer.
        """
        if not admission.is_key(submission_key):
            return JobStatus(submission_key=submission_key, state=JobState.UNKNOWN)
        return self._status("GET", submission_key)

    def collect(
        self, submission_key: str, *, keep: Keep = name_only
    ) -> tuple[WellResult, ...]:
        """Fetch every result so far; the raw bytes of one are its part of the answer.

        Raises:
            NotFoundError: If the lab knows no job by this key.
            LabError: If a result has another origin or belongs to another job.
            UnavailableError: If the lab does not answer.
        """
        self._check_key(submission_key)
        answer = self._ask("GET", submission_key, "/results")
        try:
            results = _RESULTS.validate_json(answer.content)
        except ValidationError as error:
            raise _unreadable(submission_key, error) from error
        for result in results:
            if result.submission_key != submission_key:
                raise _other_key(submission_key, result.submission_key)
            if result.origin is not self.origin:
                raise LabError(
                    f"Results of {self.url} are {self.origin.value} by the protocol; "
                    f"got {result.origin.value} for well {result.well!r}. Correct "
                    "lab.settings.origin, or ask the lab."
                )
        parts = elements(answer.content)
        return tuple(
            result.model_copy(update={"raw_sha256": keep(raw)})
            for result, raw in zip(results, parts, strict=True)
        )

    def cancel(self, submission_key: str) -> JobStatus:
        """Ask to stop; wells done before keep their results.

        Raises:
            NotFoundError: If the lab knows no job by this key.
            UnavailableError: If the lab does not answer.
        """
        self._check_key(submission_key)
        return self._status("POST", submission_key, "/cancel")

    def refuse(self, submission_key: str) -> JobStatus:
        """Have the lab never accept this key; a job that exists is left as it is.

        Raises:
            LabError: If this could not be a submission key.
            UnavailableError: If the lab does not answer.
        """
        admission.check_key(submission_key)
        return self._status("POST", submission_key, "/refuse")

    def _status(self, method: str, key: str, more: str = "") -> JobStatus:
        found = _read(JobStatus, self._ask(method, key, more), key)
        if found.submission_key != key:
            raise _other_key(key, found.submission_key)
        return found

    def _check_key(self, submission_key: str) -> None:
        if not admission.is_key(submission_key):
            raise admission.unknown(submission_key, lab=self.name)

    def _ask(
        self, method: str, key: str, more: str = "", *, body: object = None
    ) -> "httpx.Response":
        """Send one request and return its answer, or raise what it says."""
        import httpx  # only here: every process of a campaign imports this room

        address = f"{self.url.rstrip('/')}/v1/jobs/{key}{more}"
        headers = {"Authorization": f"Bearer {self._secret()}"}
        try:
            answer = httpx.request(
                method,
                address,
                headers=headers,
                json=body,
                timeout=self.timeout_seconds,
            )
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise UnavailableError(
                f"A lab answers at its address; got {error} from {self.url}. Nothing "
                "was sent. Start the lab's server, then advance again."
            ) from error
        except httpx.HTTPError as error:
            raise self._no_answer(method, key, repr(error)) from error
        if answer.is_success:
            return answer
        raise self._refusal(method, key, answer)

    def _refusal(self, method: str, key: str, answer: "httpx.Response") -> Exception:
        if answer.status_code in {401, 403}:
            return UnavailableError(
                f"A lab accepts the key in ${self.key_variable}; {self.url} answered "
                f"{answer.status_code}. Set it to the key that the lab gave you."
            )
        try:
            problem = Problem.model_validate_json(answer.content)
        except ValidationError:
            # Not the lab but something before it, or the lab in the middle of a fall.
            said = f"status {answer.status_code}"
            return self._no_answer(method, key, said)
        kinds: dict[str, type[Exception]] = {
            DuplicateError.code: DuplicateError,
            NotFoundError.code: NotFoundError,
            LabError.code: LabError,
            UnsupportedError.code: UnsupportedError,
        }
        if kind := kinds.get(problem.code):
            return kind(problem.detail)
        if answer.status_code < 500:
            return LabError(f"The lab refused, [{problem.code}]: {problem.detail}")
        return self._no_answer(method, key, f"[{problem.code}] {problem.detail}")

    def _no_answer(self, method: str, key: str, said: str) -> Exception:
        if method == "PUT":
            return InDoubtError(
                f"A submission ends with an answer; {self.url} gave {said} for {key!r},"
                " which may have arrived. Advance again: the same key is sent again."
            )
        return UnavailableError(
            f"A lab answers when it is asked; {self.url} gave {said} for {key!r}. Look "
            "after the lab's server, then advance again."
        )

    def _secret(self) -> str:
        secret = os.environ.get(self.key_variable, "").strip()
        if not secret or not secret.isascii():
            raise UnavailableError(
                f"A lab is asked with a bearer key; ${self.key_variable} holds none. "
                "Set it to the key that the lab gave you."
            )
        return secret


def _read(kind: type[Answer], answer: "httpx.Response", key: str) -> Answer:
    try:
        return kind.model_validate_json(answer.content)
    except ValidationError as error:
        raise _unreadable(key, error) from error


def _unreadable(key: str, error: ValidationError) -> InDoubtError:
    first: Any = error.errors()[0]
    return InDoubtError(
        f"A lab answers in the form of labwm's records; got something else for {key!r}:"
        f" {first['loc']}: {first['msg']}. Ask the lab which version it speaks."
    )


def _other_key(asked: str, got: str) -> InDoubtError:
    return InDoubtError(
        f"A lab answers for the key that it was asked for; asked {asked!r}, got "
        f"{got!r}. Ask the lab."
    )
