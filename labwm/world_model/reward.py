"""What outcomes are worth and what experiments cost: the one place that says so.

Utilities are on the readouts' scales and larger is better: `maximise` takes the readout
itself, `minimise` its negative, `match` the negative distance from the target.
Shapes: `n` rows, `m` readouts, `k` objectives; `...` any leading dimensions, such as
draws.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from labwm.errors import InvalidInputError
from labwm.schema import (
    Conditions,
    Costs,
    Goal,
    Objective,
    OutcomeConstraint,
    Protocol,
)
from labwm.world_model.hypervolume import hypervolumes

Floats = NDArray[np.float64]


def utility(objective: Objective, values: ArrayLike) -> Floats:
    """Return the utility of values of the objective's readout, any shape."""
    values = np.asarray(values, float)
    match objective.goal:
        case Goal.MAXIMISE:
            return values
        case Goal.MINIMISE:
            return -values
        case Goal.MATCH:
            return -np.abs(values - target_of(objective))


def utilities(protocol: Protocol, values: ArrayLike) -> Floats:
    """Return every objective's utility of rows of readouts, `... x m` to `... x k`.

    Raises:
        InvalidInputError: If the last dimension is not the protocol's readouts.
    """
    values = _rows(protocol, values)
    names = protocol.readout_names
    parts = [
        utility(objective, values[..., names.index(objective.readout)])
        for objective in protocol.objectives
    ]
    return np.stack(parts, axis=-1)


def reference_utility(objective: Objective) -> float | None:
    """Return the declared worst utility still of interest, or None."""
    if objective.reference is None:
        return None
    if objective.goal is Goal.MATCH:
        return -abs(objective.reference)
    return float(utility(objective, objective.reference))


def target_of(objective: Objective) -> float:
    """Return the target of an objective with the goal `match`."""
    assert objective.target is not None  # the record guarantees it for `match`
    return objective.target


def violations(protocol: Protocol, values: ArrayLike) -> Floats:
    """Return how far each outcome constraint is broken, `... x m` to `... x c`.

    In the readouts' units; 0 where it is kept. A missing value breaks nothing: whether
    that counts is for the caller, who sees it.
    """
    values = _rows(protocol, values)
    names = protocol.readout_names
    parts = [
        _beyond(limit, values[..., names.index(limit.readout)])
        for limit in protocol.outcome_constraints
    ]
    return np.stack(parts, axis=-1) if parts else np.zeros((*values.shape[:-1], 0))


def is_feasible(protocol: Protocol, values: ArrayLike) -> NDArray[np.bool_]:
    """Tell which rows keep every outcome constraint, `... x m` to `...`."""
    return np.all(violations(protocol, values) == 0.0, axis=-1)


def prices(costs: Costs, rows: Sequence[Conditions]) -> Floats:
    """Return the price of each experiment, its levels included, length `n`.

    In the protocol's currency; a batch costs `costs.per_batch.amount` beside. Levels
    with a price are added once per experiment that uses them.
    """
    levels = [_level_prices(costs, row) for row in rows]
    return costs.per_experiment.amount + np.array(levels, dtype=float)


TERMS: Final = ("utility_gain", "cost", "information")
"""Every term of a reward, in the order in which they are told."""


@dataclass(frozen=True)
class Reward:
    """What one experiment was worth, term by term.

    Attributes:
        utility_gain: Growth of the dominated volume, in units of `RewardSpec.scale`.
        cost: Price as a share of the whole budget's, times `RewardSpec.cost_weight`.
        information: Difference of the potential of knowledge; see `RewardSpec.shaping`.
    """

    utility_gain: float
    cost: float
    information: float = 0.0

    @property
    def total(self) -> float:
        """Gain minus cost, with the potential's difference."""
        return self.utility_gain - self.cost + self.information

    def terms(self) -> dict[str, float]:
        """Return every term by its name; they add up to `total`."""
        values = (self.utility_gain, -self.cost, self.information)
        return dict(zip(TERMS, values, strict=True))


