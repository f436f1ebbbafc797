"""Serve every deployment from one process: `python -m flows.serve`."""

from datetime import timedelta

from prefect import serve
from prefect.client.schemas.objects import (
    ConcurrencyLimitConfig,
    ConcurrencyLimitStrategy,
)
from prefect.deployments.runner import RunnerDeployment
from prefect.types.entrypoint import EntrypointType

from flows.campaign import advance_all, run_campaign

# Runs missed while nothing was served would otherwise all start at once.
ONE_AT_A_TIME = ConcurrencyLimitConfig(
    limit=1, collision_strategy=ConcurrencyLimitStrategy.CANCEL_NEW
)


def deployments() -> tuple[RunnerDeployment, ...]:
    """Return every deployment; module paths let them run from a wheel."""
    return (
        RunnerDeployment.from_flow(
            run_campaign,
            name="campaign",
            description="Open a campaign and move it until it waits.",
            tags=["labwm"],
            entrypoint_type=EntrypointType.MODULE_PATH,
        ),
        RunnerDeployment.from_flow(
            advance_all,
            name="advance",
            description="Move every open campaign; results and approvals are taken in.",
            tags=["labwm"],
            interval=timedelta(minutes=2),
            concurrency_limit=ONE_AT_A_TIME,
            entrypoint_type=EntrypointType.MODULE_PATH,
        ),
    )


def main() -> None:
    """Serve until stopped; schedules go on when it is started again."""
    serve(*deployments(), limit=4, pause_on_shutdown=False)


if __name__ == "__main__":
    main()
