"""`labwm bench offpolicy`: value a policy from a log that another one wrote."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from labwm.design.candidates import changed_freely
from labwm.errors import InvalidInputError, NotEnoughDataError
from labwm.evaluation.fidelity.arena import of_one_readout, require_size
from labwm.evaluation.fidelity.biased_log import log_of
from labwm.evaluation.lookup import Lookup, lookup_from
from labwm.evaluation.offpolicy.behaviour_log import BehaviourLog
from labwm.evaluation.offpolicy.estimators import ESTIMATORS, Knowledge, Policy
from labwm.evaluation.offpolicy.judged import Judged, rows_of
from labwm.evaluation.runs import Progress
from labwm.evaluation.table import BenchTable, versions
from labwm.schema import Measurement, Protocol
from labwm.world_model import fit

COMMAND: Final = "labwm bench offpolicy"
LEAST_SHARE: Final = 3
"""A policy is judged if it chose at least so many times what is measured of it."""


@dataclass(frozen=True)
class OffPolicySettings:
    """What is judged from what.

    Attributes:
        recipe: Of the world model.
        n_log: Distinct rows that are learnt from.
        n_measured: Experiments of a judged policy that are measured.
        block: Experiments of a campaign that count as one policy: the first so many,
            the next, and so on. Campaigns learn, so these differ.
        seeds: Logs drawn of each behaviour, and parts measured.
    """

    recipe: str = "default"
    n_log: int = 100
    n_measured: int = 20
    block: int = 10
    seeds: int = 10

    def __post_init__(self) -> None:
        if min(self.n_log - 9, self.n_measured - 3, self.block, self.seeds) < 1:
            raise InvalidInputError(
                "Judging policies needs a log of 10 rows, 4 measured experiments, a "
                f"block and a seed; got n_log={self.n_log}, "
                f"n_measured={self.n_measured}, block={self.block}, "
                f"seeds={self.seeds}. Raise what is too small."
            )


@dataclass(frozen=True)
class OffPolicyResult:
    """What was found.

    Attributes:
        table: The long table.
        judged: Every estimate.
        unit: Of the values.
        notes: What was left out.
    """

    table: BenchTable
    judged: tuple[Judged, ...]
    unit: str | None
    notes: tuple[str, ...]


def table_of(protocol: Protocol, measurements: Sequence[Measurement]) -> Lookup:
    """Return the table that policies are judged on, of the objective's readout.

    Raises:
        InvalidInputError: If it is too large, or has not one scalar objective.
        NotEnoughDataError: If it is too small.
    """
    lookup = of_one_readout(lookup_from(changed_freely(protocol), measurements))
    require_size(len(lookup), 0)
    return lookup


def judge_policies(
    lookup: Lookup,
    logs: Sequence[BehaviourLog],
    settings: OffPolicySettings,
    *,
    data: str = "",
    progress: Progress | None = None,
) -> OffPolicyResult:
    """Learn from each behaviour and value what the others chose.

    Behaviours whose choice depends on outcomes are learnt from and not judged.

    Args:
        lookup: The table that answers; see `table_of`.
        logs: Behaviours on it, at least two.
        settings: Sizes and seeds.
        data: Name of the table, for the result.
        progress: Told after each log.

    Raises:
        InvalidInputError: If two logs have one name, or there is no pair to judge.
        NotEnoughDataError: If no policy chose enough, or a log is too short.
    """
    names = [log.name for log in logs]
    if len(set(names)) < len(names):
        raise InvalidInputError(
            f"Each behaviour has a name of its own; got {names}. Rename one."
        )
    known = [_with_outcomes(log, lookup) for log in logs]
    targets = {
        log.name: list(_policies(log, settings)) for log in known if _is_judged(log)
    }
    pairs = [
        log
        for log in known
        if any(targets[name] for name in targets if name != log.name)
    ]
    if not pairs:
        raise NotEnoughDataError(
            "A policy is judged from another's log, and where it chose at least "
            f"{LEAST_SHARE * settings.n_measured} experiments in a block; none of "
            f"{names} is. Give more logs, or measure less with --measured."
        )
    judged: list[Judged] = []
    for i, log in enumerate(pairs):
        for seed in range(settings.seeds):
            learnt = _learn(lookup, log, settings, seed)
            for name, policies in targets.items():
                if name != log.name:
                    judged += _judge(learnt, log.name, policies, settings, seed)
            if progress:
                progress(log.name, i * settings.seeds + seed + 1,
                         len(pairs) * settings.seeds)  # fmt: skip
    table = BenchTable(
        command=COMMAND,
        data=data,
        data_sha256=lookup.sha256,
        seeds=settings.seeds,
        settings={
            "recipe": settings.recipe,
            "n_log": settings.n_log,
            "n_measured": settings.n_measured,
            "block": settings.block,
            "behaviours": ", ".join(names),
            "n_policies": sum(map(len, targets.values())),
        },
        versions=versions(),
        rows=tuple(rows_of(judged, tuple(ESTIMATORS))),
    )
    unit = lookup.protocol.readouts[0].unit
    return OffPolicyResult(table, tuple(judged), unit, tuple(_notes(known)))


@dataclass(frozen=True)
class _Target:
    """One policy to judge: what a behaviour chose in one stretch of its campaigns."""

    name: str
    rows: NDArray[np.int64]


def _with_outcomes(log: BehaviourLog, lookup: Lookup) -> BehaviourLog:
    """Leave out experiments that failed: they have no value to judge by."""
    has_value = ~np.isnan(lookup.truth[log.row, 0])
    return replace(
        log,
        campaign=log.campaign[has_value],
        order=log.order[has_value],
        row=log.row[has_value],
        n_unknown=log.n_unknown + int(np.sum(~has_value)),
    )


def _is_judged(log: BehaviourLog) -> bool:
    return not log.sees_outcomes


def _policies(log: BehaviourLog, settings: OffPolicySettings) -> Iterator[_Target]:
    if not len(log):
        return
    stretch = log.order // settings.block
    for i in np.unique(stretch):
        rows = log.row[stretch == i]
        if len(rows) >= LEAST_SHARE * settings.n_measured:
            first = int(i) * settings.block + 1
            last = first + settings.block - 1
            yield _Target(f"{log.name} {first}-{last}", rows)


def _learn(
    lookup: Lookup, log: BehaviourLog, settings: OffPolicySettings, seed: int
) -> Knowledge:
    rows = log.some(settings.n_log, seed=seed)
    observations = log_of(lookup, rows, seed=seed)
    model = fit(
        observations,
        lookup.protocol,
        recipe=settings.recipe,
        pool=lookup.pool,
        seed=seed,
    )
    return Knowledge(lookup, model, rows, log.sees_outcomes, model.support(lookup.pool))


def _judge(
    known: Knowledge,
    source: str,
    targets: Sequence[_Target],
    settings: OffPolicySettings,
    seed: int,
) -> Iterator[Judged]:
    for number, target in enumerate(targets):
        rng = np.random.default_rng([seed, 31, number])
        measured = rng.permutation(len(target.rows))[: settings.n_measured]
        truth = known.lookup.truth[target.rows, 0]
        policy = Policy(target.rows, measured, truth[measured])
        plain = ESTIMATORS["real_only"](known, policy).width
        for name, estimate in ESTIMATORS.items():
            said = estimate(known, policy)
            yield Judged(
                source=source,
                seed=seed,
                target=target.name,
                estimator=name,
                estimate=said,
                truth=float(truth.mean()),
                support=float(known.support[target.rows].mean()),
                width_ratio=said.width / plain if plain > 0 else np.nan,
            )


def _notes(logs: Sequence[BehaviourLog]) -> Iterator[str]:
    for log in logs:
        if log.n_unknown:
            total = len(log) + log.n_unknown
            yield (
                f"{log.name}: {log.n_unknown} of {total} experiments are no certain "
                "row of the table, or gave no value, and are left out."
            )
