"""`labwm bench fidelity`: does the virtual lab rank policies as the real one does?"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import numpy as np

from labwm.design.candidates import changed_freely
from labwm.errors import InvalidInputError, NotFoundError, suggest
from labwm.evaluation.fidelity.arena import (
    LogPlan,
    WorldPlan,
    of_one_readout,
    panel_of,
    require_size,
)
from labwm.evaluation.fidelity.biased_log import require_behaviour
from labwm.evaluation.fidelity.campaigns import RETURNS, SIDES, Match, play_match
from labwm.evaluation.fidelity.figures import (
    Figure,
    Returns,
    agreement,
    noise_floor,
    policies_apart,
)
from labwm.evaluation.fidelity.long_table import median_rows, rows_of
from labwm.evaluation.fidelity.panel import TRIVIAL, require_policies
from labwm.evaluation.lookup import Lookup, lookup_from
from labwm.evaluation.runs import Progress
from labwm.evaluation.table import BenchTable, Row, versions
from labwm.schema import Measurement, Protocol
from labwm.schema.fidelity import (
    FidelityFigure,
    FidelityReport,
    PolicyValue,
)
from labwm.schema.record import sha256_of

COMMAND: Final = "labwm bench fidelity"
LOG_SHARE: Final = 0.05
LEAST_LOG, MOST_LOG = 20, 200
LEAST_CORRELATION: Final = 0.9
MOST_LOSS: Final = 0.05
"""Of the real range; where the real lab's own noise is larger, `FLOORS` times that."""
FLOORS: Final = 1.5


@dataclass(frozen=True)
class FidelitySettings:
    """What is compared.

    Attributes:
        world: Which world model.
        behaviour: Who measured the log, one of `BEHAVIOURS`.
        n_log: Rows of a log; 5 % of the table within 20 and 200 when None.
        logs: Logs, each with a model of its own.
        policies: Of the panel; all that the protocol gives a meaning to when empty.
        seeds: Campaigns of each policy in each lab, for each log.
        budget: Experiments of a campaign.
        n_initial: The first of them, drawn at random.
        returned: What a policy is valued by: `area` or `best`.
        jobs: Processes.
        keep: Folder of kept campaigns.
    """

    world: WorldPlan = field(default_factory=WorldPlan)
    behaviour: str = "leaning"
    n_log: int | None = None
    logs: int = 3
    policies: tuple[str, ...] = ()
    seeds: int = 200
    budget: int = 40
    n_initial: int = 5
    returned: str = "area"
    jobs: int = 1
    keep: Path | None = None

    def __post_init__(self) -> None:
        require_behaviour(self.behaviour)
        require_policies(self.policies)
        if self.returned not in RETURNS:
            raise NotFoundError(
                f"A policy is valued by one of {list(RETURNS)}; got "
                f"{self.returned!r}. {suggest(self.returned, RETURNS)}"
            )
        least = min(self.logs, self.seeds, self.jobs, self.n_initial - 1)
        if least < 1 or self.budget <= self.n_initial:
            raise InvalidInputError(
                "A comparison needs a log, a seed, a job, two first experiments and a "
                f"budget beyond them; got logs={self.logs}, seeds={self.seeds}, "
                f"jobs={self.jobs}, n_initial={self.n_initial}, budget={self.budget}. "
                "Raise what is too small."
            )
        if self.policies and len(set(self.policies) - set(TRIVIAL)) < 2:
            raise InvalidInputError(
                "A ranking needs at least two policies that learn; got "
                f"{list(self.policies)}. Name more of the panel."
            )


@dataclass(frozen=True)
class TableFidelity:
    """What one table said.

    Attributes:
        report: The record to keep.
        returns: Every campaign's return.
        rows: Of the long table.
        unit: Of the returns.
    """

    report: FidelityReport
    returns: Returns
    rows: tuple[Row, ...]
    unit: str | None


def compare_labs(
    protocol: Protocol,
    measurements: Sequence[Measurement],
    settings: FidelitySettings,
    *,
    data: str = "",
    progress: Progress | None = None,
) -> TableFidelity:
    """Play the panel on a table and in the model of a biased log of it.

    Args:
        protocol: What an experiment is; one objective.
        measurements: The table.
        settings: Log, model, policies, seeds, budget.
        data: Name of the table, for the result.
        progress: Told after each block of campaigns.

    Raises:
        InvalidInputError: If the table is too large, or has not one scalar objective.
        NotEnoughDataError: If the table or a log is too small.
    """
    lookup = of_one_readout(lookup_from(changed_freely(protocol), measurements))
    n_log = _n_log(settings, lookup)
    require_size(len(lookup), n_log)
    policies = _policies(settings, lookup)
    budget = min(settings.budget, len(lookup))
    sides = {side: [] for side in SIDES}
    for log in range(settings.logs):
        match = Match(
            lookup,
            LogPlan(settings.behaviour, n_log, log),
            settings.world,
            policies,
            settings.seeds,
            budget,
            settings.n_initial,
            settings.jobs,
            settings.keep,
        )
        tell = None if progress is None else _of_log(data, log, settings, progress)
        curves = play_match(match, tell)
        value = RETURNS[settings.returned]
        for side in SIDES:
            sides[side].append(
                np.stack([value(curves[side][p]) for p in policies], axis=1)
            )
    returns = Returns(policies, np.stack(sides["virtual"]), np.stack(sides["real"]))
    report = _report(
        lookup, returns, replace(settings, n_log=n_log, budget=budget), data
    )
    rows = tuple(rows_of(returns, report))
    return TableFidelity(report, returns, rows, lookup.protocol.readouts[0].unit)


