"""Points of a space that differ from another in one parameter, made, never listed.

Shapes: `r` rows.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from labwm.schema import (
    CardinalityConstraint,
    Conditions,
    ContinuousParameter,
    MixtureParameter,
    Parameter,
    Protocol,
    Scale,
)
from labwm.space.levels import Level, depends_rules, is_level, levels_of
from labwm.space.membership import Membership

MAX_LEVELS = 48
"""Levels of one parameter tried from one point; of more, so many are drawn."""
STEPS = (0.25, 0.06, 0.015)
"""Standard deviations of steps in a number, in parts of its range."""


def neighbours(
    membership: Membership, row: Conditions, rng: np.random.Generator
) -> Iterator[Conditions]:
    """Yield feasible points that differ from a row in one parameter.

    A parameter that begins to exist is drawn; one that ends is left out.
    """
    protocol = membership.protocol
    # Levels, bounds, sums and what exists hold by construction.
    is_free = all(c.kind == "depends" for c in protocol.constraints)
    for parameter in protocol.chosen_parameters:
        if not _exists(parameter, row):
            continue
        for changed in _changed(parameter, row, rng, protocol):
            completed = _completed(protocol, {**row, **changed}, rng)
            if is_free or not membership.problems(completed):
                yield completed


def crossings(
    membership: Membership,
    rows: Sequence[Conditions],
    n: int,
    rng: np.random.Generator,
) -> Iterator[Conditions]:
    """Yield feasible points that take each parameter from one of two rows."""
    if len(rows) < 2:
        return
    protocol = membership.protocol
    for _ in range(n):
        first, second = (rows[i] for i in rng.choice(len(rows), 2, replace=False))
        child: Conditions = {}
        for parameter in protocol.chosen_parameters:
            parent = first if rng.random() < 0.5 else second
            child |= {k: parent[k] for k in _names(parameter) if k in parent}
        child = _completed(protocol, child, rng)
        if not membership.problems(child):
            yield child


def _names(parameter: Parameter) -> tuple[str, ...]:
    if isinstance(parameter, MixtureParameter):
        return parameter.part_columns
    return (parameter.name,)


def _exists(parameter: Parameter, row: Conditions) -> bool:
    return all(name in row for name in _names(parameter))


def _changed(
    parameter: Parameter, row: Conditions, rng: np.random.Generator, protocol: Protocol
) -> Iterator[Conditions]:
    if isinstance(parameter, MixtureParameter):
        yield from _poured(parameter, row, rng, protocol)
    elif isinstance(parameter, ContinuousParameter):
        value = float(row[parameter.name])
        for step in STEPS:
            for sign in (-1.0, 1.0):
                size = sign * step * abs(float(rng.normal()))
                yield {parameter.name: _moved(parameter, value, size)}
        for bound in parameter.bounds:
            yield {parameter.name: bound}
    else:
        levels = levels_of(parameter) or ()
        for level in _some(levels, rng):
            if level != row[parameter.name]:
                yield {parameter.name: level}


def _some(levels: Sequence[Level], rng: np.random.Generator) -> Iterator[Level]:
    if len(levels) <= MAX_LEVELS:
        yield from levels
        return
    for i in rng.choice(len(levels), MAX_LEVELS, replace=False):
        yield levels[int(i)]


def _moved(parameter: ContinuousParameter, value: float, step: float) -> float:
    low, high = parameter.bounds
    if parameter.scale is Scale.LINEAR:
        moved = value + step * (high - low)
    else:
        to, back = (
            (np.log, np.exp) if parameter.scale is Scale.LOG else (np.log1p, np.expm1)
        )
        moved = float(back(to(value) + step * (to(high) - to(low))))
    return float(np.clip(moved, low, high))


def _poured(
    parameter: MixtureParameter,
    row: Conditions,
    rng: np.random.Generator,
    protocol: Protocol,
) -> Iterator[Conditions]:
    """Yield mixtures with some of one part poured into another, or parts swapped."""
    names = parameter.part_columns
    limited = any(
        isinstance(c, CardinalityConstraint) and set(c.of) & set(names)
        for c in protocol.constraints
    )
    for source in names:
        held = float(row[source])
        if held == 0.0:
            continue
        for target in names:
            if target == source:
                continue
            # All of it keeps the number of parts where one part replaces another.
            shares = [1.0, float(rng.random())]
            if not limited or float(row[target]) > 0:
                shares.append(0.1 * float(rng.random()))
            for share in shares:
                amount = held if share == 1.0 else held * share
                poured: Conditions = {name: row[name] for name in names}
                poured[source] = held - amount
                poured[target] = float(row[target]) + amount
                yield poured


def _completed(
    protocol: Protocol, row: Conditions, rng: np.random.Generator
) -> Conditions:
    """Return a row in which exactly the parameters exist that should."""
    rules = depends_rules(protocol)
    done: Conditions = dict(row)
    # A chain of rules needs as many passes as it is long.
    for _ in range(len(rules)):
        for name, rule in rules.items():
            if not is_level(done.get(rule.on), rule.values):
                done.pop(name, None)
            elif name not in done:
                parameter = next(p for p in protocol.parameters if p.name == name)
                done[name] = _drawn(parameter, rng)
    return done


def _drawn(parameter: Parameter, rng: np.random.Generator) -> Level:
    if isinstance(parameter, ContinuousParameter):
        low, high = parameter.bounds
        return _moved(parameter, low, float(rng.random())) if low < high else low
    levels = levels_of(parameter) or ()
    return levels[int(rng.integers(len(levels)))]
