"""What labs tell without being asked: there is something to collect.

A notice rings the doorbell and does nothing else. Results come in by the one way that
there is, when a campaign is moved next: what a forged, repeated or lost notice could do
is to make a campaign look once more, or later.
"""

import hashlib
import logging
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from pydantic import ValidationError

from labwm import settings
from labwm.campaign.books import books
from labwm.campaign.doorbell import ring
from labwm.campaign.webhooks import WINDOW_SECONDS, check_signature, secrets_in
from labwm.errors import (
    DuplicateError,
    InvalidInputError,
    LabwmError,
    StoreError,
    UnavailableError,
)
from labwm.schema import Notice, NoticeTaken

LARGEST_NOTICE = 16 * 1024
"""Bytes; a notice names one job."""
_LOG = logging.getLogger(__name__)


def take_notice(body: bytes, headers: Mapping[str, str]) -> NoticeTaken:
    """Take a lab's notice once, and ring the doorbell.

    Args:
        body: The bytes as they came: they are what was signed.
        headers: With names in lower case; see `webhooks`.

    Raises:
        UnavailableError: If this labwm has no secret for notices.
        UnauthenticatedError: If it is not signed, or not now.
        DuplicateError: If a notice of this id was taken before.
        InvalidInputError: If it is too long or names no job.
        NotFoundError: If no campaign here sent that job.
    """
    try:
        return _take(body, headers)
    except LabwmError as error:
        # What was sent is not repeated: it is somebody else's text.
        _LOG.warning("a lab's notice was refused, %s: %s", error.code, error)
        raise


def _take(body: bytes, headers: Mapping[str, str]) -> NoticeTaken:
    secrets = secrets_in(settings.hook_secrets())
    if not secrets:
        raise UnavailableError(
            "A lab's notices are checked with a secret; this server has none. Set "
            "LABWM_HOOK_SECRETS where it is started, or let labs be asked."
        )
    if len(body) > LARGEST_NOTICE:
        raise InvalidInputError(
            f"A notice has at most {LARGEST_NOTICE} bytes; got {len(body)}. Name the "
            "job; its results are asked for."
        )
    id = check_signature(body, headers, secrets=secrets, now=time.time())
    notice = _read(body)
    job = books().ledger.job(notice.submission_key)
    _claim(settings.home() / "notices", id)
    ring()
    return NoticeTaken(
        submission_key=notice.submission_key, campaign_id=job.job.campaign_id
    )


def _read(body: bytes) -> Notice:
    try:
        return Notice.model_validate_json(body)
    except ValidationError as error:
        first = error.errors()[0]
        raise InvalidInputError(
            'A notice is {"type": "results", "submission_key": KEY}; got '
            f"{first['msg']} at {list(first['loc'])}. Correct what the lab sends."
        ) from error


def _claim(folder: Path, id: str) -> None:
    """Remember an id for as long as its notice would still be in time."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _forget(folder)
        (folder / hashlib.sha256(id.encode()).hexdigest()).touch(exist_ok=False)
    except FileExistsError as error:
        raise DuplicateError(
            "A notice is taken once; got the id of one that was taken before. Nothing "
            "more is to be done: it had arrived."
        ) from error
    except OSError as error:
        raise StoreError(
            f"Notices that were taken are remembered in {folder}; {error.strerror}. "
            "Free space, or give the home back to its user."
        ) from error


def _forget(folder: Path) -> None:
    before = time.time() - 3 * WINDOW_SECONDS
    for path in folder.iterdir():
        with suppress(FileNotFoundError):  # another server forgets, too
            if path.stat().st_mtime < before:
                path.unlink()
