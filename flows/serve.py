"""Serve every deployment from one process: `python -m flows.serve`."""

from datetime import timedelta

from prefect import serve
from prefect.client.schemas.objects import (
    ConcurrencyLimitConfig,
    ConcurrencyLimitStrategy,
)

from flows.campaign import advance_all, run_campaign

# Runs missed while nothing was served would otherwise all start at once.
ONE_AT_A_TIME = ConcurrencyLimitConfig(
    limit=1, collision_strategy=ConcurrencyLimitStrategy.CANCEL_NEW
)


def main() -> None:
    """Serve until stopped; schedules go on when it is started again."""
    serve(
        run_campaign.to_deployment(
            "campaign",
            description="Open a campaign and move it until it waits.",
            tags=["labwm"],
        ),
        advance_all.to_deployment(
            "advance",
            description="Move every open campaign; results and approvals are taken in.",
            tags=["labwm"],
            interval=timedelta(minutes=2),
            concurrency_limit=ONE_AT_A_TIME,
        ),
        limit=4,
        pause_on_shutdown=False,
    )


if __name__ == "__main__":
    main()
