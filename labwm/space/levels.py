"""The levels of a parameter, and the order in which parameters are decided."""

from dataclasses import dataclass

from labwm.errors import SpaceError
from labwm.schema import (
    CategoricalParameter,
    ContinuousParameter,
    DependsConstraint,
    DiscreteParameter,
    MixtureParameter,
    MoleculeParameter,
    Parameter,
    Protocol,
)

Level = float | str


def levels_of(parameter: Parameter) -> tuple[Level, ...] | None:
    """Return the levels of a finite parameter; None where it is continuous.

    Raises:
        SpaceError: If the levels are to come from a table or a library that has not
            been read yet.
    """
    if isinstance(parameter, DiscreteParameter):
        return parameter.levels
    if isinstance(parameter, ContinuousParameter | MixtureParameter):
        return None
    levels: tuple[str, ...] | None = None
    if isinstance(parameter, CategoricalParameter):
        levels = parameter.levels
    elif isinstance(parameter, MoleculeParameter):
        levels = parameter.smiles
    if levels is None:
        raise SpaceError(
            f"A space needs the levels of every parameter; {parameter.name!r} lists "
            "none. List them in the protocol, or fill them from a table."
        )
    return levels


@dataclass(frozen=True)
class Axis:
    """One finite parameter, with what decides whether it exists."""

    name: str
    levels: tuple[Level, ...]
    rule: DependsConstraint | None = None


def finite_axes(protocol: Protocol) -> tuple[Axis, ...]:
    """Return the finite parameters; each stands after what its existence depends on.

    Raises:
        SpaceError: If levels are missing, a parameter has two `depends` rules, or the
            rules form a circle.
    """
    rules = depends_rules(protocol)
    axes = [
        Axis(parameter.name, levels, rules.get(parameter.name))
        for parameter in protocol.chosen_parameters
        if (levels := levels_of(parameter)) is not None
    ]
    return tuple(_ordered(axes))


def depends_rules(protocol: Protocol) -> dict[str, DependsConstraint]:
    """Return the rule of each conditional parameter, keyed by its name."""
    rules: dict[str, DependsConstraint] = {}
    for rule in protocol.constraints:
        if not isinstance(rule, DependsConstraint):
            continue
        if rule.parameter in rules:
            raise SpaceError(
                f"A parameter depends on one other; {rule.parameter!r} has two "
                "`depends` rules. Keep one of them."
            )
        rules[rule.parameter] = rule
    return rules


def _ordered(axes: list[Axis]) -> list[Axis]:
    _refuse_unknown_deciders(axes)
    ordered: list[Axis] = []
    waiting = list(axes)
    while waiting:
        done = {axis.name for axis in ordered}
        ready = [axis for axis in waiting if axis.rule is None or axis.rule.on in done]
        if not ready:
            raise SpaceError(
                "What depends on another parameter may not decide it in turn; got a "
                f"circle among {sorted(axis.name for axis in waiting)}. Break it."
            )
        ordered.append(ready[0])
        waiting.remove(ready[0])
    return ordered


def _refuse_unknown_deciders(axes: list[Axis]) -> None:
    names = {axis.name for axis in axes}
    for axis in axes:
        if axis.rule is not None and axis.rule.on not in names:
            raise SpaceError(
                f"Only a parameter with levels decides whether another exists; "
                f"{axis.name!r} depends on {axis.rule.on!r}, which has none. Change "
                "the `depends` rule."
            )


def is_level(value: Level | None, levels: tuple[Level, ...]) -> bool:
    """Is the value one of the levels? Numbers may differ by rounding."""
    return value is not None and any(same_level(value, level) for level in levels)


def same_level(a: Level, b: Level) -> bool:
    """Are two levels the same? Numbers agree within a relative 1e-9."""
    if isinstance(a, str) or isinstance(b, str):
        return a == b
    return abs(a - b) <= 1e-9 * max(abs(a), abs(b), 1e-300)
