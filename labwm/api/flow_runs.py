"""Runs of labwm's deployments, as the supervisor keeps them honest.

A run whose process is gone says Running for ever: Prefect does not look. On Linux the
supervisor does, and crashes the run; whoever asks next sees what is true.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from pydantic import AwareDatetime, BaseModel, TypeAdapter

from labwm.api.prefect_server import TAG, PrefectServer
from labwm.errors import UnavailableError

AGE: Final = {
    "PENDING": timedelta(seconds=60),
    "RUNNING": timedelta(seconds=5),
    "CANCELLING": timedelta(seconds=5),
}
"""States of unfinished runs, and how long each may be without a process: the runner
says Pending before there is one, the process itself says Running."""
RUN_ID: Final = "PREFECT__FLOW_RUN_ID"
"""Environment variable by which a process says which run it executes."""


class _Deployment(BaseModel):
    id: str
    last_polled: AwareDatetime | None = None


class _State(BaseModel):
    type: str
    timestamp: AwareDatetime


class _Run(BaseModel):
    id: str
    work_pool_name: str | None = None
    state: _State


_Deployments = TypeAdapter(list[_Deployment])
_Runs = TypeAdapter(list[_Run])


@dataclass(frozen=True)
class FlowRuns:
    """The runs on one server whose deployments `flows.serve` serves."""

    server: PrefectServer

    def are_polled(self, since: datetime) -> bool:
        """Did a runner ask for work of labwm's deployments since then?"""
        try:
            found = self._deployments({})
        except UnavailableError:
            return False
        return any(one.last_polled and one.last_polled >= since for one in found)

    def are_deployed(self) -> bool:
        """Does the server know the deployments? Not after its database was wiped.

        Raises:
            UnavailableError: If it does not answer.
        """
        return bool(self._deployments({}))

    def crash_all(self, why: str) -> int:
        """Mark every unfinished run as crashed; call it only while none has a process.

        Args:
            why: Shown with the run.

        Returns:
            How many there were.

        Raises:
            UnavailableError: If the server does not answer.
        """
        return self._crash(self._unfinished({}), why)

    def reap(self, living: Collection[str]) -> int:
        """Mark unfinished runs whose process is gone as crashed.

        Args:
            living: Identifiers of runs that have a process.

        Returns:
            How many there were.

        Raises:
            UnavailableError: If the server does not answer.
        """
        now = datetime.now(UTC)
        lost = [
            run
            for run in self._unfinished({})
            if run.id not in living and now - run.state.timestamp > AGE[run.state.type]
        ]
        return self._crash(lost, "its process is gone")

    def _crash(self, runs: Iterable[_Run], why: str) -> int:
        # Runs of work pools are left alone: their processes may be on other machines.
        own = [run for run in runs if run.work_pool_name is None]
        crashed = {"state": {"type": "CRASHED", "message": why}, "force": True}
        for run in own:
            self.server.ask(f"/flow_runs/{run.id}/set_state", crashed)
        return len(own)

    def start_if_idle(self, deployment: str) -> bool:
        """Start a run of a deployment that has none now; false if it has.

        Raises:
            UnavailableError: If the server does not answer or lacks the deployment.
        """
        named = {"name": {"any_": [deployment]}}
        if self._unfinished(named):
            return False
        found = self._deployments(named)
        if not found:
            raise UnavailableError(
                f"Prefect knows labwm's deployments while labwm is up; {deployment!r} "
                "is not there yet. Ask again."
            )
        self.server.ask(f"/deployments/{found[0].id}/create_flow_run", {})
        return True

    def _deployments(self, named: dict[str, Any]) -> list[_Deployment]:
        body = {"deployments": {"tags": {"all_": [TAG]}} | named}
        return _Deployments.validate_python(
            self.server.ask("/deployments/filter", body)
        )

    def _unfinished(self, named: dict[str, Any]) -> list[_Run]:
        body = {
            "deployments": {"tags": {"all_": [TAG]}} | named,
            "flow_runs": {"state": {"type": {"any_": list(AGE)}}},
        }
        return _Runs.validate_python(self.server.ask("/flow_runs/filter", body))
