"""Curves of a drying paint, whose truth is known: first-order, faster when hot."""

import numpy as np

from labwm.schema import Conditions, Protocol
from labwm.space.curves import Curves, Reads, curves_from
from labwm.space.questions import questions_from

NOISE_SD = 0.02
HEATS = tuple(float(x) for x in np.linspace(20, 80, 13))


def protocol(**changes: object) -> Protocol:
    axis = {"name": "time", "unit": "min"}
    content = {
        "name": "drying",
        "version": 1,
        "parameters": [
            {"name": "heat", "kind": "continuous", "unit": "degC", "bounds": [20, 80]}
        ],
        "readouts": [{"name": "mass", "unit": "g", "kind": "curve", "over": axis}],
        "objectives": [{"readout": "mass", "goal": "minimise"}],
    }
    return Protocol.model_validate(content | changes)


def truth(heat: float, height: float, times: np.ndarray) -> np.ndarray:
    rate = 0.05 * np.exp(0.03 * (heat - 20.0))
    return 1.0 + height * np.exp(-rate * times)


def drying(
    n_replicates: int = 3, *, seed: int = 0, heats: tuple[float, ...] = HEATS
) -> Curves:
    """Return curves whose height scatters and whose grids and gaps are their own."""
    rng = np.random.default_rng(seed)
    rows: list[Conditions] = []
    names: list[str] = []
    reads: list[Reads] = []
    for heat in heats:
        for k in range(n_replicates):
            times = np.sort(rng.uniform(0.5, 40.0, int(rng.integers(10, 16))))
            times = np.array([0.0, *times])
            values = truth(heat, 2.0 + 0.2 * rng.normal(), times)
            values = values + NOISE_SD * rng.normal(size=len(times))
            rows.append({"heat": heat})
            names.append(f"{heat:g}/{k}")
            reads.append(Reads(times, values))
    return curves_from(questions_from(protocol(), rows), names, "mass", reads)
