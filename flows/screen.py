"""Screen a pool of molecules, its blocks spread over a task runner."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from prefect import flow, task
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.states import Completed

from flows.task_runners import run_all, task_runner
from labwm.campaign.pool_screening import ScreenPart, screen_pool, work_part
from labwm.schema.flow_forms import ScreenForm
from labwm.schema.screening import ScreenAnswer, ScreenRequest

if TYPE_CHECKING:
    from labwm.design.screen import BlockResult

MOST_LISTED = 500
"""Molecules of the table artifact; the files of the blocks hold every row."""


# A block leaves its file: what was done is not done again, whoever asks.
@task(name="block", cache_policy=NO_CACHE, retries=0)
def screen_block(part: ScreenPart) -> "BlockResult":
    """Screen one block of the pool."""
    return work_part(part)


@flow(name="screen", flow_run_name="{form.campaign}")
def screen(form: ScreenForm) -> State:
    """Screen a pool with what a campaign has taught; a run that was cut off goes on.

    Args:
        form: The pool, the rules, and what runs it.
    """
    runner = task_runner(form.runner, workers=form.workers, address=form.address)

    def spread(parts: Iterator[ScreenPart]) -> "Iterator[BlockResult]":
        jobs: Iterator[dict[str, Any]] = ({"part": part} for part in parts)
        return run_all(screen_block, runner, jobs, at_once=2 * form.workers)

    request = ScreenRequest(
        pool=form.pool,
        column=form.column,
        campaign_id=form.campaign,
        n=form.n,
        alerts=form.alerts,
        min_support=form.min_support,
    )
    found = screen_pool(request, spread=spread)
    _show(form, found)
    return Completed(
        name="Done", message=f"{len(found.listed)} of {found.n_read} molecules listed"
    )


def _show(form: ScreenForm, found: ScreenAnswer) -> None:
    create_table_artifact(
        key=f"screen-{form.campaign}",
        table=[one.model_dump(mode="json") for one in found.listed[:MOST_LISTED]],
        description=f"Short-list of {form.pool}, the best first",
    )
    rows = [f"| {code} | {n} |" for code, n in found.counts.items()]
    exact = "The list is exact." if found.is_exact else "The list may miss a molecule."
    lines = [
        f"# Screen for {form.campaign}",
        "",
        f"{found.n_read} rows; {exact} Pool sha256 `{found.pool_sha256[:12]}`. "
        "The code of each row is kept in the cache.",
        "",
        "| what became of the rows | n |",
        "|---|---|",
        *rows,
    ]
    create_markdown_artifact(
        key=f"screen-{form.campaign}-counts",
        markdown="\n".join(lines) + "\n",
        description="What became of every row of the pool",
    )
