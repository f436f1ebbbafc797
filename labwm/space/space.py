"""A protocol's space: how many points, which ones, one after another, never at once."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from labwm.errors import SpaceError
from labwm.schema import (
    CategoricalParameter,
    Conditions,
    MoleculeParameter,
    Parameter,
    Protocol,
)
from labwm.space.levels import levels_of
from labwm.space.questions import Observations, Questions
from labwm.space.walk import MAX_STATES, Walk, walk_of


@dataclass(frozen=True)
class Count:
    """How many feasible points a space has."""

    exact: int | None
    """None where a parameter is continuous."""

    @property
    def is_finite(self) -> bool:
        """Can the points be counted at all?"""
        return self.exact is not None


def n_points(protocol: Protocol) -> Count:
    """Count the feasible choices exactly, without building them.

    Contexts are not chosen and do not count.

    Raises:
        SpaceError: If levels are missing, or if the constraints leave more distinct
            partial sums than can be counted; the message has the count without them.
    """
    if not is_finite(protocol):
        return Count(None)
    walk = walk_of(protocol)
    if (n := walk.count()) is None:
        raise SpaceError(
            f"A constrained space is counted through at most {MAX_STATES} partial "
            f"sums; got more. Without constraints it has {walk.product_size()} points. "
            "Coarsen the levels, or draw from the space."
        )
    return Count(n)


def is_finite(protocol: Protocol) -> bool:
    """Are all parameters that can be chosen finite?"""
    return all(levels_of(p) is not None for p in protocol.chosen_parameters)


def finite_walk(protocol: Protocol) -> Walk:
    """Return the walk over a finite space.

    Raises:
        SpaceError: If a parameter is continuous.
    """
    for parameter in protocol.chosen_parameters:
        if levels_of(parameter) is None:
            raise SpaceError(
                f"Only a finite space is walked; {parameter.name!r} is "
                f"{parameter.kind}. Use `candidates` to draw from it."
            )
    return walk_of(protocol)


def iterate(protocol: Protocol) -> Iterator[Conditions]:
    """Yield the feasible conditions of a finite space lazily, pruned early.

    Raises:
        SpaceError: If a parameter is continuous or lists no levels; before the first
            point.
    """
    return finite_walk(protocol).points()


def pool_of(rows: Observations | Questions) -> Questions:
    """Return each distinct question once, in an order that the rows do not decide.

    A table may be sorted by its result: its order must not reach a planner.
    """
    questions = rows.questions if isinstance(rows, Observations) else rows
    first: dict[bytes, int] = {}
    for i, key in enumerate(questions.keys()):
        first.setdefault(key, i)
    return questions.take(np.array([first[key] for key in sorted(first)], dtype=int))


def with_levels(protocol: Protocol, questions: Questions) -> Protocol:
    """Return the protocol with levels, where it lists none, taken from a table.

    The levels are sorted: the order of the rows changes nothing.

    Raises:
        SpaceError: If the table holds no value for such a parameter.
    """
    found: dict[str, tuple[str, ...]] = {}
    for parameter in protocol.parameters:
        if _lacks_levels(parameter):
            found[parameter.name] = _texts(questions, parameter.name)
    return fill_levels(protocol, found)


def fill_levels(protocol: Protocol, levels: Mapping[str, Sequence[str]]) -> Protocol:
    """Return the protocol with the given levels in the parameters that are named."""
    if not levels:
        return protocol
    content = protocol.model_dump(mode="python")
    for parameter in content["parameters"]:
        if parameter["name"] in levels:
            field = "levels" if parameter["kind"] == "categorical" else "smiles"
            parameter[field] = tuple(levels[parameter["name"]])
            if field == "smiles":
                parameter["library"] = parameter["building_blocks"] = None
    return Protocol.model_validate(content)


def _lacks_levels(parameter: Parameter) -> bool:
    if isinstance(parameter, CategoricalParameter):
        return parameter.levels is None
    if isinstance(parameter, MoleculeParameter):
        sources = (parameter.smiles, parameter.library, parameter.building_blocks)
        return not any(sources)
    return False


def _texts(questions: Questions, name: str) -> tuple[str, ...]:
    levels = sorted({str(value) for value in questions.columns[name] if value})
    if not levels:
        raise SpaceError(
            f"The levels of {name!r} are to come from the table, which holds none. "
            "List them in the protocol."
        )
    return tuple(levels)