@dataclass(frozen=True)
class RewardSpec:
    """How rewards are made of outcomes: utility gain minus cost.

    The gain telescopes: over an episode it adds up to the volume that all feasible
    outcomes dominate, so that no order of experiments farms it.

    Attributes:
        protocol: Says what is wanted.
        reference: Worst utilities still of interest, `k`.
        scale: Utilities that count as one, `k`.
        cost_weight: Reward that the whole budget costs.
        information_weight: Potential of knowing the whole pool; 0 leaves it out.
        discount: Of a reward one step later, which the potential is shaped for.
    """

    protocol: Protocol
    reference: tuple[float, ...]
    scale: tuple[float, ...]
    cost_weight: float = 0.1
    information_weight: float = 0.0
    discount: float = 1.0

    def value(self, values: ArrayLike) -> float:
        """Return the volume that rows of readouts dominate, `n x m`, in scales.

        Rows with a missing readout or a broken outcome constraint count nothing.
        """
        return float(self.values(_rows(self.protocol, values)[None])[0])

    def values(self, values: ArrayLike) -> Floats:
        """Return `value` of each of `e` sets of rows, `e x n x m` to `e`."""
        values = _rows(self.protocol, values)
        worth = utilities(self.protocol, values)
        counts = is_feasible(self.protocol, values)[..., None]
        scale = np.asarray(self.scale)
        reached = np.where(counts, worth, np.nan) / scale
        return hypervolumes(reached, np.asarray(self.reference) / scale)

    def shaping(
        self, before: ArrayLike, after: ArrayLike, *, has_ended: ArrayLike
    ) -> Floats:
        """Return what learning earns in steps, any shape: a potential's difference.

        `F = discount * potential(after) - potential(before)`, where the potential is
        the share of the pool's variance removed, times its weight, and 0 once an
        episode has ended. Over any closed loop, and over any whole episode, the
        discounted sum is the same whatever is done: information hurries an agent's
        learning, and no order of experiments farms it.

        Args:
            before: Share known before the step, in [0, 1].
            after: Share known by its end.
            has_ended: Does the episode end with the step?

        Reference:
            Ng, Harada & Russell, Policy invariance under reward transformations, ICML
            1999.
        """
        left = np.where(has_ended, 0.0, np.asarray(after, float))
        gain = self.discount * left - np.asarray(before, float)
        return self.information_weight * gain

    def reward(
        self,
        before: ArrayLike,
        after: ArrayLike,
        *,
        cost_share: float,
        information: float = 0.0,
    ) -> Reward:
        """Return the reward of the step from some rows of readouts to more of them.

        Args:
            before: Readouts measured before the step, `n x m`.
            after: Readouts measured by its end, those before included.
            cost_share: Price of the step as a share of the budget's.
            information: What `shaping` gives for it.
        """
        gain = self.value(after) - self.value(before)
        return Reward(gain, self.cost_weight * cost_share, information)


def reward_spec(
    protocol: Protocol,
    expected: ArrayLike,
    *,
    cost_weight: float = 0.1,
    information_weight: float = 0.0,
    discount: float = 1.0,
) -> RewardSpec:
    """Return the default reward, scaled by what a model expects of a pool.

    The unit is one standard deviation of the expected utilities over the pool. Without
    a declared reference the worst expected utility stands for it.

    Args:
        protocol: Says what is wanted.
        expected: Expected readouts of the pool, `n x m`.
        cost_weight: Reward that the whole budget costs.
        information_weight: Potential of knowing the whole pool.
        discount: Of a reward one step later.

    Raises:
        InvalidInputError: If a weight is negative, or the discount outside (0, 1].
    """
    if min(cost_weight, information_weight) < 0 or not 0 < discount <= 1:
        raise InvalidInputError(
            "Weights of a reward are 0 or more and its discount is in (0, 1]; got "
            f"cost_weight={cost_weight:g}, information_weight={information_weight:g}, "
            f"discount={discount:g}. Change what is outside."
        )
    worth = utilities(protocol, expected)
    spread = worth.std(axis=0)
    references = [reference_utility(objective) for objective in protocol.objectives]
    return RewardSpec(
        protocol=protocol,
        reference=tuple(
            float(worst) if declared is None else declared
            for declared, worst in zip(references, worth.min(axis=0), strict=True)
        ),
        scale=tuple(float(s) for s in np.where(spread > 0, spread, 1.0)),
        cost_weight=cost_weight,
        information_weight=information_weight,
        discount=discount,
    )


def _rows(protocol: Protocol, values: ArrayLike) -> Floats:
    values = np.asarray(values, float)
    m = len(protocol.readout_names)
    if values.ndim == 0 or values.shape[-1] != m:
        raise InvalidInputError(
            f"Readouts are rows of {m}: {list(protocol.readout_names)}; got the shape "
            f"{values.shape}. Pass one column per readout."
        )
    return values


def _beyond(limit: OutcomeConstraint, values: Floats) -> Floats:
    low = -np.inf if limit.at_least is None else limit.at_least
    high = np.inf if limit.at_most is None else limit.at_most
    return np.nan_to_num(np.maximum(np.maximum(low - values, values - high), 0.0))


def _level_prices(costs: Costs, row: Mapping[str, float | str]) -> float:
    total = 0.0
    for name, levels in costs.levels.items():
        level = levels.get(_level_name(row.get(name)))
        total += (level.price or 0.0) if level else 0.0
    return total


def _level_name(value: float | str | None) -> str:
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
