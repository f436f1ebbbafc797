"""Constraints as small machines that read one value at a time.

A machine turns (state, name, value) into the next state, or into None as soon as no
completion can keep the constraint. Equal states have equal futures: counting merges
them, so that 6**15 points with a sum rule are counted in a moment.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol as Seam

from labwm.errors import SpaceError
from labwm.schema import (
    CardinalityConstraint,
    Constraint,
    ContextParameter,
    ExcludeConstraint,
    LinearConstraint,
    Protocol,
)
from labwm.space.levels import Axis, Level, is_level

State = float | None
TOLERANCE = 1e-9


class Rule(Seam):
    """A constraint over finite parameters."""

    @property
    def names(self) -> frozenset[str]:
        """Names whose values it reads."""
        ...

    @property
    def start(self) -> State:
        """State before the first value."""
        ...

    def step(self, state: State, name: str, value: Level | None) -> tuple[bool, State]:
        """Read one value (None: inactive); return (still possible, next state)."""
        ...


@dataclass(frozen=True)
class ExcludeRule:
    """State 1 while every value so far is a forbidden one, 0 once one is not."""

    when: dict[str, tuple[Level, ...]]
    last: str
    names: frozenset[str]
    start: State = 1.0

    def step(self, state: State, name: str, value: Level | None) -> tuple[bool, State]:
        """See `Rule.step`."""
        matches = bool(state) and is_level(value, self.when[name])
        return not (matches and name == self.last), 1.0 if matches else 0.0


@dataclass(frozen=True)
class RangeRule:
    """State is a running sum, pruned by what the values still to come can add.

    A linear constraint sums weighted values; a cardinality constraint sums ones.
    """

    weights: dict[str, float] | None
    low: float
    high: float
    rest: dict[str, tuple[float, float]]
    """For each name: least and greatest sum of all that comes after it."""
    names: frozenset[str]
    start: State = 0.0

    def step(self, state: State, name: str, value: Level | None) -> tuple[bool, State]:
        """See `Rule.step`."""
        total = round((state or 0.0) + self.term(name, value), 12)
        least, greatest = self.rest[name]
        slack = TOLERANCE * max(1.0, abs(total))
        is_possible = (
            total + least <= self.high + slack and total + greatest >= self.low - slack
        )
        return is_possible, total

    def term(self, name: str, value: Level | None) -> float:
        """Return what one value adds; what is not active adds nothing."""
        if value is None:
            return 0.0
        number = _number(name, value)
        if self.weights is None:
            return float(number != 0.0)
        return self.weights[name] * number


def rules_for(protocol: Protocol, axes: Sequence[Axis]) -> tuple[Rule, ...]:
    """Return the constraints that lie wholly on the finite axes, as machines.

    `depends` is not among them: it decides which axes are active.

    Raises:
        SpaceError: If a constraint names a context, text where a number belongs, or
            mixes finite with continuous parameters.
    """
    order = {axis.name: i for i, axis in enumerate(axes)}
    rules: list[Rule] = []
    for constraint in protocol.constraints:
        names = names_of(constraint)
        if constraint.kind == "depends" or not names & set(order):
            continue
        if not names <= set(order):
            raise SpaceError(
                "A constraint of a space that is walked names finite parameters only; "
                f"got {sorted(names)}. Draw from the space instead."
            )
        rules.append(_rule(constraint, [a for a in axes if a.name in names]))
    return tuple(rules)


def names_of(constraint: Constraint) -> frozenset[str]:
    """Return the condition names that a constraint reads."""
    if isinstance(constraint, LinearConstraint):
        return frozenset(constraint.weights)
    if isinstance(constraint, CardinalityConstraint):
        return frozenset(constraint.of)
    if isinstance(constraint, ExcludeConstraint):
        return frozenset(constraint.when)
    return frozenset({constraint.parameter, constraint.on})


def refuse_context_constraints(protocol: Protocol) -> None:
    """Refuse constraints over what is not chosen: nobody can keep them by choosing."""
    contexts = {p.name for p in protocol.parameters if isinstance(p, ContextParameter)}
    for constraint in protocol.constraints:
        if named := sorted(names_of(constraint) & contexts):
            raise SpaceError(
                f"A constraint names parameters that can be chosen; got the context "
                f"{named[0]!r}. Make it a categorical parameter or drop the constraint."
            )


def _rule(constraint: Constraint, axes: list[Axis]) -> Rule:
    names = frozenset(axis.name for axis in axes)
    if isinstance(constraint, ExcludeConstraint):
        return ExcludeRule(dict(constraint.when), axes[-1].name, names)
    if isinstance(constraint, LinearConstraint):
        weights: dict[str, float] | None = dict(constraint.weights)
        low = -float("inf") if constraint.low is None else constraint.low
        high = float("inf") if constraint.high is None else constraint.high
    elif isinstance(constraint, CardinalityConstraint):
        weights, low, high = None, constraint.at_least, constraint.at_most
    else:
        raise SpaceError(f"Only sums, counts and exclusions are walked; {constraint}.")
    bare = RangeRule(weights, low, high, {}, names)
    rest: dict[str, tuple[float, float]] = {}
    least = greatest = 0.0
    for axis in reversed(axes):
        rest[axis.name] = (least, greatest)
        terms = [bare.term(axis.name, level) for level in axis.levels]
        if axis.rule is not None:
            terms.append(0.0)
        least, greatest = least + min(terms), greatest + max(terms)
    return RangeRule(weights, low, high, rest, names)


def _number(name: str, value: Level) -> float:
    if isinstance(value, str):
        raise SpaceError(
            f"Sums and counts read numbers; {name!r} holds {value!r}. Use an exclusion."
        )
    return value
