"""Sentences that say why a candidate was chosen."""

import numpy as np

from labwm.design.modelled import Chosen
from labwm.design.start import Ready
from labwm.design.state import State
from labwm.schema import Protocol

_SIGNS = {"percent": "%", "degC": "°C", "dimensionless": ""}


def amount(value: float, unit: str | None) -> str:
    """Return a value with its unit as people write it.

    >>> amount(78.234, "percent")
    '78.2 %'
    """
    sign = _SIGNS.get(unit or "", unit or "")
    return f"{value:.3g} {sign}".strip()


def predicted(state: State, ready: Ready, rows: list[int]) -> list[str]:
    """Say for each row what is predicted: mean, 90 % interval and support."""
    questions = state.pool.take(rows)
    prediction = ready.model.predict(questions)
    low, high = prediction.interval(0.9)
    support = ready.model.support(questions)
    several = len(state.protocol.objectives) > 1
    wanted = dict.fromkeys(o.readout for o in state.protocol.objectives)
    sentences: list[str] = []
    for i in range(len(rows)):
        parts: list[str] = []
        for name in wanted:
            j = state.protocol.readout_names.index(name)
            label = f"{name} " if several else ""
            mean = amount(float(prediction.mean[i, j]), prediction.units[j])
            parts.append(f"{label}{mean} [{low[i, j]:.3g}, {high[i, j]:.3g}]")
        text = " and ".join(parts)
        sentences.append(f"predicted {text} (90 %), support {support[i]:.1f}")
    return sentences


def improvement_reasons(
    state: State, ready: Ready, chosen: Chosen, gained: list[str]
) -> list[str]:
    """Say for each choice what it is expected to add, and what is predicted."""
    beliefs = predicted(state, ready, [int(row) for row in chosen.rows])
    return [f"{gain}; {belief}" for gain, belief in zip(gained, beliefs, strict=True)]


def best_so_far(protocol: Protocol, utility: float) -> str:
    """Return a utility of the only objective as people say it."""
    objective = protocol.objectives[0]
    unit = protocol.readout(objective.readout).unit
    match objective.goal:
        case "maximise":
            return amount(utility, unit)
        case "minimise":
            return amount(-utility, unit)
        case _:
            return f"{amount(-utility, unit)} from the target"


def gain(log_gain: float) -> float:
    """Return a gain from its logarithm, never below the smallest number."""
    return float(np.exp(max(log_gain, -700.0)))
