"""Back-test a policy on a known table, its campaigns spread over a task runner."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from prefect import flow, get_run_logger, task
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.states import Completed

from flows.task_runners import run_all, task_runner
from labwm.schema.flow_forms import BacktestForm

if TYPE_CHECKING:
    from labwm.evaluation.backtest import Plan, Trace
    from labwm.evaluation.lookup import Lookup
    from labwm.evaluation.table import BenchTable

PER_TASK = 4
"""Campaigns of one task: few enough to spread, many enough to pay for it."""


@task(name="campaigns", cache_policy=NO_CACHE, retries=0)
def run_campaigns(
    lookup: "Lookup", plan: "Plan", wanted: Sequence[tuple[str, int]]
) -> "list[tuple[str, int, Trace]]":
    """Run some campaigns on a table, one after the other."""
    from threadpoolctl import threadpool_limits

    from labwm.evaluation.backtest import backtest

    # One core each: the workers share the machine already.
    with threadpool_limits(1):
        return [
            (policy, seed, backtest(lookup, plan, policy=policy, seed=seed))
            for policy, seed in wanted
        ]


@flow(name="backtest", flow_run_name="{form.data}-{form.policy}")
def backtest_policy(form: BacktestForm) -> State:
    """Compare a policy with random choices on a table that is known in full.

    Args:
        form: What to compare, and what runs it.
    """
    from labwm.api.commands.bench import material
    from labwm.evaluation.backtest import Plan
    from labwm.evaluation.optimize import OptimizeSettings, bench_optimize

    runner = task_runner(form.runner, workers=form.workers, address=form.address)
    rules, measurements = material(form.data, form.protocol)
    plan = Plan(form.batch_size or rules.lab.batch_size, form.budget)
    policies = tuple(dict.fromkeys((form.policy, "random")))

    def spread(
        lookup: "Lookup", plan: "Plan", wanted: Sequence[tuple[str, int]]
    ) -> "Iterator[tuple[str, int, Trace]]":
        parts = [wanted[i : i + PER_TASK] for i in range(0, len(wanted), PER_TASK)]
        jobs = [{"lookup": lookup, "plan": plan, "wanted": part} for part in parts]
        for done in run_all(run_campaigns, runner, jobs, at_once=3 * form.workers):
            yield from done

    found = bench_optimize(
        rules,
        measurements,
        OptimizeSettings(plan, policies, form.seeds, spread=spread),
        data=form.data,
    )
    _show(found)
    get_run_logger().info("data sha256 %s", found.data_sha256)
    return Completed(name="Done", message=f"{form.seeds} campaigns of {policies}")


def _show(found: "BenchTable") -> None:
    rows = [row for row in found.rows if row.mean is not None]
    create_table_artifact(
        key="backtest",
        table=[
            {
                "name": row.name,
                "metric": row.metric,
                "at": row.at,
                "mean": row.mean,
                "low": row.low,
                "high": row.high,
                "n": row.n,
            }
            for row in rows
        ],
        description=f"{found.data}, {found.seeds} campaigns of each policy",
    )
    lines = [
        f"| {row.name} | {row.at} | {row.mean:.4g} | {row.low:.4g} to {row.high:.4g} |"
        for row in rows
        if row.metric in {"best", "hypervolume"}
        and row.low is not None
        and row.high is not None
    ]
    head = ["| policy | after | mean | 95 % interval |", "|---|---|---|---|"]
    create_markdown_artifact(
        key="backtest-summary",
        markdown="\n".join([f"# Back-test on {found.data}", "", *head, *lines]) + "\n",
        description=f"data sha256 {found.data_sha256[:12]}",
    )
