"""Lean on earlier assays: a first batch by them, then a model around what they expect.

Shapes: `q` questions, `m` readouts, `j` sources, `k` objectives, `c` candidates.

Reference:
    Feurer, Letham & Bakshy, Scalable Meta-Learning for Bayesian Optimization, 2018,
    arXiv 1802.02219, which weighs sources by ranks; Golovin et al., Google Vizier, KDD
    2017, section 3.3, whose models learn residuals. Weights here are posterior
    probabilities; see `relatedness`.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from labwm.design.candidates import Rows, candidates_of
from labwm.design.offset_model import OffsetModel, without
from labwm.design.posterior import objective_columns
from labwm.design.relatedness import Relatedness, relatedness
from labwm.design.sources import Opinions, opinions_of
from labwm.design.space_filling import space_filling
from labwm.design.state import Batch, Choice, State
from labwm.space.questions import Questions, concatenate
from labwm.world_model.reward import utility

Floats = NDArray[np.float64]

NAME = "sources"
VERSION = "1"
MAX_COMPARED = 20_000
"""Candidates that sources are asked about before anything is measured, at most."""
SHARE_COMPARED = 0.5
"""Share of the candidates compared at the start, drawn by the seed: so campaigns with
different seeds start from different designs of nearly the same quality."""


@dataclass(frozen=True)
class Leaning:
    """How a campaign leans on its sources.

    Attributes:
        opinions: What sources expect.
        of_objective: Which of them speak, one per objective.
        columns: Column of each objective's readout.
        n_readouts: `m`.
    """

    opinions: Opinions
    of_objective: tuple[Relatedness, ...]
    columns: tuple[int, ...]
    n_readouts: int

    def offset(self, questions: Questions) -> Floats:
        """Return what sources add to expected values, `q x m`."""
        out = np.zeros((len(questions), self.n_readouts))
        if not len(questions):
            return out
        found = self.opinions(questions)
        for k, (column, own) in enumerate(
            zip(self.columns, self.of_objective, strict=True)
        ):
            out[:, column] = own.offset(found[:, :, k])
        return out


def leaning_of(state: State) -> Leaning:
    """Weigh the state's sources by what was measured so far."""
    opinions = opinions_of(state.protocol, state.sources)
    columns = objective_columns(state.protocol)
    found = opinions(state.observed.questions)
    judged = []
    for k, column in enumerate(columns):
        values = state.observed.values[:, column]
        known = ~np.isnan(values) & (state.observed.censoring[:, column] == 0)
        judged.append(
            relatedness(
                values[known],
                found[known, :, k],
                (opinions.centre[:, k], opinions.scale[:, k]),
            )
        )
    return Leaning(
        opinions, tuple(judged), tuple(columns), len(state.protocol.readouts)
    )


def fit_with_sources(state: State) -> OffsetModel:
    """Fit what the sources leave unexplained, around what they expect.

    Raises:
        NotEnoughDataError: If too little was measured for any model.
    """
    from labwm.world_model import fit

    leaning = leaning_of(state)
    rows = without(leaning.offset, state.observed)
    base = fit(rows, state.protocol, recipe=state.recipe, seed=state.seed)
    card = base.card.model_copy(
        update={
            "data_sha256": state.observed.digest(),
            "notes": (*base.card.notes, *_notes(state, leaning)),
        }
    )
    return OffsetModel(base, leaning.offset, card)


