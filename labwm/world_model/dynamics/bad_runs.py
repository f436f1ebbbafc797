"""Which run of the lab does not fit the others?

A run is every curve that shares some conditions: a plate, a day, a pH and temperature.
A bad run looks normal beside its own curves, so whole runs are left out: what the other
runs let expect of it is compared with what was read. Runs are compared with each
other, because leaving one out always costs something.

Shapes: `n` curves, `r` runs.
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

FEWEST_RUNS: Final = 4
MAD_OF_A_NORMAL: Final = 0.6745
LEAST_SPREAD: Final = 0.1
"""Of the logarithms of distances over runs: fewer differ by less than chance."""


@dataclass(frozen=True)
class RunSurprise:
    """How odd a run is.

    Attributes:
        run: Conditions that its curves share.
        n_curves: Curves of the run.
        distance: Geometric mean, over its curves, of the squared distance per read from
            what the other runs let expect, in stated variances.
        score: Of the distance's logarithm, standard deviations above the median of the
            runs but the oddest, by their median distance from it; above 3 is worth a
            look.
    """

    run: Conditions
    n_curves: int
    distance: float
    score: float


def surprising_runs(
    model: CurveModel, curves: Curves, protocol: Protocol, by: Sequence[str]
) -> list[RunSurprise]:
    """Return the runs, the oddest first; learns twice as often as there are runs.

    Args:
        model: Fitted to these curves: its base and roughness are kept.
        curves: All curves.
        protocol: Declares the parameters.
        by: Names of the conditions that the curves of a run share.

    Raises:
        SpaceError: If there is no such condition.
        NotEnoughDataError: If there are fewer than `FEWEST_RUNS` runs.
    """
    run_of, runs = _runs(curves, by)
    if len(runs) < FEWEST_RUNS:
        raise NotEnoughDataError(
            f"A run is compared with others, {FEWEST_RUNS} in all at least; got "
            f"{len(runs)} by {list(by)}. Name other conditions."
        )
    means = _mean_logs(model, curves, protocol, run_of, len(runs))
    # The oddest run spoils what the others are compared with: they are judged again
    # without it, and it by what all others said.
    rest = np.flatnonzero(run_of != (oddest := int(np.argmax(means))))
    others = np.flatnonzero(np.arange(len(runs)) != oddest)
    again = _mean_logs(model, curves.take(rest), protocol, run_of[rest], len(runs))
    means[others] = again[others]
    away = means - np.median(means[others])
    spread = float(np.median(np.abs(away[others]))) / MAD_OF_A_NORMAL
    spread = max(spread, LEAST_SPREAD)
    found = [
        RunSurprise(run, int(np.sum(run_of == k)), float(np.exp(means[k])), score)
        for k, (run, score) in enumerate(
            zip(runs, (away / spread).tolist(), strict=True)
        )
    ]
    return sorted(found, key=lambda one: -one.score)


def _mean_logs(
    model: CurveModel,
    curves: Curves,
    protocol: Protocol,
    run_of: NDArray[np.int64],
    n_runs: int,
) -> Floats:
    """Return the mean logarithm of each run's distances from the others, `r`."""
    unseen = predict_left_out(
        curves,
        curves.reads(model.card.readout),
        protocol,
        model.expectation.knots,
        next((f for f in FAMILIES if f.name == model.card.base), None),
        fold=run_of,
    )
    logs = np.log([
        one.prior.process(model.card.rough).distance(one.reads) / len(one.reads)
        for one in unseen
    ])  # fmt: skip
    is_of = run_of == np.arange(n_runs)[:, None]
    return (is_of @ logs) / np.maximum(is_of.sum(axis=1), 1)


def _runs(
    curves: Curves, by: Sequence[str]
) -> tuple[NDArray[np.int64], list[Conditions]]:
    names = list(curves.questions.columns)
    for name in by:
        if name not in names:
            raise SpaceError(
                f"A run shares conditions of the protocol; got {name!r}. "
                f"{suggest(name, names)}"
            )
    numbers: dict[bytes, int] = {}
    runs: list[Conditions] = []
    places = []
    for row in curves.questions.rows():
        run = {name: row[name] for name in by if name in row}
        key = canonical_json(run)
        if key not in numbers:
            numbers[key] = len(runs)
            runs.append(run)
        places.append(numbers[key])
    return np.array(places, dtype=np.int64), runs
