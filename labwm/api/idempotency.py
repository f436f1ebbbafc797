"""The `Idempotency-Key` header stands for the field `idempotency_key` of a body."""

import json
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message

from labwm.errors import InvalidInputError

FIELD = "idempotency_key"


class IdempotentRoute(APIRoute):
    """A route that writes the header into the body before the body is checked."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return FastAPI's handler behind the merging of header and body."""
        handle = super().get_route_handler()

        async def merge_and_handle(request: Request) -> Response:
            header = request.headers.get("idempotency-key")
            if header is None:
                return await handle(request)
            body = merged(await request.body(), header)
            return await handle(Request(request.scope, _receive(body)))

        return merge_and_handle


def merged(body: bytes, header: str) -> bytes:
    """Return the body with the header's key in it.

    A body that is not a JSON object comes back as it is: the record refuses it.

    Raises:
        InvalidInputError: If header and body name different keys.
    """
    try:
        content: Any = json.loads(body)
    except (ValueError, RecursionError):
        return body
    if not isinstance(content, dict):
        return body
    if content.setdefault(FIELD, header) != header:  # pyright: ignore[reportUnknownMemberType]
        raise InvalidInputError(
            "The header Idempotency-Key and the field idempotency_key name one key; "
            "got two different ones. Send one of them, or both equal."
        )
    return json.dumps(content).encode()


def _receive(body: bytes) -> Callable[[], Coroutine[Any, Any, Message]]:
    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    return receive
