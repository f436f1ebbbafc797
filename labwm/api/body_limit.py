"""Refuse bodies that are too large before anything reads them whole."""

from dataclasses import dataclass
from typing import Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from labwm.api.problems import problem, problem_answer

LARGEST_BODY: Final = 2 * 1024 * 1024
"""Bytes; a thousand experiments of twenty conditions take about a quarter of it."""


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
        body = b""
        if not declared.isdecimal() or int(declared) > self.largest:
            await self._refuse(scope, receive, send)
            return
        more = True
        while more:
            message = await receive()
            if message["type"] != "http.request":
                return
            body += message.get("body", b"")
            more = message.get("more_body", False)
            if len(body) > self.largest:
                await self._refuse(scope, receive, send)
                return
        await self.app(scope, _replay(body, receive), send)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        detail = (
            f"A body has at most {self.largest} bytes and states its length; this one "
            "does not. Ask for fewer experiments at a time."
        )
        answer = problem_answer(problem(413, detail, "too-large"))
        answer.headers["Connection"] = "close"
        await answer(scope, receive, send)


def _replay(body: bytes, receive: Receive) -> Receive:
    sent = False

    async def again() -> Message:
        nonlocal sent
        if sent:
            return await receive()
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again
