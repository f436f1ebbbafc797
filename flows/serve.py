"""Serve every deployment from one process: `python -m flows.serve`."""

from datetime import timedelta

from prefect import serve
from prefect.client.schemas.objects import (
    ConcurrencyLimitConfig,
    ConcurrencyLimitStrategy,
)
from prefect.deployments.runner import RunnerDeployment
from prefect.types.entrypoint import EntrypointType

from flows.backtest import backtest_policy
from flows.campaign import advance_all, run_campaign
from flows.models import evaluate, retrain
from flows.screen import screen

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
            description=(
                "Open a campaign and move it until it is done or waits for a person or "
                "a lab. The run ends named AwaitingApproval, AwaitingLab or Done, with "
                "a link to the campaign's page; its artifacts show each round."
            ),
            tags=["labwm", "campaigns"],
            entrypoint_type=EntrypointType.MODULE_PATH,
        ),
        RunnerDeployment.from_flow(
            advance_all,
            name="advance",
            description=(
                "Move every open campaign: take in results and approvals, learn, and "
                "propose. Runs every two minutes by itself; start it to hurry."
            ),
            tags=["labwm", "campaigns"],
            interval=timedelta(minutes=2),
            concurrency_limit=ONE_AT_A_TIME,
            entrypoint_type=EntrypointType.MODULE_PATH,
        ),
        RunnerDeployment.from_flow(
            evaluate,
            name="evaluate",
            description=(
                "Compare what every campaign predicted with what was measured "
                "afterwards; the table artifact 'calibration' shows the coverage."
            ),
            tags=["labwm", "models"],
            entrypoint_type=EntrypointType.MODULE_PATH,
        ),
        RunnerDeployment.from_flow(
            retrain,
            name="retrain",
            description=(
                "Fit each open campaign's model by both recipes, compare them on the "
                "campaign's own past, and promote the better one if every gate says "
                "so. Runs at 02:00 UTC and after enough new data; one artifact a "
                "campaign holds the model's card and says why."
            ),
            tags=["labwm", "models"],
            cron="0 2 * * *",
            concurrency_limit=ONE_AT_A_TIME,
            entrypoint_type=EntrypointType.MODULE_PATH,
        ),
        RunnerDeployment.from_flow(
            screen,
            name="screen",
            description=(
                "Screen a pool of molecules of any size with what a campaign has "
                "taught, block by block, on threads, Dask or Ray. The artifacts hold "
                "the short-list and what became of every row; a run that was cut off "
                "goes on where it stopped."
            ),
            tags=["labwm", "models"],
            entrypoint_type=EntrypointType.MODULE_PATH,
        ),
        RunnerDeployment.from_flow(
            backtest_policy,
            name="backtest",
            description=(
                "Play campaigns of a policy on a table that is known in full, against "
                "choosing at random, before money is spent. Threads, Dask or Ray run "
                "them at the same time; the table artifact 'backtest' holds the result."
            ),
            tags=["labwm", "models"],
            entrypoint_type=EntrypointType.MODULE_PATH,
        ),
    )


def main() -> None:
    """Serve until stopped; schedules go on when it is started again."""
    serve(*deployments(), limit=4, pause_on_shutdown=False)


if __name__ == "__main__":
    main()
