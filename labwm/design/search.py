"""Search a space that is too large to list: climb from good points, cross them.

Shapes: `p` points held at once, never more than the constants below.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from labwm.design.candidates import Candidates, candidates_among
from labwm.design.state import State
from labwm.schema import Conditions
from labwm.space.membership import membership_of
from labwm.space.neighbours import crossings, neighbours
from labwm.space.questions import Questions, concatenate, questions_from

Floats = NDArray[np.float64]
Score = Callable[[Questions], Floats]
"""What each question is worth to a policy, larger is better, length `q`."""

MAX_SCORED = 8192
"""Rows of the pool that are scored before climbing, drawn by the round's seed."""
N_CLIMBERS = 16
N_CROSSINGS = 64
"""Crossings of climbers tried in each step."""
MAX_STEPS = 12
MAX_KEPT = 1024
"""Best points that a batch is then chosen from."""


@dataclass(frozen=True)
class Found:
    """What a search left to choose from.

    Attributes:
        state: With the points found behind the pool's own rows.
        candidates: The best rows that were met.
        n_considered: Points that were scored.
    """

    state: State
    candidates: Candidates
    n_considered: int


def search(state: State, candidates: Candidates, score: Score) -> Found:
    """Climb a score from the best rows of the pool and from what was measured.

    Each step looks at every point that differs from a climber in one parameter, and at
    crossings of two climbers; each climber goes to its best neighbour until none is
    better. The same state gives the same points; memory does not grow with the space.

    Args:
        state: Its protocol says what exists; its pool is where climbers start.
        candidates: What is left of the pool.
        score: Worth of a point.
    """
    rng = np.random.default_rng([state.seed, 7])
    rows = candidates.rows
    if len(rows) > MAX_SCORED:
        rows = np.sort(rng.choice(rows, MAX_SCORED, replace=False))
    scores = score(state.pool.take(rows))
    best = rows[np.argsort(-scores, kind="stable")[:MAX_KEPT]]
    climb = _Climb(state, score, rng)
    starts = state.pool.take(best[:N_CLIMBERS]).rows()
    climb.run([*starts, *_measured(state)])
    extra = questions_from(state.protocol, climb.found())
    wider = replace(state, pool=concatenate([state.pool, extra]))
    n_pool = len(state.pool)
    kept = np.concatenate([best, np.arange(n_pool, n_pool + len(extra))])
    return Found(wider, candidates_among(wider, kept), len(rows) + climb.n_scored)


class _Climb:
    """Points met so far, with their scores; keyed by their conditions."""

    def __init__(self, state: State, score: Score, rng: np.random.Generator) -> None:
        self._membership = membership_of(state.protocol)
        self._state, self._score, self._rng = state, score, rng
        self._scores: dict[bytes, float] = {}
        self._rows: dict[bytes, Conditions] = {}
        self.n_scored = 0

    def run(self, starts: Sequence[Conditions]) -> None:
        """Climb from each start until no neighbour is better."""
        climbers = self._looked_at(starts)
        for _ in range(MAX_STEPS):
            groups = [
                list(neighbours(self._membership, self._rows[key], self._rng))
                for key in climbers
            ]
            parents = [self._rows[key] for key in climbers]
            crossed = list(crossings(self._membership, parents, N_CROSSINGS, self._rng))
            keys = self._looked_at([row for g in [*groups, crossed] for row in g])
            moved = self._moved(climbers, groups, keys)
            children = keys[len(keys) - len(crossed) :]
            # The best children replace the worst climbers.
            following = self._ranked([*moved, *children])[: len(climbers)]
            if following == climbers:
                return
            climbers = following

    def found(self) -> list[Conditions]:
        """Return the best points met, the best first, without what is taken."""
        taken = set(self._state.observed.questions.keys())
        taken |= set(self._state.pending.keys())
        ranked = [key for key in self._ranked(list(self._scores)) if key not in taken]
        return [self._rows[key] for key in ranked[:MAX_KEPT]]

    def _moved(
        self,
        climbers: Sequence[bytes],
        groups: Sequence[Sequence[Conditions]],
        keys: Sequence[bytes],
    ) -> list[bytes]:
        moved: list[bytes] = []
        first = 0
        for climber, group in zip(climbers, groups, strict=True):
            own = [climber, *keys[first : first + len(group)]]
            first += len(group)
            moved.append(max(own, key=lambda key: self._scores[key]))
        return moved

    def _ranked(self, keys: Sequence[bytes]) -> list[bytes]:
        return sorted(dict.fromkeys(keys), key=lambda key: (-self._scores[key], key))

    def _looked_at(self, rows: Sequence[Conditions]) -> list[bytes]:
        questions = questions_from(self._state.protocol, list(rows))
        keys = questions.keys()
        new = {key: i for i, key in enumerate(keys) if key not in self._scores}
        if new:
            index = list(new.values())
            scores = self._score(questions.take(index))
            self.n_scored += len(index)
            for key, i, value in zip(new, index, scores, strict=True):
                self._scores[key], self._rows[key] = float(value), dict(rows[i])
        return keys


def _measured(state: State) -> list[Conditions]:
    """Return the best measured conditions: improvements often lie beside them."""
    from labwm.world_model.reward import utilities

    worth = utilities(state.protocol, state.observed.values)
    known = np.flatnonzero(~np.isnan(worth).any(axis=1))
    best = known[np.argsort(-worth[known].sum(axis=1), kind="stable")[:4]]
    return state.observed.questions.take(best).rows()
