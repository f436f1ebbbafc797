"""Screen a pool of any size: each block apart, then one short-list of all of them.

`screen_block` and `merge` are pure, and merging is the same in any order and grouping:
who maps blocks over threads, processes or machines gets the same short-list bit for
bit. This module knows none of them. Shapes: `r` rows of a block, `k` objectives.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from labwm.chem.filters import Filters
from labwm.chem.standardise import standardise
from labwm.data.pools import PoolBlock
from labwm.design.candidates import candidates_among
from labwm.design.expected_improvement import improvement_over_best
from labwm.design.hypervolume_improvement import improvement_over_front
from labwm.design.improvement import Improvement
from labwm.design.modelled import choose, gains_of, known_utilities
from labwm.design.reasons import gain, predicted
from labwm.design.start import Ready
from labwm.design.state import State
from labwm.errors import ExhaustedError, InvalidInputError, MoleculeError
from labwm.schema import MoleculeParameter
from labwm.space.questions import Questions, questions_from
from labwm.world_model.contract import WorldModel

Floats = NDArray[np.float64]

UNREADABLE = "unreadable"
NOT_STANDARD = "no-single-parent"
MEASURED = "measured"
REPEATED = "repeated"
UNSUPPORTED = "unsupported"
OUTSCORED = "outscored"
SELECTED = "selected"
MIN_KEPT = 1024
"""Best molecules that are held until all blocks are seen."""


@dataclass(frozen=True)
class Screen:
    """What every block is held against.

    Attributes:
        state: Protocol, what was measured and what is pending; its pool is not read.
        model: Fitted to what was measured.
        filters: Rules that a molecule keeps to.
        min_support: Least closeness to the data, in [0, 1].
        n: Molecules wanted.
    """

    state: State
    model: WorldModel
    filters: Filters
    min_support: float
    n: int

    def __post_init__(self) -> None:
        if self.n < 1:
            raise InvalidInputError(
                f"A short-list holds at least one molecule; got {self.n}. Ask for more."
            )
        if not 0.0 <= self.min_support <= 1.0:
            raise InvalidInputError(
                f"Support lies between 0 and 1; got {self.min_support}. Correct it."
            )
        parameter_of(self.state)

    @property
    def n_kept(self) -> int:
        """Best molecules that a block hands on, and that merging keeps."""
        return max(MIN_KEPT, 16 * self.n)


@dataclass(frozen=True)
class Kept:
    """One molecule that may still be short-listed."""

    log_gain: float
    smiles: str
    label: str
    row: int

    @property
    def rank(self) -> tuple[float, str, int]:
        """Sorts the best first, and equals the same way on every machine."""
        return (-self.log_gain, self.smiles, self.row)


@dataclass(frozen=True)
class BlockResult:
    """What is left of one block, or of several that were merged.

    Attributes:
        n_read: Rows.
        counts: Reason code to rows that it refused so far.
        kept: The best molecules, the best first.
        best_left_out: Log gain of the best molecule that was not kept for want of room.
        verdicts: Code of each row, for a single block; empty once merged.
    """

    n_read: int
    counts: Mapping[str, int]
    kept: tuple[Kept, ...]
    best_left_out: float
    verdicts: tuple[str, ...] = field(default=(), compare=False)


NOTHING = BlockResult(0, {}, (), -np.inf)


@dataclass(frozen=True)
class Listed:
    """One molecule of the short-list, in the order of preference."""

    smiles: str
    label: str
    row: int
    expected_gain: float
    reason: str


@dataclass(frozen=True)
class ShortList:
    """What a screen found.

    Attributes:
        listed: The batch.
        n_read: Rows of the pool.
        counts: Reason code to rows; with `selected` they sum to `n_read`.
        is_exact: Would choosing from every molecule that passed have given the same?
    """

    listed: tuple[Listed, ...]
    n_read: int
    counts: Mapping[str, int]
    is_exact: bool


def screen_block(screen: Screen, block: PoolBlock) -> BlockResult:
    """Standardise, filter, predict and score one block; costs a prediction per row."""
    verdicts, passed = _filtered(screen, block)
    kept: list[Kept] = []
    if passed:
        rows = list(passed)
        asked = _questions(screen.state, [passed[i] for i in rows])
        support = screen.model.support(asked)
        scores = scores_of(screen, asked)
        for i, close, score in zip(rows, support, scores, strict=True):
            if close < screen.min_support:
                verdicts[i] = UNSUPPORTED
                continue
            verdicts[i] = OUTSCORED
            name = block.labels[i]
            kept.append(Kept(float(score), passed[i], name, block.first + i))
    refused = Counter(code for code in verdicts if code != OUTSCORED)
    alone = BlockResult(len(verdicts), dict(refused), tuple(kept), -np.inf)
    merged = merge(alone, NOTHING, screen.n_kept)
    return BlockResult(
        merged.n_read, merged.counts, merged.kept, merged.best_left_out, tuple(verdicts)
    )


def merge(a: BlockResult, b: BlockResult, n_kept: int) -> BlockResult:
    """Return what is left of both; of one molecule the better row stays."""
    best: list[Kept] = []
    seen: set[str] = set()
    for one in sorted((*a.kept, *b.kept), key=lambda kept: kept.rank):
        if one.smiles not in seen:
            seen.add(one.smiles)
            best.append(one)
    left_out = [one.log_gain for one in best[n_kept:]]
    counts = Counter(a.counts) + Counter(b.counts)
    return BlockResult(
        a.n_read + b.n_read,
        dict(sorted(counts.items())),
        tuple(best[:n_kept]),
        max([a.best_left_out, b.best_left_out, *left_out]),
    )


def short_list(screen: Screen, merged: BlockResult) -> ShortList:
    """Choose the batch that adds most together, and so is diverse.

    Raises:
        ExhaustedError: If no molecule passed.
    """
    if not merged.kept:
        raise ExhaustedError(
            f"A short-list needs a molecule that passes; of {merged.n_read} none did: "
            f"{dict(merged.counts)}. Widen the windows or lower the least support."
        )
    asked = _questions(screen.state, [one.smiles for one in merged.kept])
    state = _with_pool(screen.state, asked)
    everything = np.arange(len(asked))
    ready = Ready(candidates_among(state, everything), screen.model, merged.n_read)
    known = known_utilities(state, ready)
    chosen = choose(state, ready, screen.n, improvement_of(state, known), known)
    rows = [int(row) for row in chosen.rows]
    beliefs = predicted(state, ready, rows)
    listed = tuple(
        Listed(one.smiles, one.label, one.row, gain(log_gain), belief)
        for one, log_gain, belief in zip(
            (merged.kept[row] for row in rows), chosen.log_gain, beliefs, strict=True
        )
    )
    n_outscored = merged.n_read - sum(merged.counts.values()) - len(listed)
    counts = dict(merged.counts) | {OUTSCORED: n_outscored, SELECTED: len(listed)}
    # A molecule never adds more to a batch than it adds alone.
    is_exact = bool(chosen.log_gain[-1] >= merged.best_left_out)
    return ShortList(listed, merged.n_read, counts, is_exact)


def scores_of(screen: Screen, asked: Questions) -> Floats:
    """Return the logarithm of what each question is expected to add alone."""
    ready = Ready(candidates_among(screen.state, np.arange(0)), screen.model, 0)
    known = known_utilities(screen.state, ready)
    return gains_of(screen.state, ready, improvement_of(screen.state, known), known)(
        asked
    )


def parameter_of(state: State) -> str:
    """Return the one parameter of a screen: a molecule.

    Raises:
        InvalidInputError: If the protocol chooses anything else.
    """
    chosen = state.protocol.chosen_parameters
    if len(chosen) != 1 or not isinstance(chosen[0], MoleculeParameter):
        raise InvalidInputError(
            "A pool of molecules is screened for a protocol whose only parameter is a "
            f"molecule; {state.protocol.name!r} chooses {[p.name for p in chosen]}. "
            "Fix the others in a protocol of their own."
        )
    return chosen[0].name


def _filtered(screen: Screen, block: PoolBlock) -> tuple[list[str], dict[int, str]]:
    taken = _taken(screen.state)
    verdicts: list[str] = []
    passed: dict[int, str] = {}
    seen: set[str] = set()
    for i, written in enumerate(block.smiles):
        code, smiles = _verdict(screen.filters, taken, written)
        if not code and smiles in seen:
            code = REPEATED
        verdicts.append(code)
        if not code:
            seen.add(smiles)
            passed[i] = smiles
    return verdicts, passed


def _verdict(filters: Filters, taken: frozenset[str], written: str) -> tuple[str, str]:
    try:
        standard = standardise(written)
    except MoleculeError:
        return UNREADABLE, ""
    if standard.is_refused:
        return NOT_STANDARD, ""
    smiles = standard.standardised
    if smiles in taken:
        return MEASURED, ""
    return filters.reason(smiles) or "", smiles


def _taken(state: State) -> frozenset[str]:
    name = parameter_of(state)
    known = (*state.observed.questions.columns[name], *state.pending.columns[name])
    return frozenset(standardise(str(one)).standardised for one in known if one)


def _questions(state: State, smiles: Sequence[str]) -> Questions:
    name = parameter_of(state)
    return questions_from(state.protocol, [{name: one} for one in smiles])


def _with_pool(state: State, pool: Questions) -> State:
    from dataclasses import replace

    return replace(state, pool=pool)


def improvement_of(state: State, known: Floats) -> Improvement:
    """Return what an outcome adds to what is known, for one objective or several."""
    if len(state.protocol.objectives) == 1:
        return improvement_over_best(state, known)
    return improvement_over_front(state, known)
