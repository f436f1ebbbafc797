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
        score: Of the distance's logarithm, standard deviations above the median run,
            by the median distance of runs from it; above 3 is worth a look.
    """

    run: Conditions
    n_curves: int
    distance: float
    score: float


def surprising_runs(
    model: CurveModel, curves: Curves, protocol: Protocol, by: Sequence[str]
) -> list[RunSurprise]:
    """Return the runs, the oddest first; learns as often as there are runs.

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
    family = next((f for f in FAMILIES if f.name == model.card.base), None)
    unseen = predict_left_out(
        curves,
        curves.reads(model.card.readout),
        protocol,
        model.expectation.knots,
        family,
        fold=run_of,
    )
    logs = np.log([
        one.prior.process(model.card.rough).distance(one.reads) / len(one.reads)
        for one in unseen
    ])  # fmt: skip
    means = np.array([logs[run_of == k].mean() for k in range(len(runs))])
    away = means - np.median(means)
    spread = max(float(np.median(np.abs(away))) / MAD_OF_A_NORMAL, LEAST_SPREAD)
    found = [
        RunSurprise(run, int(np.sum(run_of == k)), float(np.exp(means[k])), score)
        for k, (run, score) in enumerate(
            zip(runs, (away / spread).tolist(), strict=True)
        )
    ]
    return sorted(found, key=lambda one: -one.score)


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
