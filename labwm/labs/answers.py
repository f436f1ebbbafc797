"""The parts of a lab's answer, each in exactly the bytes that came."""

import json
import re
from typing import Final

_SPACE: Final = re.compile(r"[ \t\n\r]*")


def elements(body: bytes) -> tuple[bytes, ...]:
    """Return the bytes of each element of a JSON array.

    The raw bytes of a result are those of its element and not of the whole answer,
    which is another one at every question: what a result was read from must not depend
    on when it was asked for.

    Args:
        body: Valid JSON in UTF-8.

    Raises:
        ValueError: If it is no array.
    """
    text, decoder = body.decode(), json.JSONDecoder()
    at = _next(text, 0)
    if text[at : at + 1] != "[":
        raise ValueError("results are a JSON array")
    at = _next(text, at + 1)
    found: list[bytes] = []
    while text[at : at + 1] != "]":
        _, end = decoder.raw_decode(text, at)
        found.append(text[at:end].encode())
        at = _next(text, end)
        if text[at : at + 1] == ",":
            at = _next(text, at + 1)
    return tuple(found)


def _next(text: str, at: int) -> int:
    """Return the place of the next character that is no white space."""
    found = _SPACE.match(text, at)
    assert found is not None  # it matches nothing, too
    return found.end()
