"""`labwm up`: Prefect's server, the deployments and labwm's own server, supervised."""

import os
import sys
from dataclasses import dataclass

from labwm import settings
from labwm.api.children import MARK, Service
from labwm.api.flow_runs import FlowRuns
from labwm.api.only_one import only_one
from labwm.api.ports import LOOPBACK, refuse_taken
from labwm.api.prefect_server import PrefectServer
from labwm.api.supervisor import Say, Supervisor


@dataclass(frozen=True)
class Ports:
    """Where the servers listen, on loopback."""

    api: int = 8300
    prefect: int = 4200


def up(ports: Ports, *, say: Say) -> None:
    """Start everything, say where it answers, and keep it up until told to stop.

    Ctrl-C and SIGTERM stop it; no child outlives it.

    Args:
        ports: Where to listen.
        say: Told each address when it answers, and what happens later.

    Raises:
        ConflictError: If this home is up already.
        UnavailableError: If a port is taken, or a service does not stay alive.
    """
    with only_one(
        settings.home() / "up.lock", f"http://{LOOPBACK}:{ports.api}"
    ) as mark:
        for name, port in (("the API", ports.api), ("Prefect", ports.prefect)):
            refuse_taken(port, name)
        services = _Services(PrefectServer(ports.prefect), ports, mark)
        supervisor = Supervisor(
            servers=(services.prefect(), services.api()),
            runner=services.deployments(),
            runs=services.runs,
            mark=mark,
            say=say,
        )
        with supervisor.listening():
            supervisor.run()


@dataclass(frozen=True)
class _Services:
    """The programs of one home."""

    server: PrefectServer
    ports: Ports
    mark: str

    @property
    def runs(self) -> FlowRuns:
        """Runs on the server."""
        return FlowRuns(self.server)

    def prefect(self) -> Service:
        """Prefect's server and pages."""
        return Service(
            name="prefect",
            title="Prefect (runs, schedules, artifacts)",
            command=self.server.command,
            environment=self._environment(),
            address=self.server.address,
            answers=lambda _: self.server.answers(),
        )

    def deployments(self) -> Service:
        """Return what runs flows."""
        return Service(
            name="deployments",
            title="Deployments",
            command=(sys.executable, "-m", "flows.serve"),
            environment=self._environment(),
            address=f"{self.server.address}/deployments",
            answers=self.runs.are_polled,
        )

    def api(self) -> Service:
        """REST, MCP and the pages."""
        address = f"http://{LOOPBACK}:{self.ports.api}"
        door = [sys.executable, "-m", "labwm.api.cli", "serve", "--port"]
        return Service(
            name="api",
            title="Campaigns, approvals, REST (/v1) and MCP (/mcp)",
            command=(*door, str(self.ports.api)),
            environment=self._environment(),
            address=address,
            answers=lambda _: PrefectServer.is_ok(f"{address}/v1/health"),
        )

    def _environment(self) -> dict[str, str]:
        own = {
            "LABWM_HOME": str(settings.home()),
            "LABWM_PUBLIC_URL": f"http://{LOOPBACK}:{self.ports.api}",
            "PYTHONUNBUFFERED": "1",
            MARK: self.mark,
        }
        return {**self.server.environment(), **os.environ, **own, **self.server.url()}
