"""Probabilities that a model states of a pool, beside what the table holds.

Shapes: `N` candidates, `m` readouts, `g` groups.
"""

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from labwm import scores
from labwm.evaluation.exploit_arms import Arena, on_some
from labwm.evaluation.rehearsal import best_of
from labwm.schema import Goal
from labwm.world_model.reward import target_of, utility

Floats = NDArray[np.float64]

GROUP: Final = 16
"""Candidates among which the best is guessed."""
N_GROUPS: Final = 32
N_WORLDS: Final = 200
LEVEL: Final = 0.9


def promises_of(arena: Arena) -> dict[str, float]:
    """Return the scores of what a model promises, each beside the base rate's.

    `improvement` is to beat the log's best; `best` is to be the best of a random group
    of `GROUP`; `success` is to give a number at all, where something failed. Beside
    them stands how often each readout fell into its 90 % interval: costs and durations
    that a table records are readouts like any other.
    """
    found = dict(_scores_of("improvement", *_improvement(arena)))
    found |= dict(_scores_of("best", *_best(arena)))
    stated = arena.said.success
    has_number = np.isfinite(arena.lookup.truth[arena.rows, arena.readout])
    if stated is not None and not has_number.all():
        found |= dict(_scores_of("success", has_number.astype(float), stated))
    low, high = arena.said.interval(LEVEL)
    truth = arena.lookup.truth[arena.rows]
    for j, name in enumerate(arena.said.readouts):
        known = np.isfinite(truth[:, j])
        inside = (low[:, j] <= truth[:, j]) & (truth[:, j] <= high[:, j])
        found[f"coverage90:{name}"] = float(inside[known].mean())
    return found


def _scores_of(
    name: str, happened: Floats, stated: Floats
) -> Iterator[tuple[str, float]]:
    yield f"{name}_brier", scores.brier(happened, stated)
    yield f"{name}_calibration_error", scores.calibration_error(happened, stated)
    rate = np.full(len(happened), float(happened.mean()))
    yield f"{name}_brier_base_rate", scores.brier(happened, rate)


def _improvement(arena: Arena) -> tuple[Floats, Floats]:
    """Return which candidates beat the log's best, and the chance stated of it."""
    best = best_of(arena.objective, arena.readout, arena.observed)
    happened = (arena.truth > best).astype(float)

    def below(value: float) -> Floats:
        asked = np.full((len(arena.rows), len(arena.said.readouts)), value)
        return arena.said.cdf(asked)[:, arena.readout]

    match arena.objective.goal:
        case Goal.MAXIMISE:
            return happened, 1.0 - below(best)
        case Goal.MINIMISE:
            return happened, below(-best)
        case Goal.MATCH:
            target = target_of(arena.objective)
            return happened, below(target - best) - below(target + best)


def _best(arena: Arena) -> tuple[Floats, Floats]:
    """Return which of each group is its best, and the chance by drawn worlds."""
    rng = np.random.default_rng([arena.seed, 8])
    n = min(GROUP, len(arena.rows))
    happened, stated = [], []
    for _ in range(N_GROUPS):
        places = rng.choice(len(arena.rows), n, replace=False)
        group = on_some(arena, places)
        joint = arena.model.joint(group.questions)
        drawn = joint.latent(range(N_WORLDS)).reshape(N_WORLDS * n, -1)
        values = joint.calibrated(drawn, np.tile(np.arange(n), N_WORLDS))
        worth = utility(arena.objective, values[:, arena.readout]).reshape(-1, n)
        chances = np.bincount(worth.argmax(axis=1), minlength=n) / N_WORLDS
        stated.append(chances)
        happened.append(np.arange(n) == int(np.argmax(group.truth)))
    return np.concatenate(happened).astype(float), np.concatenate(stated)
