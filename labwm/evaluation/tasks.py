"""How much do many assays help with a new one? Few-shot scores on assays kept out."""

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np

from labwm.data.assays import Assay, digest
from labwm.errors import InvalidInputError, NotEnoughDataError
from labwm.evaluation.paired import difference_row
from labwm.evaluation.table import BenchTable, Row, summarise, versions
from labwm.evaluation.task_scores import (
    ARMS,
    PRIOR,
    SINGLE,
    few_shot_scores,
    stratified_support,
)
from labwm.world_model.tasks.items import ItemKind, Items, encode_items
from labwm.world_model.tasks.prior import Pool, TaskPrior

Progress = Callable[[str, int, int], None]

COMMAND: Final = "labwm bench tasks"
METRICS: Final = ("delta_auprc", "r2", "nlpd", "coverage90")
FEWEST_ASKED: Final = 16
"""Rows that are left to ask about."""
MOST_ASKED: Final = 4000
"""Rows asked about at once; of more, so many are drawn."""
Scores = dict[tuple[str, int, str], list[float]]
"""One value per assay, mean over its supports, keyed by arm, support and metric."""


@dataclass(frozen=True)
class TaskSettings:
    """What is compared.

    Attributes:
        supports: Rows of a new assay that are learnt from.
        seeds: Supports drawn of each assay and size.
    """

    supports: tuple[int, ...] = (16, 32, 64, 128)
    seeds: int = 5

    def __post_init__(self) -> None:
        if self.seeds < 1 or not self.supports or min(self.supports) < 4:
            raise InvalidInputError(
                "A comparison draws at least one support of at least 4 rows; got "
                f"seeds={self.seeds}, supports={self.supports}. Ask for more."
            )


def bench_tasks(
    prior: TaskPrior,
    assays: Sequence[Assay],
    settings: TaskSettings,
    *,
    data: str = "",
    progress: Progress | None = None,
) -> BenchTable:
    """Score the prior and a single-task process on the same supports of new assays.

    Intervals are over assays. Rows whose item cannot be read are left out and counted;
    assays without both labels, or too small for a support, are not asked about there.

    Raises:
        NotEnoughDataError: If no assay is large enough for any support.
    """
    readable = [_readable(assay, prior) for assay in assays]
    n_unreadable = sum(map(len, assays)) - sum(len(pool) for _, pool in readable)
    large = [pair for pair in readable if _fits(pair[0], min(settings.supports))]
    if not large:
        raise NotEnoughDataError(
            f"An assay that is asked about has {min(settings.supports) + FEWEST_ASKED} "
            f"readable rows of both labels; none of {len(assays)} has. Ask for smaller "
            "supports or give larger assays."
        )
    scores: Scores = {}
    for i, (assay, pool) in enumerate(large):
        _score(prior, assay, pool, settings, scores)
        if progress:
            progress("asking about assays", i + 1, len(large))
    return BenchTable(
        command=COMMAND,
        data=data,
        data_sha256=digest(assays),
        seeds=settings.seeds,
        settings={
            "n_assays": len(large),
            "n_assays_too_small": len(assays) - len(large),
            "n_unreadable": n_unreadable,
            "learnt_from_assays": prior.card.n_assays,
            "learnt_from_sha256": prior.card.data_sha256,
            "supports": ",".join(map(str, settings.supports)),
        },
        versions=versions(),
        rows=tuple(_rows(scores, settings.supports)),
    )


def _fits(assay: Assay, support: int) -> bool:
    labels = assay.is_active
    return bool(
        len(assay) >= support + FEWEST_ASKED and labels.any() and not labels.all()
    )


@lru_cache(maxsize=2)
def encoded(items: tuple[str, ...], kind: ItemKind) -> Items:
    """Encode items; assays of a wide table have the same ones."""
    return encode_items(items, kind)


def _readable(assay: Assay, prior: TaskPrior) -> tuple[Assay, Pool]:
    items = encoded(assay.items, prior.kind)
    rows = np.flatnonzero(items.is_readable)
    kept = assay if len(rows) == len(assay) else assay.take(rows)
    return kept, prior.pool_of(kept.items, items.take(rows))


def _score(
    prior: TaskPrior, assay: Assay, pool: Pool, settings: TaskSettings, scores: Scores
) -> None:
    key = zlib.crc32(assay.name.encode())
    for size in settings.supports:
        if not _fits(assay, size):
            continue
        found: dict[tuple[str, str], list[float]] = {}
        for seed in range(settings.seeds):
            rng = np.random.default_rng([key, size, seed])
            support, asked = stratified_support(assay.is_active, size, rng)
            if len(asked) > MOST_ASKED:
                asked = np.sort(rng.permutation(asked)[:MOST_ASKED])
            each = few_shot_scores(prior, assay, pool, support, asked)
            for arm in ARMS:
                for metric in METRICS:
                    value = each[arm].get(metric, np.nan)
                    found.setdefault((arm, metric), []).append(value)
        for (arm, metric), values in found.items():
            known = [value for value in values if not np.isnan(value)]
            mean = float(np.mean(known)) if known else np.nan
            scores.setdefault((arm, size, metric), []).append(mean)


def _rows(scores: Scores, supports: Sequence[int]) -> list[Row]:
    rows: list[Row] = []
    for size in supports:
        for arm in ARMS:
            for metric in METRICS:
                if (arm, size, metric) in scores:
                    rows.append(summarise(arm, metric, size, scores[arm, size, metric]))
        if (PRIOR, size, "nlpd") in scores:
            rows += _compared(scores, size)
    return rows


def _compared(scores: Scores, size: int) -> list[Row]:
    """Return gains and the shares of assays on which the prior wins and loses."""
    rows: list[Row] = []
    for metric in METRICS[:3]:
        pair = [np.array(scores[arm, size, metric]) for arm in ARMS]
        both = ~np.isnan(pair[0]) & ~np.isnan(pair[1])
        first, second = pair[0][both], pair[1][both]
        if not len(first):
            continue
        rows.append(difference_row((PRIOR, SINGLE), metric, size, (first, second)))
        if metric == "delta_auprc":
            lost = (first < second).astype(float)
            rows.append(summarise(PRIOR, "negative_transfer_rate", size, lost))
        if metric == "nlpd":
            won = (first < second).astype(float)
            rows.append(summarise(PRIOR, "nlpd_win_share", size, won))
    return rows
