"""Figures of practice: what each arm needs, what practice gains, when it harms.

Shapes: `s` seeds, `r` resamples.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Final

import numpy as np

from labwm.evaluation.bootstrap import N_RESAMPLES
from labwm.evaluation.paired import interval
from labwm.evaluation.pool_policies import CANDIDATES, Floats
from labwm.evaluation.practise import ARMS, COMMAND, Practised, PractiseSettings
from labwm.evaluation.table import BenchTable, Row, row_of, summarise, versions

METRIC: Final = "experiments_to_top1pct"
RATIOS: Final = (
    ("practised", "scratch", "practised"),
    ("practised_free_training", "scratch_after", "practised"),
    ("picked", "mean_candidate", "picked"),
    ("picked_of_sensible", "mean_sensible", "picked"),
    ("default / practised", "default", "practised"),
    ("default / picked", "default", "picked"),
)
"""Name of an acceleration, the arm that it is over, and the arm that it is of."""
ALL: Final = "all tables"


def practise_table_of(
    found: Mapping[str, Practised], settings: PractiseSettings
) -> BenchTable:
    """Return the long table of practice on one or several tables."""
    rows: list[Row] = []
    for data, one in found.items():
        label = data if len(found) > 1 else None
        rows += [replace(row, data=label) for row in _rows(one)]
    if len(found) > 1:
        rows += [replace(row, data=ALL) for row in _rows_of_all(found)]
    practice = settings.practice
    digests = [one.sha256 for one in found.values()]
    return BenchTable(
        command=COMMAND,
        data=", ".join(found),
        data_sha256=digests[0] if len(digests) == 1 else ", ".join(digests),
        seeds=settings.seeds,
        settings={
            "recipe": settings.recipe,
            "logs": ", ".join(str(n) for n in settings.logs),
            "budget": settings.budget,
            "worlds": practice.worlds,
            "episodes": practice.episodes,
            "iterations": practice.iterations,
            "horizon": practice.horizon,
            "refit": settings.refit,
        },
        versions=versions(),
        rows=tuple(rows),
    )


def _rows(found: Practised) -> Iterator[Row]:
    for n_log, outcomes in found.outcomes.items():
        needed = found.needed(n_log)
        for name, counts in needed.items():
            yield summarise(name, METRIC, n_log, counts)
            missed = (counts > found.most(n_log)).astype(float)
            if name in ARMS:
                yield summarise(name, "not_found", n_log, missed)
        yield from _accelerations({"": needed}, n_log)
        yield from _harms({"": needed}, n_log)
        yield summarise(
            "practised", "training_seconds", n_log, [o.seconds for o in outcomes]
        )
        for name in CANDIDATES:
            share = [float(o.picked == name) for o in outcomes]
            yield summarise(f"candidate:{name}", "picked_share", n_log, share)


def _rows_of_all(found: Mapping[str, Practised]) -> Iterator[Row]:
    logs = next(iter(found.values())).outcomes
    for n_log in logs:
        needed = {data: one.needed(n_log) for data, one in found.items()}
        yield from _accelerations(needed, n_log)
        yield from _harms(needed, n_log)


def _accelerations(
    needed: Mapping[str, Mapping[str, Floats]], n_log: int
) -> Iterator[Row]:
    """Yield ratios of mean experiments; over tables their geometric mean.

    Resamples draw the seeds of each table apart and the same for both arms; over
    tables they draw the tables too, so that the interval is for other tables like
    these.
    """
    for name, over, of in RATIOS:
        pairs = [(arms[over], arms[of]) for arms in needed.values()]
        mean = _geometric([float(a.mean() / b.mean()) for a, b in pairs])
        n = min(len(a) for a, _ in pairs)
        yield row_of(
            name,
            "acceleration",
            n_log,
            mean,
            interval(_drawn(pairs), n),
            n * len(pairs),
        )


def _drawn(pairs: list[tuple[Floats, Floats]]) -> Floats:
    rng = np.random.default_rng(0)
    ratios = []
    for over, of in pairs:
        rows = rng.integers(len(over), size=(N_RESAMPLES, len(over)))
        ratios.append(over[rows].mean(axis=1) / of[rows].mean(axis=1))
    logs = np.log(np.stack(ratios, axis=1))
    if len(pairs) == 1:
        return np.exp(logs[:, 0])
    tables = rng.integers(len(pairs), size=(N_RESAMPLES, len(pairs)))
    return np.exp(np.take_along_axis(logs, tables, axis=1).mean(axis=1))


def _geometric(ratios: list[float]) -> float:
    return float(np.exp(np.mean(np.log(ratios))))


def _harms(needed: Mapping[str, Mapping[str, Floats]], n_log: int) -> Iterator[Row]:
    """Yield how often practice needed more than doing without it."""
    for name, over, of in RATIOS[:3]:
        harmed = np.concatenate(
            [(arms[of] > arms[over]).astype(float) for arms in needed.values()]
        )
        yield summarise(name, "negative_transfer_rate", n_log, harmed)
