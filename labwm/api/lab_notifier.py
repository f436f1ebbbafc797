"""The lab server's side of notices: tell whoever sent a job that it has results.

A notice that is not answered is sent again, under the same id; whoever sent the job
also asks, so that one that never arrives only costs time.
"""

import logging
import threading
import time
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit
from uuid import uuid4

from labwm.campaign.dispatch import ServedLab
from labwm.campaign.webhooks import sign
from labwm.errors import InvalidInputError
from labwm.schema import JobState, Notice

PAUSE_SECONDS: Final = 0.2
"""Between two looks for results that nobody was told of."""
LONGEST_PAUSE: Final = 60.0
"""Between two attempts to deliver."""
TIMEOUT_SECONDS: Final = 10.0
_TAKEN: Final = 409
"""It had arrived before; only the answer was lost."""
_ENDED = {JobState.FINISHED, JobState.FAILED, JobState.CANCELLED}
_LOG = logging.getLogger(__name__)


@dataclass
class _Watched:
    n_told: int = 0
    id: str = ""
    """Of the message that was not delivered yet; empty when there is none."""
    n_failed: int = 0
    next_at: float = 0.0
    has_ended: bool = False


@dataclass
class Notifier:
    """Posts a notice when a job of the lab has more results than it told of.

    Attributes:
        lab: Is asked how its jobs stand.
        url: Where notices go: labwm's `/v1/notices`.
        secrets: Each signs; see `webhooks`.
    """

    lab: ServedLab
    url: str
    secrets: tuple[bytes, ...] = field(repr=False)
    _watched: dict[str, _Watched] = field(default_factory=dict[str, _Watched])
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        """Refuse what no notice could be sent with."""
        parts = urlsplit(self.url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise InvalidInputError(
                f"Notices go to an address, https://… or http://…; got {self.url!r}. "
                "Give that of labwm, with /v1/notices."
            )
        if not self.secrets:
            raise InvalidInputError(
                "Notices are signed with a secret; LABWM_HOOK_SECRETS holds none. Set "
                "it to the same here and where campaigns run."
            )

    def watch(self, submission_key: str) -> None:
        """Tell of the results of this job from now on."""
        with self._lock:
            self._watched.setdefault(submission_key, _Watched())

    def run(self, has_ended: threading.Event) -> None:
        """Look for results and tell of them until the event."""
        while not has_ended.wait(PAUSE_SECONDS):
            with self._lock:
                watched = list(self._watched.items())
            for key, state in watched:
                try:
                    self._look(key, state)
                except Exception:  # noqa: BLE001 - one job must not silence others
                    _LOG.exception("no notice could be made for %s", key)

    def _look(self, key: str, state: _Watched) -> None:
        if state.has_ended or time.monotonic() < state.next_at:
            return
        status = self.lab.status(key)
        if status.n_done > state.n_told:
            state.id = state.id or f"notice_{uuid4().hex}"
            if not self._post(key, state.id):
                state.n_failed += 1
                pause = min(LONGEST_PAUSE, PAUSE_SECONDS * 2.0**state.n_failed)
                state.next_at = time.monotonic() + pause
                return
            state.n_told, state.id, state.n_failed = status.n_done, "", 0
        # Remembered: a job that is asked about again is not told of again.
        state.has_ended = status.state in _ENDED

    def _post(self, key: str, id: str) -> bool:
        import httpx

        body = Notice(type="results", submission_key=key).canonical_json()
        headers = sign(body, secrets=self.secrets, id=id, at=int(time.time()))
        headers["Content-Type"] = "application/json"
        try:
            answer = httpx.post(
                self.url, content=body, headers=headers, timeout=TIMEOUT_SECONDS
            )
        except httpx.HTTPError as error:
            _LOG.warning("a notice for %s was not delivered: %r", key, error)
            return False
        if answer.is_success or answer.status_code == _TAKEN:
            return True
        _LOG.warning("a notice for %s was answered %d", key, answer.status_code)
        return False
