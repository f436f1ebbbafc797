"""Does the model of operations say the truth about molecules that it did not see?

| metric | meaning |
|---|---|
| coverage90 | share of read-outs within their 90 % interval, mean over molecules |
| crps | of the particles, in the read-out's unit; seconds are those since the start |
| informative_share | share of what was asked where the particles differ at all |

An answer that all particles share (a lone conformer stays alone) is no interval and
counts in none of the first two. Shapes: `p` particles.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from labwm.evaluation.table import Row, summarise
from labwm.schema.procedure import Episode
from labwm.world_model.procedures import SECONDS, ProcedureModel
from labwm.world_model.situations import (
    READOUTS,
    Situations,
    nothing_done,
    observed,
    situation_after,
)

Floats = NDArray[np.float64]

HORIZONS: Final = (1, 2, 4, 8)
STARTS: Final = (0, 1, 4)
"""Operations done before a roll-out begins."""
ALL: Final = "procedures"
MARGINAL: Final = "marginal"
"""The yardstick: what logged molecules gave after the same kind of operation."""
_NEAR: Final = 1e-9


@dataclass(frozen=True)
class Answer:
    """One read-out, `n_done` operations ahead: what was said and what came."""

    smiles: str
    readout: str
    horizon: int
    is_informative: bool
    is_inside: bool
    crps: float
    marginal_crps: float


def answers(
    model: ProcedureModel,
    learnt: Sequence[Episode],
    unseen: Sequence[Episode],
    *,
    n_particles: int,
    seed: int,
) -> Iterator[Answer]:
    """Yield what the model says of episodes of molecules that it did not see."""
    marginal = _marginals(learnt)
    for episode in unseen:
        for first in STARTS:
            outcomes = episode.outcomes[first : first + max(HORIZONS)]
            if not outcomes:
                continue
            start = situation_after(episode.smiles, episode.outcomes[:first])
            rollout = model.rollout(
                episode.smiles,
                [outcome.operation for outcome in outcomes],
                n_particles=n_particles,
                seed=seed,
                start=start,
            )
            truth = start
            for horizon, outcome in enumerate(outcomes, 1):
                if outcome.status != "ok":
                    break  # what would have come later nobody knows
                truth = observed(truth, outcome)
                if horizon in HORIZONS:
                    told = rollout.steps[horizon - 1]
                    known = marginal[outcome.operation.kind]
                    yield from _answers(start, told, truth, horizon, known)


def coverage_rows(found: Sequence[Answer]) -> Iterator[Row]:
    """Yield the figures, with bootstrap intervals over molecules."""
    for name in (ALL, *(f"{ALL} {readout}" for readout in (*READOUTS, SECONDS))):
        own = [a for a in found if name in (ALL, f"{ALL} {a.readout}")]
        for horizon in HORIZONS:
            here = [answer for answer in own if answer.horizon == horizon]
            told = [answer for answer in here if answer.is_informative]
            if not told:
                continue
            inside = _by_molecule(told, [float(a.is_inside) for a in told])
            yield summarise(name, "coverage90", horizon, inside)
            share = _by_molecule(here, [float(a.is_informative) for a in here])
            yield summarise(name, "informative_share", horizon, share)
            if name != ALL:
                crps = _by_molecule(told, [a.crps for a in told])
                yield summarise(name, "crps", horizon, crps)
                plain = _by_molecule(told, [a.marginal_crps for a in told])
                yield summarise(f"{MARGINAL} {name.split()[1]}", "crps", horizon, plain)


def _by_molecule(found: Sequence[Answer], values: Sequence[float]) -> list[float]:
    grouped: dict[str, list[float]] = defaultdict(list)
    for answer, value in zip(found, values, strict=True):
        grouped[answer.smiles].append(value)
    return [float(np.mean(own)) for own in grouped.values()]


def _answers(
    start: Situations,
    told: Situations,
    truth: Situations,
    horizon: int,
    marginal: dict[str, Floats],
) -> Iterator[Answer]:
    for name in (*READOUTS, SECONDS):
        value = _value(truth, name)[0]
        drawn = _value(told, name)[told.is_alive]
        if name == SECONDS:
            value, drawn = value - start.seconds[0], drawn - start.seconds[0]
        drawn = drawn[np.isfinite(drawn)]
        if not np.isfinite(value) or not len(drawn):
            continue
        # Weibull's ranks: one more exchangeable draw lies within with probability 0.9.
        low, high = np.quantile(drawn, [0.05, 0.95], method="weibull")
        is_inside = bool(low - _NEAR <= value <= high + _NEAR)
        is_informative = float(np.ptp(drawn)) > _NEAR
        known = marginal.get(name, np.array([np.nan]))
        scores = crps_of_draws(drawn, value), crps_of_draws(known, value)
        yield Answer(truth.smiles, name, horizon, is_informative, is_inside, *scores)


def crps_of_draws(draws: Floats, value: float) -> float:
    """Return the continuous ranked probability score of draws, `E|X-y| - E|X-X'|/2`.

    Reference:
        Gneiting & Raftery, J. Am. Stat. Assoc. 2007, 102, 359, eq. 21.
    """
    x = np.sort(draws)
    n = len(x)
    ranks = 2 * np.arange(1, n + 1) - n - 1
    return float(np.abs(x - value).mean() - (ranks @ x) / n**2)


def _value(situations: Situations, name: str) -> Floats:
    return situations.seconds if name == SECONDS else situations.column(name)


def _marginals(episodes: Sequence[Episode]) -> dict[str, dict[str, Floats]]:
    """Return what read-outs were after each kind of operation, seconds summed."""
    found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for episode in episodes:
        here = nothing_done(episode.smiles)
        for outcome in episode.outcomes:
            here = observed(here, outcome)
            for name in (*READOUTS, SECONDS):
                value = float(_value(here, name)[0])
                if np.isfinite(value):
                    found[outcome.operation.kind][name].append(value)
    return {
        kind: {name: np.array(values) for name, values in own.items()}
        for kind, own in found.items()
    }
