"""Choose the next batch: one function in front of every policy."""

from collections.abc import Callable

from labwm.design.active_learning import active_learning
from labwm.design.expected_improvement import expected_improvement
from labwm.design.greedy import greedy
from labwm.design.hypervolume_improvement import hypervolume_improvement
from labwm.design.improvement_per_cost import improvement_per_cost, require_prices
from labwm.design.random_choice import random_choice
from labwm.design.space_filling import space_filling
from labwm.design.state import Batch, State
from labwm.design.thompson import thompson
from labwm.errors import InvalidInputError, NotFoundError, suggest
from labwm.schema import Protocol

Policy = Callable[[State, int], Batch]
"""Chooses at most so many rows of the state's pool; pure in its arguments."""


def default(state: State, n: int) -> Batch:
    """Space-filling first, then the improvement that fits the objectives."""
    if len(state.protocol.objectives) == 1:
        return expected_improvement(state, n)
    return hypervolume_improvement(state, n)


POLICIES: dict[str, Policy] = {
    "active_learning": active_learning,
    "default": default,
    "expected_improvement": expected_improvement,
    "greedy": greedy,
    "hypervolume_improvement": hypervolume_improvement,
    "improvement_per_cost": improvement_per_cost,
    "random": random_choice,
    "space_filling": space_filling,
    "thompson": thompson,
}
_FOR_SEVERAL = {"expected_improvement": False, "hypervolume_improvement": True}
"""Policies for one objective only, or for several only."""


def propose(state: State, *, n: int, policy: str = "default") -> Batch:
    """Choose the next `n` experiments.

    The same state gives the same choices. What was measured, failed or is pending is
    never chosen. Parameters that the protocol declares hard to change (`change:
    per_batch` or `per_plate`) have one value in the whole batch, for every policy.

    Args:
        state: All that the policy may look at.
        n: Experiments wanted; fewer come back where fewer are left, or where a
            hard-to-change value has fewer.
        policy: Name from `POLICIES`.

    Raises:
        NotFoundError: If no policy has that name.
        InvalidInputError: If `n` is below 1.
        SpaceError: If the pool has nothing left.
    """
    require_policy(policy)
    if n < 1:
        raise InvalidInputError(
            f"A batch has at least one experiment; got n={n}. Ask for 1 or more."
        )
    return POLICIES[policy](state, n)


def require_policy(policy: str, protocol: Protocol | None = None) -> None:
    """Refuse an unknown policy, or one that does not fit, before any work.

    Raises:
        NotFoundError: If no policy has that name.
        InvalidInputError: If it takes another number of objectives than the protocol's.
    """
    if policy not in POLICIES:
        raise NotFoundError(
            f"A policy is known by its name; got {policy!r}. "
            f"{suggest(policy, POLICIES)}"
        )
    if protocol is not None and policy == "improvement_per_cost":
        require_prices(protocol)
    if protocol is None or policy not in _FOR_SEVERAL:
        return
    if _FOR_SEVERAL[policy] != (len(protocol.objectives) > 1):
        wanted = "two objectives or more" if _FOR_SEVERAL[policy] else "one objective"
        raise InvalidInputError(
            f"{policy} takes {wanted}; the protocol {protocol.name!r} has "
            f"{len(protocol.objectives)}. Use default, which takes any number."
        )
