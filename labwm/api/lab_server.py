"""The reference lab server: a lab of this machine behind the interface of `http` labs.

It keeps its jobs in the folder of the lab it speaks for, so that a server that was
killed goes on where it was. `docs/labs.md` shows how to start it.
"""

import hmac
import logging
import threading
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import APIRouter, Depends, FastAPI, Header, Request
from fastapi.exceptions import RequestValidationError
from starlette.concurrency import run_in_threadpool
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import Response

from labwm.api.body_limit import LimitBody
from labwm.api.lab_notifier import Notifier
from labwm.api.problems import invalid_body, problem_answer, problem_of
from labwm.campaign.dispatch import ServedLab
from labwm.errors import (
    InvalidInputError,
    LabError,
    LabwmError,
    UnauthenticatedError,
)
from labwm.schema import (
    Acknowledgement,
    Job,
    JobState,
    JobStatus,
    Origin,
    Record,
    WellResult,
)

LOOPBACK_NAMES = ("127.0.0.1", "localhost")
PAUSE_SECONDS = 0.2
"""Between two looks for jobs that nobody works on."""


class Submission(Record):
    """A job, and what its results are to be to whoever sent it."""

    job: Job
    origin: Origin


def create_lab_app(
    lab: ServedLab,
    *,
    secret: str,
    is_working: bool = True,
    notifier: Notifier | None = None,
) -> FastAPI:
    """Return the application that speaks for a lab.

    Args:
        lab: Where the jobs are done.
        secret: Bearer key that every request must carry.
        is_working: Does the server also do the jobs, or does somebody else?
        notifier: Tells whoever sent a job that it has results; nobody is told without.
    """
    has_ended = threading.Event()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[None]:
        threads: list[threading.Thread] = []
        if is_working:
            threads.append(threading.Thread(target=_work, args=(lab, has_ended)))
        if notifier is not None:
            threads.append(threading.Thread(target=notifier.run, args=(has_ended,)))
        for thread in threads:
            thread.start()
        yield
        has_ended.set()
        for thread in threads:
            await run_in_threadpool(thread.join)

    app = FastAPI(
        title="labwm reference lab",
        version="1",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
    )
    watch = notifier.watch if notifier else _tell_nobody
    app.include_router(_routes(lab, secret, watch))
    app.add_exception_handler(LabwmError, _deliberate)
    app.add_exception_handler(RequestValidationError, _malformed)
    app.add_middleware(LimitBody)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(LOOPBACK_NAMES))
    return app


def _tell_nobody(submission_key: str) -> None:
    """Watch no job: whoever sent it asks."""


def _work(lab: ServedLab, has_ended: threading.Event) -> None:
    while not has_ended.wait(PAUSE_SECONDS):
        try:
            lab.work(limit=1.0)
        except (LabwmError, OSError):
            # Said, and tried again: a server that no longer works must not look alive.
            logging.getLogger(__name__).exception("the lab could not work")


def _routes(lab: ServedLab, secret: str, watch: Callable[[str], None]) -> APIRouter:
    routes = APIRouter(prefix="/v1/jobs", dependencies=[Depends(_gate(secret))])

    @routes.put("/{key}")
    def submit(key: str, submission: Submission) -> Acknowledgement:  # pyright: ignore[reportUnusedFunction]
        if submission.job.submission_key != key:
            raise InvalidInputError(
                f"A job is put under its own key; got {submission.job.submission_key!r}"
                f" at {key!r}. Send it to its own address."
            )
        _check_origin(submission, lab)
        accepted = lab.submit(submission.job)
        watch(key)
        return accepted

    @routes.get("/{key}")
    def status(key: str) -> JobStatus:  # pyright: ignore[reportUnusedFunction]
        found = lab.status(key)
        if found.state is not JobState.UNKNOWN:
            watch(key)  # also what was accepted before the server was killed
        return found

    @routes.get("/{key}/results")
    def collect(key: str) -> tuple[WellResult, ...]:  # pyright: ignore[reportUnusedFunction]
        return lab.collect(key)

    @routes.post("/{key}/cancel")
    def cancel(key: str) -> JobStatus:  # pyright: ignore[reportUnusedFunction]
        return lab.cancel(key)

    @routes.post("/{key}/refuse")
    def refuse(key: str) -> JobStatus:  # pyright: ignore[reportUnusedFunction]
        return lab.refuse(key)

    return routes


def _check_origin(submission: Submission, lab: ServedLab) -> None:
    if submission.origin is not lab.origin:
        raise LabError(
            f"Results of this lab are {lab.origin.value}; the job expects "
            f"{submission.origin.value}. Set lab.settings.origin to "
            f"{lab.origin.value}."
        )


def _gate(secret: str) -> Callable[[str | None], None]:
    expected = f"Bearer {secret}".encode()

    def check(authorization: Annotated[str | None, Header()] = None) -> None:
        given = (authorization or "").encode()
        if not hmac.compare_digest(given, expected):
            raise UnauthenticatedError(
                "Every request carries `Authorization: Bearer KEY`; got none or "
                "another. Use the key that the server was started with."
            )

    return check


async def _deliberate(_: Request, error: Exception) -> Response:
    assert isinstance(error, LabwmError)
    return problem_answer(problem_of(error))


async def _malformed(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return problem_answer(invalid_body(error.errors()))