def bench_table(
    found: Sequence[TableFidelity], settings: FidelitySettings
) -> BenchTable:
    """Return the long table of one or several tables, with the median over them."""
    several = len(found) > 1
    rows: list[Row] = []
    for one in found:
        own = one.report.data if several else None
        rows += [replace(row, data=own) for row in one.rows]
    if several:
        rows += median_rows([one.rows for one in found])
    digests = sorted(one.report.data_sha256 for one in found)
    return BenchTable(
        command=COMMAND,
        data=", ".join(one.report.data for one in found),
        data_sha256=sha256_of(digests) if several else digests[0],
        seeds=settings.seeds,
        settings={
            "recipe": settings.world.recipe,
            "is_bounded": settings.world.is_bounded,
            "behaviour": settings.behaviour,
            "n_log": settings.n_log or "5 % of the table",
            "logs": settings.logs,
            "budget": settings.budget,
            "n_initial": settings.n_initial,
            "returned": settings.returned,
        },
        versions=versions(),
        rows=tuple(rows),
    )


def _policies(settings: FidelitySettings, lookup: Lookup) -> tuple[str, ...]:
    able = panel_of(lookup.protocol)
    for name in settings.policies:
        if name not in able:
            raise InvalidInputError(
                f"The policy {name!r} needs molecules among several parameters; the "
                f"protocol {lookup.protocol.name!r} has none. Leave it out."
            )
    return settings.policies or able


def _n_log(settings: FidelitySettings, lookup: Lookup) -> int:
    if settings.n_log is not None:
        return settings.n_log
    share = round(LOG_SHARE * len(lookup))
    return min(max(share, LEAST_LOG), MOST_LOG, len(lookup) // 2)


def _of_log(
    data: str, log: int, settings: FidelitySettings, progress: Progress
) -> Progress:
    def tell(what: str, n_done: int, n_all: int) -> None:
        progress(f"{data}, log {log}: {what}", log * n_all + n_done,
                 settings.logs * n_all)  # fmt: skip

    return tell


def _report(
    lookup: Lookup, returns: Returns, settings: FidelitySettings, data: str
) -> FidelityReport:
    floor = noise_floor(returns)
    figures = tuple(
        _figure(name, figure, floor.get(name, np.nan))
        for name, figure in agreement(returns).items()
    )
    n = returns.real.shape[0] * returns.real.shape[1]
    virtual, real = (side.reshape(n, -1) for side in (returns.virtual, returns.real))
    errors = [
        side.std(axis=0, ddof=1) / np.sqrt(n) if n > 1 else np.full(len(side.T), np.nan)
        for side in (virtual, real)
    ]
    return FidelityReport(
        recipe=settings.world.recipe,
        data=data,
        data_sha256=lookup.sha256,
        protocol_name=lookup.protocol.name,
        behaviour=settings.behaviour,
        n_log=settings.n_log or 1,
        n_logs=settings.logs,
        n_seeds=settings.seeds,
        budget=settings.budget,
        returned=settings.returned,
        is_bounded=settings.world.is_bounded,
        n_apart=policies_apart(returns),
        policies=tuple(
            PolicyValue(
                policy=name,
                virtual=float(virtual[:, i].mean()),
                virtual_error=_known(errors[0][i]),
                real=float(real[:, i].mean()),
                real_error=_known(errors[1][i]),
            )
            for i, name in enumerate(returns.policies)
        ),
        figures=figures,
    )


def _figure(name: str, figure: Figure, floor: float) -> FidelityFigure:
    aim = None
    if name == "pearson":
        aim = LEAST_CORRELATION
    elif name in ("mmrv", "regret_at_1"):
        aim = max(MOST_LOSS, 0.0 if np.isnan(floor) else FLOORS * floor)
    return FidelityFigure(
        metric=name,
        value=_known(figure.value),
        low=_known(figure.low),
        high=_known(figure.high),
        floor=_known(floor),
        aim=aim,
    )


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
