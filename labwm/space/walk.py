"""Count and walk the finite part of a space without ever building it.

Shapes: `a` axes. The state after `i` axes is what the constraints still need to know.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from labwm.schema import Conditions, Protocol
from labwm.space.levels import Axis, Level, finite_axes, is_level
from labwm.space.rules import Rule, State, refuse_context_constraints, rules_for

MAX_STATES = 50_000
"""Distinct futures kept while counting; beyond it a count would take minutes."""

Memory = tuple[tuple[str, Level | None], ...]


@dataclass(frozen=True)
class Node:
    """What decides the future: rule states and the values that others depend on."""

    states: tuple[State, ...]
    memory: Memory = ()


@dataclass(frozen=True)
class Walk:
    """The finite axes of a protocol with their rules, ready to count or iterate."""

    axes: tuple[Axis, ...]
    rules: tuple[Rule, ...]

    def product_size(self) -> int:
        """Return the number of points if no constraint applied."""
        return math.prod(len(axis.levels) for axis in self.axes)

    def count(self) -> int | None:
        """Count the feasible points exactly, at a cost of `states x levels`.

        None where the constraints leave more than `MAX_STATES` distinct partial sums.
        """
        layer: dict[Node, int] = {self.root(): 1}
        for i in range(len(self.axes)):
            following: dict[Node, int] = {}
            for node, n in layer.items():
                for _, child, multiplicity in self.branches(node, i):
                    following[child] = following.get(child, 0) + n * multiplicity
                if len(following) > MAX_STATES:
                    return None
            layer = following
        return sum(layer.values())

    def points(self) -> Iterator[Conditions]:
        """Yield the feasible points one after another, pruned as early as can be."""
        yield from self._below(self.root(), 0, {})

    def _below(self, node: Node, i: int, chosen: Conditions) -> Iterator[Conditions]:
        if i == len(self.axes):
            yield dict(chosen)
            return
        name = self.axes[i].name
        for value in self._values(node, i):
            child = self._child(node, i, value)
            if child is None:
                continue
            if value is None:
                yield from self._below(child, i + 1, chosen)
            else:
                yield from self._below(child, i + 1, {**chosen, name: value})

    @cached_property
    def _later(self) -> tuple[frozenset[str], ...]:
        """Names of the axes that come after each axis."""
        names = [axis.name for axis in self.axes]
        return tuple(frozenset(names[i + 1 :]) for i in range(len(names)))

    @cached_property
    def _needed(self) -> tuple[frozenset[str], ...]:
        """Names whose values decide the existence of an axis after each axis."""
        ons = [axis.rule.on if axis.rule else "" for axis in self.axes]
        return tuple(frozenset(ons[i + 1 :]) for i in range(len(ons)))

    @cached_property
    def _is_free(self) -> tuple[bool, ...]:
        """Axes whose value changes nothing for any other axis."""
        return tuple(
            axis.name not in self._needed[i]
            and not any(axis.name in rule.names for rule in self.rules)
            for i, axis in enumerate(self.axes)
        )

    def root(self) -> Node:
        """Return the state before any axis is decided."""
        return Node(tuple(rule.start for rule in self.rules))

    def _values(self, node: Node, i: int) -> tuple[Level | None, ...]:
        rule = self.axes[i].rule
        if rule is None:
            return self.axes[i].levels
        on = dict(node.memory).get(rule.on)
        return self.axes[i].levels if is_level(on, rule.values) else (None,)

    def branches(
        self, node: Node, i: int
    ) -> list[tuple[list[Level | None], Node, int]]:
        """Group the values that lead to one future: (values, node, how many)."""
        values = self._values(node, i)
        if self._is_free[i] and values:
            child = self._child(node, i, values[0])
            return [(list(values), child, len(values))] if child else []
        groups: dict[Node, list[Level | None]] = {}
        for value in values:
            if (child := self._child(node, i, value)) is not None:
                groups.setdefault(child, []).append(value)
        return [(values, child, len(values)) for child, values in groups.items()]

    def _child(self, node: Node, i: int, value: Level | None) -> Node | None:
        name, later = self.axes[i].name, self._later[i]
        states: list[State] = []
        for rule, state in zip(self.rules, node.states, strict=True):
            after = state
            if name in rule.names:
                is_possible, after = rule.step(state, name, value)
                if not is_possible:
                    return None
            # A rule that has read all its names is kept for good: forget its state.
            states.append(after if rule.names & later else None)
        return Node(tuple(states), self._remember(node.memory, i, value))

    def _remember(self, memory: Memory, i: int, value: Level | None) -> Memory:
        needed = self._needed[i]
        known = (*memory, (self.axes[i].name, value))
        return tuple((name, v) for name, v in known if name in needed)


def walk_of(protocol: Protocol) -> Walk:
    """Return the walk over the finite part of a protocol's space."""
    refuse_context_constraints(protocol)
    axes = finite_axes(protocol)
    return Walk(axes, rules_for(protocol, axes))
