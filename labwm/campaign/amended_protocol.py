"""The next version of a protocol: what an amendment makes of the present one."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from labwm.errors import ConflictError, InvalidInputError, ProtocolError, suggest
from labwm.schema import (
    AddLevel,
    AmendRequest,
    CategoricalParameter,
    Constraint,
    ContinuousParameter,
    DiscreteParameter,
    DropLevel,
    ExcludeConstraint,
    MoleculeParameter,
    MoveBounds,
    NewVersion,
    Parameter,
    Protocol,
    SetObjectives,
)
from labwm.schema.amendment import Change
from labwm.schema.record import Scalar

Labels = Mapping[str, Mapping[str, str]]
"""Names of molecules: parameter to SMILES to name."""
Levelled = DiscreteParameter | CategoricalParameter | MoleculeParameter


def amended_protocol(
    protocol: Protocol,
    request: AmendRequest,
    labels: Labels,
    *,
    is_stored: Callable[[Protocol], bool],
    complete: Callable[[Protocol], Protocol],
) -> Protocol:
    """Return the protocol with all changes made; the very same where none concerns it.

    Args:
        protocol: The present version.
        request: The changes, made in their order.
        labels: So that levels can be named as people know them.
        is_stored: Is this name and version taken by other content?
        complete: Fills in the levels that a given version takes from the table.

    Raises:
        InvalidInputError: If a change names what is not there or changes nothing.
        ProtocolError: If the result is no protocol.
        ConflictError: If a given version does not follow the present one.
    """
    changed = protocol
    for change in request.changes:
        if isinstance(change, NewVersion):
            changed = _given(protocol, changed, complete(change.protocol))
        else:
            changed = _changed(changed, change, labels)
    if changed == protocol:
        return protocol
    if changed.version > protocol.version:
        return changed
    while is_stored(changed := _with(changed, {"version": changed.version + 1})):
        pass
    return changed


def _changed(protocol: Protocol, change: Change, labels: Labels) -> Protocol:
    """Return the protocol with one change made; the same where it is of results."""
    if isinstance(change, DropLevel):
        return _drop(protocol, change, labels)
    if isinstance(change, AddLevel):
        return _add(protocol, change)
    if isinstance(change, MoveBounds):
        return _move(protocol, change)
    if isinstance(change, SetObjectives):
        return _aim(protocol, change)
    return protocol


def _given(present: Protocol, changed: Protocol, given: Protocol) -> Protocol:
    if changed is not present:
        raise InvalidInputError(
            "A whole new version comes before single changes to it; got it after some. "
            "Give it first."
        )
    if given.name != present.name or given.version <= present.version:
        raise ConflictError(
            f"A campaign on {present.name!r} version {present.version} is amended to a "
            f"later version of it; got {given.name!r} version {given.version}. Raise "
            "the version, or open another campaign."
        )
    return given


def _drop(protocol: Protocol, change: DropLevel, labels: Labels) -> Protocol:
    parameter = _levelled(protocol, change.parameter)
    level = _level(parameter, change.level, labels.get(parameter.name, {}))
    gone = excluded_levels(protocol, parameter.name)
    if level in gone:
        raise InvalidInputError(
            f"A level is dropped once; {level!r} of {parameter.name!r} was before. "
            "Leave it out."
        )
    return _excluding(protocol, parameter.name, (*gone, level))


def _add(protocol: Protocol, change: AddLevel) -> Protocol:
    parameter = _levelled(protocol, change.parameter)
    level = _typed(parameter, change.level)
    gone = excluded_levels(protocol, parameter.name)
    if level in gone:
        left = tuple(other for other in gone if other != level)
        return _excluding(protocol, parameter.name, left)
    known = _levels(parameter)
    if level in known or _is_known_molecule(parameter, str(level)):
        raise InvalidInputError(
            f"A level is added once; {parameter.name!r} has {level!r}. Leave it out."
        )
    field = "smiles" if isinstance(parameter, MoleculeParameter) else "levels"
    return _with_parameter(protocol, parameter, {field: (*known, level)})


def _is_known_molecule(parameter: Levelled, smiles: str) -> bool:
    """Is it one of the molecules, written in another way?

    Raises:
        MoleculeError: If it is no molecule.
    """
    if not isinstance(parameter, MoleculeParameter):
        return False
    from labwm.chem.molecule import canonical, is_valid

    wanted = canonical(smiles)
    known = parameter.smiles or ()
    return any(canonical(one) == wanted for one in known if is_valid(one))


def _typed(parameter: Levelled, level: Scalar) -> Scalar:
    """Return a level as the parameter holds levels: a number, or text."""
    if not isinstance(parameter, DiscreteParameter):
        return level if isinstance(level, str) else f"{level:g}"
    try:
        return float(level)
    except ValueError:
        raise InvalidInputError(
            f"The levels of {parameter.name!r} are numbers; got {level!r}. Write one."
        ) from None


def _move(protocol: Protocol, change: MoveBounds) -> Protocol:
    parameter = _parameter(protocol, change.parameter)
    if not isinstance(parameter, ContinuousParameter):
        raise InvalidInputError(
            f"Only a continuous parameter has bounds; {parameter.name!r} is "
            f"{parameter.kind}. Drop or add levels instead."
        )
    if parameter.bounds == change.bounds:
        raise InvalidInputError(
            f"A bound moves somewhere else; {parameter.name!r} has "
            f"{list(change.bounds)} already. Leave it out."
        )
    return _with_parameter(protocol, parameter, {"bounds": change.bounds})


def _aim(protocol: Protocol, change: SetObjectives) -> Protocol:
    if change.objectives == protocol.objectives:
        raise InvalidInputError(
            "New objectives differ from the present ones; got the same. Leave them out."
        )
    return _with(
        protocol, {"objectives": [one.model_dump() for one in change.objectives]}
    )


def excluded_levels(protocol: Protocol, name: str) -> tuple[Scalar, ...]:
    """Return the levels of a parameter that are excluded whatever else holds."""
    return tuple(
        level
        for constraint in protocol.constraints
        for level in _banned(constraint, name)
    )


def _banned(constraint: Constraint, name: str) -> tuple[Scalar, ...]:
    """Return the levels that a constraint excludes by themselves."""
    if isinstance(constraint, ExcludeConstraint) and set(constraint.when) == {name}:
        return constraint.when[name]
    return ()


def _excluding(protocol: Protocol, name: str, levels: Sequence[Scalar]) -> Protocol:
    kept = [c.model_dump() for c in protocol.constraints if not _banned(c, name)]
    ban = [{"kind": "exclude", "when": {name: tuple(levels)}}] if levels else []
    return _with(protocol, {"constraints": kept + ban})


def _level(parameter: Levelled, wanted: Scalar, labels: Mapping[str, str]) -> Scalar:
    levels = _levels(parameter)
    if (level := _typed(parameter, wanted)) in levels:
        return level
    named = [smiles for smiles, label in labels.items() if label == wanted]
    if len(named) == 1:
        return named[0]
    known = [str(level) for level in (*levels, *labels.values())]
    raise InvalidInputError(
        f"A level of {parameter.name!r} is named as the protocol has it; got "
        f"{wanted!r}. {suggest(str(wanted), known)}"
    )


def _levels(parameter: Levelled) -> tuple[Scalar, ...]:
    if isinstance(parameter, MoleculeParameter):
        return parameter.smiles or ()
    return parameter.levels or ()


def _parameter(protocol: Protocol, name: str) -> Parameter:
    for parameter in protocol.parameters:
        if parameter.name == name:
            return parameter
    known = [parameter.name for parameter in protocol.parameters]
    raise InvalidInputError(
        f"An amendment names a parameter of the protocol; got {name!r}. "
        f"{suggest(name, known)}"
    )


def _levelled(protocol: Protocol, name: str) -> Levelled:
    parameter = _parameter(protocol, name)
    if isinstance(
        parameter, DiscreteParameter | CategoricalParameter | MoleculeParameter
    ):
        return parameter
    raise InvalidInputError(
        f"Only a parameter with levels drops or gains one; {name!r} is "
        f"{parameter.kind}. Move its bounds, or give a new version of the protocol."
    )


def _with_parameter(
    protocol: Protocol, parameter: Parameter, update: dict[str, Any]
) -> Protocol:
    content = [
        one.model_dump() | (update if one.name == parameter.name else {})
        for one in protocol.parameters
    ]
    return _with(protocol, {"parameters": content})


def _with(protocol: Protocol, update: dict[str, Any]) -> Protocol:
    try:
        return Protocol.model_validate(protocol.model_dump() | update)
    except ValidationError as error:
        first = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise ProtocolError(
            f"An amended protocol keeps the rules of every protocol; {first}."
        ) from error
