"""Do conditions lie in the declared space, and if not, why not?"""

from dataclasses import dataclass

from labwm.errors import SpaceError, suggest
from labwm.schema import (
    CardinalityConstraint,
    CategoricalParameter,
    Conditions,
    Constraint,
    ContextParameter,
    ContinuousParameter,
    DependsConstraint,
    DiscreteParameter,
    ExcludeConstraint,
    LinearConstraint,
    MixtureParameter,
    MoleculeParameter,
    Parameter,
    Protocol,
)
from labwm.space.levels import depends_rules, is_level, same_level

MIXTURE_TOLERANCE = 1e-6
TOLERANCE = 1e-9


def check(protocol: Protocol, conditions: Conditions) -> None:
    """Check one experiment's conditions.

    Raises:
        SpaceError: If they lie outside the space; every broken rule is named.
    """
    if broken := membership_of(protocol).problems(conditions):
        raise SpaceError("\n".join(broken))


def contains(protocol: Protocol, conditions: Conditions) -> bool:
    """Do the conditions lie in the space?"""
    return not membership_of(protocol).problems(conditions)


def on_levels(protocol: Protocol, conditions: Conditions) -> Conditions:
    """Return conditions with each number that stands for a level written as that level.

    Membership allows for rounding (0.1 + 0.2 is the level 0.3); an experiment is then
    known by its level, or it would be another one than the same experiment before.
    """
    levels = {
        p.name: p.levels
        for p in protocol.parameters
        if isinstance(p, DiscreteParameter)
    }
    return {
        name: next((v for v in levels.get(name, ()) if same_level(value, v)), value)
        for name, value in conditions.items()
    }


@dataclass(frozen=True)
class Membership:
    """The rules of one space, ready to be asked about many rows."""

    protocol: Protocol
    rules: dict[str, DependsConstraint]
    texts: dict[str, frozenset[str]]
    """Levels of the parameters that list names or SMILES."""

    def problems(self, conditions: Conditions) -> list[str]:
        """Return a sentence for every rule that the conditions break."""
        names = self.protocol.condition_names
        broken = [
            f"Conditions name parameters of the protocol; got {name!r}. "
            f"{suggest(name, names)}"
            for name in conditions
            if name not in names
        ]
        for parameter in self.protocol.parameters:
            broken += self.parameter_problems(parameter, conditions)
        if broken:
            return broken
        return [
            problem
            for constraint in self.protocol.constraints
            if (problem := _constraint_problem(constraint, conditions))
        ]

    def parameter_problems(
        self, parameter: Parameter, conditions: Conditions
    ) -> list[str]:
        """Return what is wrong with one parameter's value."""
        if isinstance(parameter, MixtureParameter):
            return _mixture_problems(parameter, conditions)
        name = parameter.name
        value = conditions.get(name)
        rule = self.rules.get(name)
        if rule is not None and not is_level(conditions.get(rule.on), rule.values):
            return [] if value is None else [_inactive_problem(name, rule, conditions)]
        if value is None:
            if isinstance(parameter, ContextParameter):
                return []
            return [f"Every parameter needs a value; {name!r} has none. Give one."]
        if name in self.texts:
            problem = _level_problem(name, value, self.texts[name])
        else:
            problem = _number_problem(parameter, value)
        return [problem] if problem else []


def membership_of(protocol: Protocol) -> Membership:
    """Prepare the rules of a protocol's space."""
    texts: dict[str, frozenset[str]] = {}
    for parameter in protocol.parameters:
        if isinstance(parameter, CategoricalParameter) and parameter.levels:
            texts[parameter.name] = frozenset(parameter.levels)
        elif isinstance(parameter, MoleculeParameter) and parameter.smiles:
            texts[parameter.name] = frozenset(parameter.smiles)
    return Membership(protocol, depends_rules(protocol), texts)


def _inactive_problem(
    name: str, rule: DependsConstraint, conditions: Conditions
) -> str:
    return (
        f"{name!r} exists only where {rule.on!r} is one of {list(rule.values)}; got "
        f"{conditions[name]!r} with {rule.on} = {conditions.get(rule.on)!r}. Leave it "
        "out."
    )


