"""Is what campaigns state about stopping true? Held against tables that know the rest.

Shapes: `N` rows of a table.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from labwm.design.candidates import candidates_of
from labwm.design.propose import propose
from labwm.design.start import Ready
from labwm.design.stopping import outlook
from labwm.errors import InvalidInputError
from labwm.evaluation.backtest import Plan, state_of
from labwm.evaluation.lookup import Lookup, lookup_from
from labwm.evaluation.runs import Progress
from labwm.evaluation.table import BenchTable, Row, row_of, summarise, versions
from labwm.schema import Measurement, Protocol
from labwm.schema.record import sha256_of
from labwm.scores import share_interval

COMMAND = "labwm bench stopping"
BINS = (0.0, 0.05, 0.2, 0.5, 0.8, 1.0)
STOP = 0.05
"""Stated probability of a gain at which somebody would stop."""


@dataclass(frozen=True)
class StoppingSettings:
    """What campaigns are run.

    Attributes:
        plan: Batch, budget and first experiments.
        seeds: Campaigns on each table.
    """

    plan: Plan
    seeds: int = 10

    def __post_init__(self) -> None:
        if self.seeds < 1:
            raise InvalidInputError(
                f"A bench needs at least one seed; got seeds={self.seeds}. Ask for 1 "
                "or more."
            )


@dataclass(frozen=True)
class Stated:
    """What one round stated, and what was so.

    Attributes:
        n: Experiments measured before it.
        probability: Stated, of a gain worth speaking of.
        has_gain: Was there one among what was left?
        regret: What the best measured lacks to the table's best, as a share of the
            table's range.
    """

    n: int
    probability: float
    has_gain: bool
    regret: float


def bench_stopping(
    tables: Sequence[tuple[str, Protocol, Sequence[Measurement]]],
    settings: StoppingSettings,
    *,
    progress: Progress | None = None,
) -> BenchTable:
    """Run campaigns of the default policy and score what each round stated.

    The truth is the table's own: the mean of the replicates of each row, measured or
    left. Campaigns count as stopped at the first round that states at most `STOP`.

    Args:
        tables: Names, protocols of one objective, and measurements.
        settings: Batch, budget and seeds.
        progress: Told after each campaign.

    Raises:
        InvalidInputError: If a protocol has several objectives.
        NotEnoughDataError: If a table is too small.
    """
    for name, protocol, _ in tables:
        if len(protocol.objectives) != 1:
            raise InvalidInputError(
                "What is left to gain is held against one objective; "
                f"{name!r} has {len(protocol.objectives)}. Leave it out."
            )
    lookups = [lookup_from(protocol, rows) for _, protocol, rows in tables]
    campaigns: list[list[Stated]] = []
    n_all = len(lookups) * settings.seeds
    plans = [settings.plan.within(len(lookup)) for lookup in lookups]
    for (name, _, _), lookup, plan in zip(tables, lookups, plans, strict=True):
        for seed in range(settings.seeds):
            campaigns.append(stated_by(lookup, plan, seed=seed))
            if progress:
                progress(f"{name}, seed {seed}", len(campaigns), n_all)
    return BenchTable(
        command=COMMAND,
        data=", ".join(name for name, _, _ in tables),
        data_sha256=sha256_of(sorted(lookup.sha256 for lookup in lookups)),
        seeds=settings.seeds,
        settings={
            "batch": settings.plan.batch,
            "budget": settings.plan.budget,
            "n_campaigns": len(campaigns),
        },
        versions=versions(),
        rows=tuple(_rows(campaigns, settings.plan.budget)),
    )


def stated_by(lookup: Lookup, plan: Plan, *, seed: int) -> list[Stated]:
    """Run one campaign and return what each round with a model stated."""
    truth = lookup.utilities[:, 0]
    truth = np.where(np.isnan(truth), np.nanmin(truth), truth)
    span = max(float(np.ptp(truth)), 1e-300)
    rows: list[int] = []
    measured: list[int] = []
    found: list[Stated] = []
    number = 0
    while len(rows) < plan.budget:
        state = state_of(lookup, plan, measured, number=number, seed=seed)
        batch = propose(state, n=min(plan.batch, plan.budget - len(rows)))
        chosen = [choice.row for choice in batch.choices]
        if batch.model is not None:
            candidates = candidates_of(state)
            ready = Ready(candidates, batch.model, len(candidates.rows))
            said = outlook(state, ready, state.pool.take(chosen), n_batch=plan.batch)
            if said is not None:
                best, left = truth[rows].max(), np.delete(truth, rows).max()
                found.append(
                    Stated(
                        len(rows),
                        said.probability,
                        bool(left - best > said.least_gain),
                        float(max(left - best, 0.0) / span),
                    )
                )
        rows += chosen
        measured += [lookup.measure(row, seed=seed) for row in chosen]
        number += 1
    return found


def _rows(campaigns: Sequence[Sequence[Stated]], budget: int) -> Iterator[Row]:
    everything = [one for campaign in campaigns for one in campaign]
    for low, high in pairwise(BINS):
        own = [
            one
            for one in everything
            if low < one.probability <= high or (low == 0.0 == one.probability)
        ]
        if not own:
            continue
        at = f"{low:.0%} to {high:.0%}"
        mean_stated = float(np.mean([one.probability for one in own]))
        yield row_of("rounds", "stated", at, mean_stated, (np.nan, np.nan), len(own))
        yield _share("rounds", "realised", at, [one.has_gain for one in own])
    stops = [
        next((one for one in campaign if one.probability <= STOP), None)
        for campaign in campaigns
    ]
    stopped = [one for one in stops if one is not None]
    yield _share("campaigns", "stopped", None, [one is not None for one in stops])
    if stopped:
        yield _share("campaigns", "realised", None, [one.has_gain for one in stopped])
        saved = [budget - one.n for one in stopped]
        yield summarise("campaigns", "experiments_saved", None, saved)
        regret = [one.regret for one in stopped]
        yield summarise("campaigns", "regret_at_stop", None, regret)


def _share(name: str, metric: str, at: str | None, hits: Sequence[bool]) -> Row:
    interval = share_interval(sum(hits), len(hits))
    return row_of(name, metric, at, float(np.mean(hits)), interval, len(hits))
