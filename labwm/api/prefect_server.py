"""Prefect's server as the launcher sees it: how it is started, set up, and asked."""

import sys
from dataclasses import dataclass
from typing import Any, Final

import httpx

from labwm import settings
from labwm.api.ports import LOOPBACK
from labwm.errors import UnavailableError

TAG: Final = "labwm"
"""Every deployment of labwm has it."""


@dataclass(frozen=True)
class PrefectServer:
    """A Prefect server on loopback whose state lies in labwm's home."""

    port: int

    @property
    def address(self) -> str:
        """Where its pages are."""
        return f"http://{LOOPBACK}:{self.port}"

    @property
    def command(self) -> tuple[str, ...]:
        """What starts it."""
        place = ("--host", LOOPBACK, "--port", str(self.port))
        return (sys.executable, "-m", "prefect", "server", "start", *place)

    def environment(self) -> dict[str, str]:
        """Settings that a user may override: quiet, offline, on loopback."""
        pages = f"{self.address},http://localhost:{self.port}"
        return {
            "PREFECT_HOME": str(settings.home() / "prefect"),
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "DO_NOT_TRACK": "1",
            "PREFECT_CLOUD_ENABLE_ORCHESTRATION_TELEMETRY": "false",
            "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
            "PREFECT_SERVER_API_CORS_ALLOWED_ORIGINS": pages,
            "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "false",
            "PREFECT_RUNNER_POLL_FREQUENCY": "2",
            "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "60",
        }

    def url(self) -> dict[str, str]:
        """Return the settings that lead clients to this server and to no other."""
        return {
            "PREFECT_API_URL": f"{self.address}/api",
            "PREFECT_SERVER_API_HOST": LOOPBACK,
        }

    def answers(self) -> bool:
        """Does it say that it is well?"""
        return self.is_ok(f"{self.address}/api/health")

    def ask(self, path: str, body: dict[str, Any]) -> Any:
        """Post to its API and return the answer.

        Raises:
            UnavailableError: If it does not answer, or not with success.
        """
        try:
            answer = httpx.post(f"{self.address}/api{path}", json=body, timeout=10)
            answer.raise_for_status()
        except httpx.HTTPError as error:
            raise UnavailableError(
                f"Prefect's server answers while labwm is up; {path} gave "
                f"{type(error).__name__}. Ask again."
            ) from error
        return answer.json()

    @staticmethod
    def is_ok(address: str) -> bool:
        """Does this address answer with success?"""
        try:
            return httpx.get(address, timeout=2).is_success
        except httpx.HTTPError:
            return False