def _level_problem(name: str, value: float | str, levels: frozenset[str]) -> str | None:
    if value in levels:
        return None
    return (
        f"{name!r} takes one of its {len(levels)} levels; got {value!r}. "
        f"{suggest(str(value), levels)}"
    )


def _number_problem(parameter: Parameter, value: float | str) -> str | None:
    if not isinstance(parameter, ContinuousParameter | DiscreteParameter):
        return None
    if isinstance(value, str):
        return (
            f"The parameter {parameter.name!r} takes numbers; got {value!r}. Write "
            f"a number{_in_unit(parameter)}."
        )
    if isinstance(parameter, ContinuousParameter):
        return _bounds_problem(parameter, value)
    if is_level(value, parameter.levels):
        return None
    return (
        f"{parameter.name!r} takes one of {_shown(parameter.levels)}"
        f"{_in_unit(parameter)}; got {value:g}. The nearest is "
        f"{min(parameter.levels, key=lambda level: abs(level - value)):g}."
    )


def _bounds_problem(parameter: ContinuousParameter, value: float) -> str | None:
    low, high = parameter.bounds
    slack = TOLERANCE * max(abs(low), abs(high))
    if low - slack <= value <= high + slack:
        return None
    return (
        f"{parameter.name!r} lies between {low:g} and {high:g}{_in_unit(parameter)}; "
        f"got {value:g}. Correct it or widen the bounds."
    )


def _mixture_problems(parameter: MixtureParameter, conditions: Conditions) -> list[str]:
    values = [conditions.get(column) for column in parameter.part_columns]
    numbers = [value for value in values if isinstance(value, int | float)]
    if len(numbers) < len(values):
        return [
            f"The mixture {parameter.name!r} needs a fraction for each of its parts "
            f"{list(parameter.parts)}; got {values}. Write 0 for what is absent."
        ]
    total = sum(numbers)
    if min(numbers) < -MIXTURE_TOLERANCE or abs(total - 1.0) > MIXTURE_TOLERANCE:
        return [
            f"The parts of {parameter.name!r} are fractions that sum to 1; got "
            f"{numbers}, which sum to {total:g}. Correct them."
        ]
    return []


def _constraint_problem(constraint: Constraint, conditions: Conditions) -> str | None:
    if isinstance(constraint, LinearConstraint):
        return _linear_problem(constraint, conditions)
    if isinstance(constraint, CardinalityConstraint):
        n = sum(1 for name in constraint.of if conditions.get(name, 0.0) != 0.0)
        if constraint.at_least <= n <= constraint.at_most:
            return None
        return (
            f"From {constraint.at_least} to {constraint.at_most} of "
            f"{list(constraint.of)} differ from zero; got {n}. Change them."
        )
    if isinstance(constraint, ExcludeConstraint) and all(
        is_level(conditions.get(name), values)
        for name, values in constraint.when.items()
    ):
        return (
            f"These may not stand together: {constraint.when}; got "
            f"{ {name: conditions[name] for name in constraint.when} }. Change one."
        )
    return None


def _linear_problem(constraint: LinearConstraint, conditions: Conditions) -> str | None:
    total = 0.0
    for name, weight in constraint.weights.items():
        value = conditions.get(name, 0.0)
        if isinstance(value, str):
            return f"A sum reads numbers; {name!r} is {value!r}. Use an exclusion."
        total += weight * value
    slack = TOLERANCE * max(1.0, abs(total))
    is_low = constraint.low is not None and total < constraint.low - slack
    is_high = constraint.high is not None and total > constraint.high + slack
    if not (is_low or is_high):
        return None
    return (
        f"The sum over {constraint.weights} lies between {constraint.low} and "
        f"{constraint.high}; got {total:g}. Change one of them."
    )


def _in_unit(parameter: Parameter) -> str:
    return f" {parameter.unit}" if parameter.unit else ""


def _shown(levels: tuple[float, ...]) -> str:
    shown = ", ".join(f"{level:g}" for level in levels[:12])
    return f"[{shown}{', …' if len(levels) > 12 else ''}]"
