"""How every policy with a model begins: without one."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from labwm.design.candidates import Candidates, candidates_of
from labwm.design.search import Found
from labwm.design.space_filling import space_filling
from labwm.design.state import Batch, State
from labwm.errors import NotEnoughDataError
from labwm.space.questions import Questions
from labwm.world_model.contract import WorldModel

RECIPE = "explore"
"""The recipe that finds best, which is not the one that predicts best: a state's own
unless it says otherwise."""


@dataclass(frozen=True)
class Ready:
    """What a policy with a model needs.

    Attributes:
        candidates: What is left of the pool, and what a search found.
        model: Fitted to everything measured.
        n_considered: Candidates that are compared.
        log_price: Logarithm of what each question costs, where gains count per price.
    """

    candidates: Candidates
    model: WorldModel
    n_considered: int
    log_price: Callable[[Questions], NDArray[np.float64]] | None = None

    def after(self, found: Found) -> tuple[State, "Ready"]:
        """Return state and candidates as a search left them."""
        ready = replace(
            self, candidates=found.candidates, n_considered=found.n_considered
        )
        return found.state, ready


def ready_or_start(state: State, n: int) -> Ready | Batch:
    """Return a model, or the first batch to take while there is none.

    It fills the space, or follows earlier assays where the state has any.

    There is none until `n_initial` experiments were sent, and while too few of them
    gave a number; the reasons of the batch say so.

    Raises:
        SpaceError: If nothing is left of the pool.
    """
    candidates = candidates_of(state)
    n_sent = len(set(state.observed.questions.keys())) + len(state.pending)
    if n_sent < state.n_initial:
        return _start(state, n)
    try:
        model = _model(state)
    except NotEnoughDataError as error:
        return _because(_start(state, n), error)
    return Ready(candidates, model, len(candidates.rows))


def _start(state: State, n: int) -> Batch:
    if not state.sources:
        return space_filling(state, n)
    from labwm.design.transfer import start_from_sources

    return start_from_sources(state, n)


def _model(state: State) -> WorldModel:
    if state.sources:
        from labwm.design.transfer import fit_with_sources

        return fit_with_sources(state)
    from labwm.world_model import fit

    return fit(state.observed, state.protocol, recipe=state.recipe, seed=state.seed)


def _because(batch: Batch, error: NotEnoughDataError) -> Batch:
    choices = tuple(
        replace(choice, reason=f"{choice.reason}; no model yet: {error}")
        for choice in batch.choices
    )
    return replace(batch, choices=choices)
