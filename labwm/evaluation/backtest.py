"""One campaign on a table: the same `State` as a real one, answered from the table.

Shapes: `t` experiments in the order in which they were measured.
"""

import time
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from labwm.design.state import Batch, State
from labwm.errors import InvalidInputError
from labwm.evaluation.lookup import Lookup
from labwm.evaluation.planners import Planner, planner_of
from labwm.schema import Prediction
from labwm.world_model.contract import SupportsFeedback

Floats = NDArray[np.float64]
LEVEL = 0.9


@dataclass(frozen=True)
class Plan:
    """How a campaign is run.

    Attributes:
        batch: Experiments per round.
        budget: Experiments in all.
        n_initial: Experiments without a model first; one batch when None.
    """

    batch: int
    budget: int
    n_initial: int | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.batch <= self.budget:
            raise InvalidInputError(
                "A batch has at least one experiment and at most the budget; got "
                f"batch={self.batch}, budget={self.budget}. Change one of them."
            )
        if self.n_initial is not None and self.n_initial < 1:
            raise InvalidInputError(
                "A campaign starts with at least one experiment without a model; got "
                f"n_initial={self.n_initial}. Leave it out for one batch."
            )

    def within(self, n_rows: int) -> "Plan":
        """Return the plan that a table of `n_rows` experiments can fulfil."""
        budget = min(self.budget, n_rows)
        return replace(self, budget=budget, batch=min(self.batch, budget))

    @property
    def places(self) -> list[int]:
        """Numbers of experiments after each full round."""
        ends = list(range(self.batch, self.budget + 1, self.batch))
        return ends if ends[-1] == self.budget else [*ends, self.budget]


@dataclass(frozen=True)
class Trace:
    """What one campaign did.

    Attributes:
        rows: Rows of the pool in the order measured, length `t`.
        is_covered: Share of readouts of each experiment inside its 90 % interval
            stated before; NaN where nothing was stated or measured, length `t`.
        is_vacuous: Share of readouts whose prediction was vacuous; NaN where nothing
            was stated, length `t`.
        seconds: Wall time of each round's proposal.
        peak_mb: Largest resident memory of the process so far, in 10**6 bytes.
    """

    rows: NDArray[np.int64]
    is_covered: Floats
    is_vacuous: Floats
    seconds: Floats
    peak_mb: float


def backtest(lookup: Lookup, plan: Plan, *, policy: str, seed: int) -> Trace:
    """Run one campaign of a policy until the budget is spent or nothing is left.

    Args:
        lookup: The table that answers.
        plan: Batch and budget.
        policy: Name of the policy.
        seed: Of the campaign: of every round's choices and of the replicates drawn.
    """
    return play(lookup, plan, planner_of(policy, side_python=None), seed=seed)


def play(lookup: Lookup, plan: Plan, planner: Planner, *, seed: int) -> Trace:
    """Run one campaign of any planner; see `backtest`."""
    rows: list[int] = []
    measured: list[int] = []
    covered: list[float] = []
    vacuous: list[float] = []
    errors = Errors()
    seconds: list[float] = []
    budget = min(plan.budget, len(lookup))
    while len(rows) < budget:
        n = min(plan.batch, budget - len(rows))
        state = state_of(lookup, plan, measured, number=len(seconds), seed=seed)
        if not seconds:
            planner.prepare(state)
        start = time.perf_counter()
        batch = planner.choose(state, n)
        seconds.append(time.perf_counter() - start)
        chosen = [choice.row for choice in batch.choices]
        new = [lookup.measure(row, seed=seed) for row in chosen]
        is_covered, is_vacuous = _scores(lookup, batch, chosen, new, errors)
        covered += is_covered
        vacuous += is_vacuous
        rows += chosen
        measured += new
    return Trace(
        rows=np.array(rows, dtype=np.int64),
        is_covered=np.array(covered),
        is_vacuous=np.array(vacuous),
        seconds=np.array(seconds),
        peak_mb=planner.peak_mb(),
    )


def state_of(
    lookup: Lookup, plan: Plan, measured: list[int], *, number: int, seed: int
) -> State:
    """Return what a policy sees in one round, as a campaign would build it."""
    return State(
        protocol=lookup.protocol,
        pool=lookup.pool,
        pool_sha256=lookup.sha256,
        observed=lookup.observed.take(np.array(measured, dtype=np.int64)),
        pending=lookup.pool.take([]),
        n_left=plan.budget - len(measured),
        n_initial=plan.n_initial or plan.batch,
        round=number,
        seed=round_seed(seed, number),
        sources=lookup.sources,
    )


def round_seed(seed: int, number: int) -> int:
    """Return the seed of one round of a campaign."""
    return int(np.random.SeedSequence([seed, number]).generate_state(1)[0] >> 1)


class Errors:
    """Standardised errors of what a campaign stated before, by readout."""

    def __init__(self) -> None:
        self._by_readout: dict[str, list[float]] = {}

    def so_far(self) -> dict[str, Floats]:
        """Return the errors of each readout in the order they came."""
        return {name: np.array(found) for name, found in self._by_readout.items()}

    def add(self, prediction: Prediction, values: Floats) -> None:
        """Take what was measured, `q x m`; NaN where it is no number."""
        error = (values - prediction.location) / prediction.scale
        for j, name in enumerate(prediction.readouts):
            known = error[~np.isnan(error[:, j]), j]
            self._by_readout.setdefault(name, []).extend(known.tolist())


def _scores(
    lookup: Lookup, batch: Batch, chosen: list[int], new: list[int], errors: Errors
) -> tuple[list[float], list[float]]:
    if batch.model is None:
        return [np.nan] * len(chosen), [np.nan] * len(chosen)
    model = batch.model
    if isinstance(model, SupportsFeedback):
        model = model.under_feedback(errors.so_far())
    prediction = model.predict(lookup.pool.take(chosen))
    low, high = prediction.interval(LEVEL)
    values = lookup.observed.values[new]
    # A limit such as `<5` is no number that an interval could hold or miss.
    is_number = ~np.isnan(values) & (lookup.observed.censoring[new] == 0)
    inside = np.where(is_number, (low <= values) & (values <= high), np.nan)
    errors.add(prediction, np.where(is_number, values, np.nan))
    return _row_means(inside), _row_means(prediction.is_vacuous.astype(float))


def _row_means(values: Floats) -> list[float]:
    return [
        float(np.mean(row[~np.isnan(row)])) if np.any(~np.isnan(row)) else np.nan
        for row in values
    ]