def start_from_sources(state: State, n: int) -> Batch:
    """Choose the first experiments: every other one by what the sources found good.

    Those raise most, in the mean over sources, the best that a source expects of them:
    so sources that differ are all tried, and equal ones not twice. The others fill the
    space, so that sources that mislead do not hold a campaign where they led it.
    """
    candidates = candidates_of(state)
    known = concatenate([state.observed.questions, state.pending])
    first = len(set(known.keys()))
    is_led = [(first + i) % 2 == 0 for i in range(n)]
    if not any(is_led):
        return space_filling(state, n)
    leaning = leaning_of(state)
    rng = np.random.default_rng(state.seed)
    designs = [
        (
            group,
            _raising(state, leaning, _some(rng, group, n), known, sum(is_led)),
        )
        for group in candidates.fitting(n)
    ]
    group, led = max(
        designs, key=lambda design: sum(c.acquisition or 0.0 for c in design[1])
    )
    others = _filling(state, group, led, n - len(led))
    turns = {True: iter(led), False: iter(others)}
    chosen = [next(turns[own], None) for own in is_led]
    choices = [choice for choice in chosen if choice is not None]
    return Batch(tuple(choices), NAME, VERSION, len(candidates.rows), None)


def _filling(state: State, group: Rows, led: list[Choice], n: int) -> list[Choice]:
    """Return choices of the group that fill the space around those of the sources."""
    n = min(n, len(group) - len(led))
    if n < 1:
        return []
    sent = concatenate([state.pending, state.pool.take([c.row for c in led])])
    rest = replace(state, pool=state.pool.take(group), pending=sent)
    found = space_filling(rest, n).choices
    return [replace(choice, row=int(group[choice.row])) for choice in found]


def _raising(
    state: State, leaning: Leaning, rows: Rows, known: Questions, n: int
) -> list[Choice]:
    weight = np.mean([own.weight for own in leaning.of_objective], axis=0)
    weight = weight / max(float(weight.sum()), 1e-300)
    worth = _worth(state, leaning, state.pool.take(rows))
    best = _worth(state, leaning, known).max(axis=0, initial=-np.inf)
    # Before anything is known, what counts is what lies above the ordinary.
    best = np.where(np.isfinite(best), best, np.median(worth, axis=0))
    mean = worth @ weight
    chosen: list[Choice] = []
    left = np.ones(len(rows), dtype=bool)
    for _ in range(min(n, len(rows))):
        gain = np.maximum(worth - best, 0.0) @ weight
        # Where nothing is expected to be better, the best expected is next.
        ranked = gain if np.any(gain[left] > 0) else mean
        i = int(np.argmax(np.where(left, ranked, -np.inf)))
        left[i] = False
        best = np.maximum(best, worth[i])
        chosen.append(
            Choice(
                int(rows[i]),
                f"expected by {len(state.sources)} earlier assays to lie {mean[i]:.1f} "
                "of their standard deviations above their mean",
                float(gain[i]),
                None,
            )
        )
    return chosen


def _worth(state: State, leaning: Leaning, questions: Questions) -> Floats:
    """Return what each source takes questions to be worth, `q x j`, standardised."""
    opinions = leaning.opinions
    if not len(questions):
        return np.empty((0, len(state.sources)))
    expected = opinions(questions)
    parts = []
    for k, objective in enumerate(state.protocol.objectives):
        natural = opinions.centre[:, k] + opinions.scale[:, k] * expected[:, :, k]
        middle = utility(objective, opinions.centre[:, k])
        parts.append((utility(objective, natural) - middle) / opinions.scale[:, k])
    return np.mean(parts, axis=0)


def _some(rng: np.random.Generator, rows: Rows, n: int) -> Rows:
    wanted = min(MAX_COMPARED, max(n, int(SHARE_COMPARED * len(rows))))
    if len(rows) <= wanted:
        return rows
    return np.sort(rng.choice(rows, wanted, replace=False))


def _notes(state: State, leaning: Leaning) -> tuple[str, ...]:
    notes = []
    for objective, own in zip(
        state.protocol.objectives, leaning.of_objective, strict=True
    ):
        parts = ", ".join(
            f"{source.name} {weight:.0%} ({source.sha256[:12]})"
            for source, weight in zip(state.sources, own.weight, strict=True)
        )
        notes.append(
            f"{objective.readout} leans on earlier assays with probability "
            f"{own.share:.0%}: {parts}."
        )
    return tuple(notes)
