"""Small logs with a declared bias: what a lab has before a campaign.

Shapes: `N` rows of a pool.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from labwm.design.features import features
from labwm.errors import InvalidInputError, suggest
from labwm.evaluation.lookup import Lookup
from labwm.space.questions import Observations

BEHAVIOURS: Final = ("leaning", "lower_half", "corner", "random")
"""Worse rows more often, the best hardly ever; any row of the worse half; the rows
around one; any row."""


def biased_rows(
    lookup: Lookup, *, behaviour: str, n: int, seed: int
) -> NDArray[np.int64]:
    """Return the rows of the pool that a behaviour measured, ascending.

    Raises:
        InvalidInputError: If there is no such behaviour, or it cannot choose so many.
    """
    require_behaviour(behaviour)
    rng = np.random.default_rng([seed, 11])
    choices, chances = _choices(lookup, behaviour, n, rng)
    if not 1 <= n <= len(choices):
        raise InvalidInputError(
            f"The behaviour {behaviour!r} can choose 1 to {len(choices)} of the "
            f"{len(lookup)} rows; got {n}. Ask for fewer rows of log."
        )
    return np.sort(rng.choice(choices, size=n, replace=False, p=chances))


def log_of(lookup: Lookup, rows: NDArray[np.int64], *, seed: int) -> Observations:
    """Return what measuring each of some rows once gave."""
    measured = [lookup.measure(int(row), seed=seed) for row in rows]
    return lookup.observed.take(np.array(measured, dtype=np.int64))


def require_behaviour(behaviour: str) -> None:
    """Refuse an unknown behaviour before any work.

    Raises:
        InvalidInputError: If there is none of that name.
    """
    if behaviour not in BEHAVIOURS:
        raise InvalidInputError(
            f"A behaviour is one of {list(BEHAVIOURS)}; got {behaviour!r}. "
            f"{suggest(behaviour, BEHAVIOURS)}"
        )


def _choices(
    lookup: Lookup, behaviour: str, n: int, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.float64] | None]:
    """Return the rows that a behaviour chooses from, and with what chances."""
    if behaviour == "corner":
        x = features(lookup.protocol, lookup.pool)
        away = np.linalg.norm(x - x[rng.integers(len(x))], axis=1)
        return np.argsort(away, kind="stable")[: max(n, 1)], None
    worth = lookup.utilities[:, 0]
    # A row that failed is among the worst.
    ranked = np.argsort(np.where(np.isnan(worth), -np.inf, worth), kind="stable")
    if behaviour == "lower_half":
        return ranked[: (len(ranked) + 1) // 2], None
    if behaviour == "leaning":
        chances = np.arange(len(ranked), 0, -1, dtype=float)
        return ranked, chances / chances.sum()
    return np.arange(len(lookup)), None
