"""Which series of curves does not fit the others?

A series is every curve that shares some conditions: a plate, a day, a temperature. A
bad one looks normal beside its own curves, so whole series are left out: what the
others let expect of it is compared with what was read. Series are compared with each
other, because leaving one out always costs something.

Shapes: `n` curves, `r` series.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from labwm.errors import NotEnoughDataError, SpaceError, suggest
from labwm.schema import Conditions, Protocol, canonical_json
from labwm.space.curves import Curves
from labwm.world_model.dynamics.families import FAMILIES
from labwm.world_model.dynamics.left_out import predict_left_out
from labwm.world_model.dynamics.model import CurveModel

Floats = NDArray[np.float64]

FEWEST_SERIES: Final = 4
MAD_OF_A_NORMAL: Final = 0.6745
LEAST_SPREAD: Final = 0.1
"""Of the logarithms of distances over series: fewer differ by less than chance."""


@dataclass(frozen=True)
class SeriesSurprise:
    """How odd a series is.

    Attributes:
        shared: Conditions that its curves share.
        n_curves: How many they are.
        distance: Geometric mean, over its curves, of the squared distance per read from
            what the others let expect, in stated variances.
        score: Of the distance's logarithm, standard deviations above the median of the
            series but the oddest, by their median distance from it; above 3 is worth a
            look.
    """

    shared: Conditions
    n_curves: int
    distance: float
    score: float


def surprising_series(
    model: CurveModel, curves: Curves, protocol: Protocol, by: Sequence[str]
) -> list[SeriesSurprise]:
    """Return the series, the oddest first; learns twice as often as there are any.

    Args:
        model: Fitted to these curves: its base and roughness are kept.
        curves: All curves.
        protocol: Declares the parameters.
        by: Names of the conditions that the curves of a series share.

    Raises:
        SpaceError: If there is no such condition.
        NotEnoughDataError: If there are fewer than `FEWEST_SERIES` series.
    """
    series_of, series = _series(curves, by)
    if len(series) < FEWEST_SERIES:
        raise NotEnoughDataError(
            f"A series is compared with others, {FEWEST_SERIES} in all at least; got "
            f"{len(series)} by {list(by)}. Name other conditions."
        )
    means = _mean_logs(model, curves, protocol, series_of, len(series))
    # The oddest series spoils what the others are compared with: they are judged again
    # without it, and it by what all others said.
    rest = np.flatnonzero(series_of != (oddest := int(np.argmax(means))))
    others = np.flatnonzero(np.arange(len(series)) != oddest)
    again = _mean_logs(model, curves.take(rest), protocol, series_of[rest], len(series))
    means[others] = again[others]
    away = means - np.median(means[others])
    spread = float(np.median(np.abs(away[others]))) / MAD_OF_A_NORMAL
    spread = max(spread, LEAST_SPREAD)
    found = [
        SeriesSurprise(
            shared, int(np.sum(series_of == k)), float(np.exp(means[k])), score
        )
        for k, (shared, score) in enumerate(
            zip(series, (away / spread).tolist(), strict=True)
        )
    ]
    return sorted(found, key=lambda one: -one.score)


def _mean_logs(
    model: CurveModel,
    curves: Curves,
    protocol: Protocol,
    series_of: NDArray[np.int64],
    n_series: int,
) -> Floats:
    """Return the mean logarithm of each series' distances from the others, `r`."""
    unseen = predict_left_out(
        curves,
        curves.reads(model.card.readout),
        protocol,
        model.expectation.knots,
        next((f for f in FAMILIES if f.name == model.card.base), None),
        fold=series_of,
    )
    logs = np.log([
        one.prior.process(model.card.rough).distance(one.reads) / len(one.reads)
        for one in unseen
    ])  # fmt: skip
    is_of = series_of == np.arange(n_series)[:, None]
    return (is_of @ logs) / np.maximum(is_of.sum(axis=1), 1)


def _series(
    curves: Curves, by: Sequence[str]
) -> tuple[NDArray[np.int64], list[Conditions]]:
    names = list(curves.questions.columns)
    for name in by:
        if name not in names:
            raise SpaceError(
                f"A series shares conditions of the protocol; got {name!r}. "
                f"{suggest(name, names)}"
            )
    numbers: dict[bytes, int] = {}
    series: list[Conditions] = []
    places = []
    for row in curves.questions.rows():
        shared = {name: row[name] for name in by if name in row}
        key = canonical_json(shared)
        if key not in numbers:
            numbers[key] = len(series)
            series.append(shared)
        places.append(numbers[key])
    return np.array(places, dtype=np.int64), series
