"""`make demo`: a campaign on a real quantum-chemical lab, through Prefect."""

import os
import sys
import threading
import time
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from labwm import settings
from labwm.errors import LabwmError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

    from labwm.schema import CampaignSpec

ROUNDS, BATCH = 8, 8
_QUIET = {
    # What fails raises here too; at ERROR, Ctrl-C reads like a crash.
    "PREFECT_LOGGING_LEVEL": "CRITICAL",
    "PREFECT_LOGGING_SERVER_LEVEL": "ERROR",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    # A slow machine's first start takes longer than Prefect's 20 s.
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "180",
    "PREFECT_CLOUD_ENABLE_ORCHESTRATION_TELEMETRY": "false",
    "DO_NOT_TRACK": "1",
    "OMP_NUM_THREADS": "1",
}


def main() -> None:
    """Run the demo campaign, draw its report, and say what to type next."""
    prepare_environment()
    from rich.console import Console

    console = Console()
    started = time.monotonic()
    spec = next_spec()
    console.print(
        f"[bold]{spec.name}[/bold]: {ROUNDS} rounds of {BATCH} molecules on the xtb "
        "lab. Every measurement is a GFN2-xTB calculation done now. Two objectives: a "
        "target HOMO-LUMO gap, and little lipophilicity. Starting Prefect's server "
        "(about 20 s the first time) …"
    )
    with prefect_for(console):
        run(spec, console)
    finish(spec.name, console, seconds=time.monotonic() - started)


def prepare_environment() -> None:
    """Set what must be set before Prefect is imported; a user's own settings win."""
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    os.environ.setdefault("PREFECT_HOME", str(settings.home() / "prefect"))


def prefect_for(console: "Console") -> AbstractContextManager[object]:
    """Return the server to run on: the user's, if one is named, else one's own."""
    if url := os.environ.get("PREFECT_API_URL"):
        console.print(f"Prefect's server is {url}, as PREFECT_API_URL says.")
        return nullcontext()
    from flows.own_server import own_server

    return own_server()


def next_spec() -> "CampaignSpec":
    """Return the demo that was interrupted, or the next one: each has its own seed."""
    from labwm import campaign
    from labwm.schema import CampaignSpec, CampaignState

    done = {row.campaign_id: row.state for row in campaign.list_campaigns()}
    number = 1
    while done.get(f"demo-{number}") not in (None, CampaignState.OPEN):
        number += 1
    return CampaignSpec(
        name=f"demo-{number}",
        protocol="xtb_dyes",
        lab="xtb",
        budget=ROUNDS * BATCH,
        batch_size=BATCH,
        seed=number,
    )


def run(spec: "CampaignSpec", console: "Console") -> None:
    """Run the flow, and meanwhile show what the ledger holds."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    from flows.campaign import run_campaign

    progress = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[best]}"),
        console=console,
    )
    over = threading.Event()
    with progress:
        watcher = threading.Thread(target=watch, args=(spec, progress, over))
        watcher.start()
        try:
            run_campaign(spec)
        finally:
            over.set()
            watcher.join()


def watch(spec: "CampaignSpec", progress: "Progress", over: threading.Event) -> None:
    """Follow the campaign in the ledger, as anybody could, until it is over."""
    from labwm import campaign
    from labwm.errors import NotFoundError

    bar = progress.add_task("opening", total=spec.budget, best="")
    shown, is_last = 0, False
    while not is_last:
        is_last = over.wait(1.0)
        try:
            now = campaign.status(spec.name)
        except NotFoundError:
            continue
        row = now.summary
        best = ", ".join(f"{b.readout} {b.value:.2f} {b.unit or ''}" for b in now.best)
        told = f"round {row.round}, {row.n_failed} failed"
        if not progress.console.is_terminal and row.n_measured > shown:
            # A pipe or a log has no bar that moves.
            progress.console.print(f"{told}, {row.n_measured} of {row.budget}: {best}")
        shown = row.n_measured
        progress.update(
            bar,
            completed=row.n_measured,
            description=told,
            best=f"best: {best}" if best else "",
        )


def finish(campaign_id: str, console: "Console", *, seconds: float) -> None:
    """Draw the report and say what came out and what to do next."""
    from labwm import campaign

    folder = Path("demo_report") / campaign_id
    made = campaign.report(campaign_id, folder)
    for line in made.headline:
        console.print(line, soft_wrap=True)
    console.print(
        f"\nReport: [bold]{made.page}[/bold]  ({seconds:.0f} s in all)\n",
        soft_wrap=True,
    )
    console.print("What to type next:", style="bold")
    for command, why in (
        (f"xdg-open {made.page}", "look at the report"),
        (f".venv/bin/labwm campaign status {campaign_id}", "how the campaign stands"),
        ("make up", "Prefect's UI, the pages and the API on this machine"),
        ("make demo", "another campaign, with another seed"),
        (".venv/bin/labwm protocol init MY.csv --target COLUMN", "your own table"),
    ):
        console.print(f"  {command}\n      [dim]{why}[/dim]", soft_wrap=True)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.stderr.write("\nStopped; nothing is lost. `make demo` goes on from here.\n")
        sys.exit(130)
    except LabwmError as error:
        sys.stderr.write(f"error[{error.code}]: {error}\n")
        sys.exit(error.exit_status)
