"""JSON bodies: text that can be stored, and `Idempotency-Key` as one of the fields."""

import json
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message

from labwm.errors import InvalidInputError

FIELD = "idempotency_key"


class JsonRoute(APIRoute):
    """A route that looks at the JSON of a body before its record does."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return FastAPI's handler behind the checks of this module."""
        handle = super().get_route_handler()

        async def look_and_handle(request: Request) -> Response:
            body = await request.body()
            try:
                content: Any = json.loads(body)
            except (ValueError, RecursionError):  # the record says what is wrong
                return await handle(request)
            refuse_unstorable(content)
            header = request.headers.get("idempotency-key")
            if header is not None and isinstance(content, dict):
                body = json.dumps(with_key(content, header)).encode()  # pyright: ignore[reportUnknownArgumentType]
            return await handle(Request(request.scope, _receive(body)))

        return look_and_handle


def refuse_unstorable(content: Any) -> None:
    """Refuse text that no database stores: lone surrogates and NUL.

    Raises:
        InvalidInputError: If there is such text anywhere in the JSON value.
    """
    text = json.dumps(content, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidInputError(
            "Text is Unicode that can be written as UTF-8; got a lone surrogate, "
            f"U+{ord(text[error.start]):04X}. Send whole characters."
        ) from error
    if "\\u0000" in text.replace("\\\\", ""):
        raise InvalidInputError(
            "Text has no NUL character; got one, U+0000. Leave it out."
        )


def with_key(content: dict[str, Any], header: str) -> dict[str, Any]:
    """Return the fields of a body with the header's key among them.

    Raises:
        InvalidInputError: If header and body name different keys.
    """
    if content.get(FIELD, header) != header:
        raise InvalidInputError(
            "The header Idempotency-Key and the field idempotency_key name one key; "
            "got two different ones. Send one of them, or both equal."
        )
    return {**content, FIELD: header}


def _receive(body: bytes) -> Callable[[], Coroutine[Any, Any, Message]]:
    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    return receive
