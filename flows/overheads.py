"""`make bench-flow`: what a round costs beyond its modelling, and what a tick costs.

A round: one campaign flow on the `replay` lab, rounds of 8, on a real Prefect server:
task, ledger, lab, artifacts with their plots. A tick: from asking Prefect for a run of
`advance`, with nothing to move, until it says Completed: mostly a process that starts.
"""

import contextlib
import itertools
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Final

from flows.demo import prepare_environment
from labwm import campaign
from labwm.api.children import Child, Service
from labwm.campaign import modelling
from labwm.errors import UnavailableError
from labwm.schema import CampaignSpec

BATCH, ROUNDS, TICKS = 8, 8, 5
START_SECONDS: Final = 60.0
LEVELS: Final = ((500, 1000, 1500, 2000, 2500), (0.2, 0.4, 0.6, 0.8, 1.0, 1.4, 1.8))
PROTOCOL: Final = """\
name: kettle
version: 1
title: Time to boil
parameters:
  - {name: power, kind: discrete, unit: W, levels: [500, 1000, 1500, 2000, 2500]}
  - {name: volume, kind: continuous, unit: L, bounds: [0.2, 2.0]}
  - {name: lid, kind: categorical, levels: [open, closed]}
readouts:
  - {name: seconds, unit: s, column: time, bounds: [0, 5000]}
objectives:
  - {readout: seconds, goal: minimise}
lab: {adapter: replay, batch_size: 8}
"""


def main() -> None:
    """Measure both in a home that is thrown away, and print them."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["LABWM_HOME"] = str(Path(folder) / "home")
        os.environ.pop("PREFECT_API_URL", None)
        prepare_environment()
        from flows.own_server import own_server

        with own_server():
            rounds = measure_rounds(write_material(Path(folder)))
            ticks = measure_ticks()
    say("seconds of a round of 8 on the replay lab, in one running campaign flow")
    say("| round | in all | modelling | beyond |")
    say("|---|---|---|---|")
    for number, (whole, modelled) in enumerate(rounds, start=1):
        say(f"| {number} | {whole:.2f} | {modelled:.2f} | {whole - modelled:.2f} |")
    beyond = [whole - modelled for whole, modelled in rounds]
    say(
        f"beyond the modelling: median {statistics.median(beyond):.2f} s, largest "
        f"{max(beyond):.2f} s; the first round, which loads the libraries, is left out"
    )
    say(
        f"latency of a tick, from asking for a run to Completed: median "
        f"{statistics.median(ticks):.1f} s, largest {max(ticks):.1f} s of {len(ticks)}"
    )


def say(line: str) -> None:
    """Print a line."""
    sys.stdout.write(line + "\n")


def write_material(folder: Path) -> CampaignSpec:
    """Write a protocol and a table of 70 experiments, and return a campaign on them."""
    (folder / "kettle.yaml").write_text(PROTOCOL)
    lines = ["power,volume,lid,time"]
    for power in LEVELS[0]:
        for volume in LEVELS[1]:
            for lid, share in (("open", 0.8), ("closed", 0.9)):
                seconds = 4180 * 80 * volume / (power * share)
                lines.append(f"{power},{volume},{lid},{seconds:.1f}")
    (folder / "kettle.csv").write_text("\n".join(lines) + "\n")
    return CampaignSpec(
        name="overheads",
        protocol=str(folder / "kettle.yaml"),
        data=str(folder / "kettle.csv"),
        budget=BATCH * ROUNDS,
        batch_size=BATCH,
    )


def measure_rounds(spec: CampaignSpec) -> list[tuple[float, float]]:
    """Return seconds in all and seconds of modelling of every round but the first."""
    from flows.campaign import run_campaign

    with (
        noting_calls(campaign, "advance") as rounds,
        noting_calls(modelling, "plan") as plans,
    ):
        run_campaign(spec)
    # The last call of `advance` finds the budget spent: it begins where a round ends.
    begun = [begin for begin, _ in rounds]
    return [
        (end - begin, sum(done - at for at, done in plans if begin <= at < end))
        for begin, end in itertools.pairwise(begun[1:])
    ]


@contextlib.contextmanager
def noting_calls(place: ModuleType, name: str) -> Iterator[list[tuple[float, float]]]:
    """Yield when each call of a function began and ended, in seconds."""
    noted: list[tuple[float, float]] = []
    function: Callable[..., object] = vars(place)[name]

    def timed(*args: object, **named: object) -> object:
        begin = time.perf_counter()
        try:
            return function(*args, **named)
        finally:
            noted.append((begin, time.perf_counter()))

    setattr(place, name, timed)
    try:
        yield noted
    finally:
        setattr(place, name, function)


def measure_ticks() -> Sequence[float]:
    """Return the latency of some runs of `advance` with nothing to move."""
    from prefect.deployments import run_deployment

    runner = Child.start(
        Service(
            name="bench-deployments",
            title="Deployments",
            command=(sys.executable, "-m", "flows.serve"),
            environment=dict(os.environ),
            address="",
            answers=lambda _: True,
        )
    )
    try:
        wait_for_deployments(runner)
        ticks: list[float] = []
        for _ in range(TICKS):
            begin = time.perf_counter()
            run_deployment("advance/advance", timeout=120, poll_interval=0.1)
            ticks.append(time.perf_counter() - begin)
        return ticks
    finally:
        runner.stop()


def wait_for_deployments(runner: Child) -> None:
    """Wait until the runner has announced what it serves.

    Raises:
        UnavailableError: If it ended or took too long.
    """
    from prefect.client.orchestration import get_client
    from prefect.exceptions import ObjectNotFound

    deadline = time.monotonic() + START_SECONDS
    with get_client(sync_client=True) as client:
        while not runner.is_dead and time.monotonic() < deadline:
            with contextlib.suppress(ObjectNotFound):
                client.read_deployment_by_name("advance/advance")
                return
            time.sleep(0.2)
    raise UnavailableError(
        "A tick needs a process that runs flows; it did not start. The end of "
        f"{runner.log}:\n{runner.tail()}"
    )


if __name__ == "__main__":
    main()
