"""Refuse bodies that are too large before anything keeps them."""

from dataclasses import dataclass
from typing import Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from labwm.api.problems import problem, problem_answer

LARGEST_BODY: Final = 2 * 1024 * 1024
"""Bytes; a thousand experiments of twenty conditions take about a quarter of it."""
MOST_DISCARDED: Final = 32 * 1024 * 1024
"""Bytes that are read and dropped, so that the sender can read the refusal."""


@dataclass(frozen=True)
class LimitBody:
    """ASGI middleware: a declared or streamed body beyond the limit answers 413."""

    app: ASGIApp
    largest: int = LARGEST_BODY

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Read the body up to the limit, then hand it on; bodies here are small."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        declared = Headers(scope=scope).get("content-length", "0")
        is_fitting = declared.isdecimal() and int(declared) <= self.largest
        body, n_read, more = bytearray(), 0, True
        while more and n_read <= MOST_DISCARDED:
            message = await receive()
            if message["type"] != "http.request":
                return
            part = message.get("body", b"")
            more = message.get("more_body", False)
            n_read += len(part)
            is_fitting = is_fitting and n_read <= self.largest
            if is_fitting:
                body += part
        if is_fitting:
            await self.app(scope, _replay(bytes(body), receive), send)
        else:
            await self._refuse(scope, receive, send)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        detail = (
            f"A body has at most {self.largest} bytes; this one has more. Ask for "
            "fewer experiments at a time."
        )
        answer = problem_answer(problem(413, detail, "too-large"))
        answer.headers["Connection"] = "close"
        await answer(scope, receive, send)


def _replay(body: bytes, receive: Receive) -> Receive:
    is_sent = False

    async def again() -> Message:
        nonlocal is_sent
        if is_sent:
            return await receive()
        is_sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again
