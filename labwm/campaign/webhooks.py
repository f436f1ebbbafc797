"""Signed notices between a lab and labwm: HMAC-SHA256 over id, time and body.

The headers are those of Standard Webhooks, so that a lab may sign with any library of
that specification:

    webhook-id: MESSAGE                  the same for each attempt with one message
    webhook-timestamp: 1764000000        seconds since 1970 when this attempt was made
    webhook-signature: v1,BASE64         one for each secret, separated by a space

While secrets are rotated both sides hold the old and the new one.

Reference:
    https://www.standardwebhooks.com, version 1, symmetric signatures.
"""

import binascii
import hashlib
import hmac
import re
from base64 import b64decode, b64encode
from collections.abc import Mapping
from typing import Final

from labwm.errors import InvalidInputError, UnauthenticatedError

ID: Final = "webhook-id"
TIMESTAMP: Final = "webhook-timestamp"
SIGNATURE: Final = "webhook-signature"
WINDOW_SECONDS: Final = 300
"""How far the time of a notice may be from now, either way."""
FEWEST_BYTES: Final = 24
"""Of a secret; fewer could be guessed."""
_VERSION = "v1,"
_PREFIX = "whsec_"
_ID = re.compile(r"[!-~]{1,256}")
_MOST_SIGNATURES = 16


def secrets_in(text: str) -> tuple[bytes, ...]:
    """Return the secrets of a setting: `whsec_BASE64`, separated by commas or spaces.

    Raises:
        InvalidInputError: If one cannot be read or is too short; it is not shown.
    """
    return tuple(_secret(word) for word in text.replace(",", " ").split())


def sign(
    body: bytes, *, secrets: tuple[bytes, ...], id: str, at: int
) -> dict[str, str]:
    """Return the headers of a signed notice.

    Args:
        body: Exactly the bytes that are sent.
        secrets: One signature is made with each.
        id: Of the message; the same when it is sent again.
        at: Time of sending, seconds since 1970.
    """
    made = [_VERSION + _signature(body, secret, id, str(at)) for secret in secrets]
    return {ID: id, TIMESTAMP: str(at), SIGNATURE: " ".join(made)}


def check_signature(
    body: bytes, headers: Mapping[str, str], *, secrets: tuple[bytes, ...], now: float
) -> str:
    """Return the id of a notice that a holder of a secret signed just now.

    Args:
        body: The bytes as they came.
        headers: With names in lower case.
        secrets: Any of them will do.
        now: Seconds since 1970.

    Raises:
        UnauthenticatedError: If a header is absent or malformed, the time is outside of
            the window, or no signature fits.
    """
    id, sent = headers.get(ID, ""), headers.get(TIMESTAMP, "")
    if not _ID.fullmatch(id):
        raise _unsigned(f"no {ID} of 1 to 256 printable characters")
    if not re.fullmatch(r"[0-9]{1,12}", sent):
        raise _unsigned(f"no {TIMESTAMP} in seconds")
    if abs(now - int(sent)) > WINDOW_SECONDS:
        raise UnauthenticatedError(
            f"A notice is sent within {WINDOW_SECONDS} s of its timestamp; got one of "
            f"{int(now) - int(sent)} s ago. Set the lab's clock, and sign each attempt "
            "anew."
        )
    given = headers.get(SIGNATURE, "").split(" ")[:_MOST_SIGNATURES]
    if not _fits(given, [_signature(body, secret, id, sent) for secret in secrets]):
        raise _unsigned("no signature that fits id, time and body")
    return id


def _fits(given: list[str], wanted: list[str]) -> bool:
    """Compare each with each in constant time: none is left out once one fitted."""
    fits = False
    for text in given:
        if not text.startswith(_VERSION):
            continue  # another version of the scheme
        stated = text.removeprefix(_VERSION).encode()
        for signature in wanted:
            fits |= hmac.compare_digest(stated, signature.encode())
    return fits


def _signature(body: bytes, secret: bytes, id: str, sent: str) -> str:
    signed = b".".join((id.encode(), sent.encode(), body))
    return b64encode(hmac.new(secret, signed, hashlib.sha256).digest()).decode()


def _secret(word: str) -> bytes:
    try:
        secret = b64decode(word.removeprefix(_PREFIX).encode(), validate=True)
    except (ValueError, binascii.Error) as error:
        raise _no_secret("a text that is not base64") from error
    if not word.startswith(_PREFIX) or len(secret) < FEWEST_BYTES:
        raise _no_secret(f"{len(secret)} bytes, prefix {word.startswith(_PREFIX)}")
    return secret


def _no_secret(got: str) -> InvalidInputError:
    return InvalidInputError(
        f"A secret for notices is {_PREFIX} and {FEWEST_BYTES} or more bytes in base64;"
        f" got {got}. Make one: echo {_PREFIX}$(openssl rand -base64 32)."
    )


def _unsigned(got: str) -> UnauthenticatedError:
    return UnauthenticatedError(
        f"A notice is signed as Standard Webhooks 1 says; got {got}. Sign it with a "
        "secret of LABWM_HOOK_SECRETS."
    )
