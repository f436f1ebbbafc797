"""Compare policies campaign by campaign: the same seeds, so what seeds share drops out.

Shapes: `s` seeds, `v` votes.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from labwm.evaluation.bootstrap import LEVEL, N_RESAMPLES
from labwm.evaluation.table import Row, row_of

Floats = NDArray[np.float64]


def difference_row(
    names: tuple[str, str],
    metric: str,
    at: float | str | None,
    pair: tuple[Floats, Floats],
) -> Row:
    """Return the mean of first minus second, with its paired bootstrap interval.

    Args:
        names: Of the two policies; the row is called `first - second`.
        metric: What is compared.
        at: Where.
        pair: One value per seed each, length `s`, in the order of the seeds.
    """
    first, second = pair
    difference = first - second
    drawn = _resampled(len(difference), seed=0)
    means = difference[drawn].mean(axis=1)
    return row_of(
        f"{names[0]} - {names[1]}",
        metric,
        at,
        float(difference.mean()),
        interval(means, len(difference)),
        len(difference),
    )


def family_rows(
    areas: Mapping[str, Mapping[str, Sequence[Floats]]], *, half: str
) -> list[Row]:
    """Return each policy's score over a family, and each pair's ratio of scores.

    A vote's score is the mean over its tables, the family's is the mean over votes.
    Intervals resample the seeds of each table apart, the same for every policy: they
    say how sure the score is on these tables, not what it would be on others.

    Args:
        areas: Policy to vote to one array of length `s` per table of the vote.
        half: Which tables, for the rows' place.
    """
    drawn = {policy: _drawn_scores(votes) for policy, votes in areas.items()}
    means = {policy: _score(votes) for policy, votes in areas.items()}
    n = min(
        len(table) for votes in areas.values() for v in votes.values() for table in v
    )
    rows = [
        row_of(p, "family_regret_area", half, means[p], interval(drawn[p], n), n)
        for p in areas
    ]
    policies = list(areas)
    for i, first in enumerate(policies):
        for second in policies[i + 1 :]:
            ratio = drawn[first] / drawn[second]
            rows.append(
                row_of(
                    f"{first} / {second}",
                    "family_regret_ratio",
                    half,
                    means[first] / means[second],
                    interval(ratio, n),
                    n,
                )
            )
    return rows


def interval(drawn: Floats, n: int) -> tuple[float, float]:
    """Return the central 95 % of resampled figures; NaN where one seed was run."""
    if n < 2:
        return np.nan, np.nan
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(drawn, [tail, 1 - tail])
    return float(low), float(high)


def _score(votes: Mapping[str, Sequence[Floats]]) -> float:
    return float(np.mean([np.mean([t.mean() for t in v]) for v in votes.values()]))


def _drawn_scores(votes: Mapping[str, Sequence[Floats]]) -> Floats:
    seed = 0
    scores: list[Floats] = []
    for tables in votes.values():
        of_vote: list[Floats] = []
        for table in tables:
            # The same resamples for every policy: it is the pairs that are drawn.
            of_vote.append(table[_resampled(len(table), seed=seed)].mean(axis=1))
            seed += 1
        scores.append(np.mean(of_vote, axis=0))
    return np.mean(scores, axis=0)


def _resampled(n: int, *, seed: int) -> NDArray[np.int64]:
    return np.random.default_rng(seed).integers(n, size=(N_RESAMPLES, n))
