"""Prefect's server as the launcher sees it: settings, health and orphaned runs."""

import sys
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import httpx
from pydantic import AwareDatetime, BaseModel, TypeAdapter

from labwm import settings
from labwm.api.ports import LOOPBACK

TAG: Final = "labwm"
"""Every deployment of labwm has it."""


class _Deployment(BaseModel):
    last_polled: AwareDatetime | None = None


class _Run(BaseModel):
    id: str


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

    def are_deployments_polled(self, since: datetime) -> bool:
        """Did a runner ask for work of labwm's deployments since then?"""
        body = {"deployments": {"tags": {"all_": [TAG]}}}
        found = TypeAdapter(list[_Deployment]).validate_python(
            self._post("/deployments/filter", body)
        )
        return any(one.last_polled and one.last_polled >= since for one in found)

    def crash_running(self, why: str) -> int:
        """Mark runs whose runner is gone as crashed; Prefect itself never does.

        Call it only while nothing runs flows.

        Returns:
            How many there were; 0 also when the server does not answer.
        """
        body = {
            "deployments": {"tags": {"all_": [TAG]}},
            "flow_runs": {"state": {"type": {"any_": ["RUNNING", "CANCELLING"]}}},
        }
        runs = TypeAdapter(list[_Run]).validate_python(
            self._post("/flow_runs/filter", body)
        )
        crashed = {"state": {"type": "CRASHED", "message": why}, "force": True}
        for run in runs:
            self._post(f"/flow_runs/{run.id}/set_state", crashed)
        return len(runs)

    def _post(self, path: str, body: dict[str, Any]) -> Any:
        try:
            answer = httpx.post(f"{self.address}/api{path}", json=body, timeout=10)
            answer.raise_for_status()
        except httpx.HTTPError:
            return []
        return answer.json()

    @staticmethod
    def is_ok(address: str) -> bool:
        """Does this address answer with success?"""
        try:
            return httpx.get(address, timeout=2).is_success
        except httpx.HTTPError:
            return False
