"""Policy `improvement_per_cost`: what each candidate may add, per unit of its price."""

from dataclasses import replace

import numpy as np

from labwm.design.expected_improvement import expected_improvement_of
from labwm.design.hypervolume_improvement import hypervolume_improvement_of
from labwm.design.start import ready_or_start
from labwm.design.state import Batch, Choice, State
from labwm.errors import InvalidInputError
from labwm.schema import Protocol
from labwm.space.questions import Questions
from labwm.world_model.reward import prices

NAME = "improvement_per_cost"
VERSION = "1"


def improvement_per_cost(state: State, n: int) -> Batch:
    """Choose the batch of the largest expected improvement per price.

    A batch's own price does not tell candidates apart and does not count. One objective
    or several.

    Raises:
        InvalidInputError: If the protocol gives experiments no price.

    Reference:
        Snoek, Larochelle & Adams, NeurIPS 2012, arXiv 1206.2944, section 3.2.
    """
    require_prices(state.protocol)
    ready = ready_or_start(state, n)
    if isinstance(ready, Batch):
        return ready

    def log_price(asked: Questions) -> np.ndarray:
        return np.log(np.maximum(prices(state.protocol.costs, asked.rows()), 1e-12))

    priced = replace(ready, log_price=log_price)
    single = len(state.protocol.objectives) == 1
    chosen = (expected_improvement_of if single else hypervolume_improvement_of)(
        state, priced, n
    )
    pool = state.pool if chosen.pool is None else chosen.pool
    costs = prices(
        state.protocol.costs, [pool.row(choice.row) for choice in chosen.choices]
    )
    currency = state.protocol.costs.per_experiment.currency or ""
    choices = tuple(
        replace(choice, reason=_reason(choice, float(cost), currency))
        for choice, cost in zip(chosen.choices, costs, strict=True)
    )
    return replace(chosen, choices=choices, policy=NAME, policy_version=VERSION)


def _reason(choice: Choice, cost: float, currency: str) -> str:
    # What was expected to be gained stands before the first semicolon, per price here.
    belief = choice.reason.partition("; ")[2]
    return (
        f"expected to gain {choice.acquisition:.3g} per {currency or 'unit of price'}, "
        f"at a price of {cost:g}; {belief}"
    )


def require_prices(protocol: Protocol) -> None:
    """Refuse a protocol whose experiments cost nothing.

    Raises:
        InvalidInputError: If neither experiments nor levels have a price.
    """
    levels = [c.price for own in protocol.costs.levels.values() for c in own.values()]
    if protocol.costs.per_experiment.amount <= 0 and not any(levels):
        raise InvalidInputError(
            f"{NAME} needs prices; the protocol {protocol.name!r} declares none for "
            "experiments or levels. Add `costs`, or use default."
        )
