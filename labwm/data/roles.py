"""Which columns of a table can be varied, which only name or follow another."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from labwm.data.profile import MOST, Kind, Profile, are_same, decides
from labwm.schema.record import Record

MIN_REPEATS = 3
"""Settings per value from which on a column can be seen to decide another."""

_IGNORED = frozenset(
    {Kind.EMPTY, Kind.CONSTANT, Kind.INDEX, Kind.REACTION, Kind.REMARK}
)


class Guess(Record):
    """One thing that was guessed, and why."""

    about: str
    """A column, `replicates`, or `goal of X`."""
    taken_as: str
    reason: str


@dataclass
class Roles:
    """What became of each column.

    Attributes:
        kept: Columns that could be varied, molecules first.
        labels: Header of the column with the names, by header of the molecules.
        guesses: Why other columns were not taken.
    """

    kept: list[Profile] = field(default_factory=list)
    labels: dict[str, str] = field(default_factory=dict)
    guesses: list[Guess] = field(default_factory=list)


def roles_of(profiles: Sequence[Profile]) -> Roles:
    """Sort the columns of a table by what they can be in a protocol."""
    roles = Roles()
    told = _IGNORED | {Kind.IDENTIFIER}
    varied = [p.cells for p in profiles if p.kind not in told]
    n_settings = len(set(zip(*varied, strict=True)))
    # Molecules first, so that their names find them.
    for column in sorted(profiles, key=lambda p: p.kind is not Kind.MOLECULE):
        if column.kind in _IGNORED:
            _leave(roles, column, column.why)
        elif twin := _twin(column, roles):
            _label(roles, column, twin)
        elif column.kind is Kind.IDENTIFIER:
            _leave(roles, column, column.why)
        elif owner := _decider(column, roles.kept, n_settings):
            reason = f"{owner.header!r} decides it, so that it cannot be varied alone"
            _leave(roles, column, reason)
        else:
            roles.kept.append(column)
    return roles


def _leave(roles: Roles, column: Profile, reason: str) -> None:
    guess = Guess(about=column.header, taken_as="ignored", reason=reason)
    roles.guesses.append(guess)


def _twin(column: Profile, roles: Roles) -> Profile | None:
    """Return the molecules that this column names one to one."""
    if column.kind in {Kind.MOLECULE, Kind.PLACE}:
        return None
    molecules = (m for m in roles.kept if m.kind is Kind.MOLECULE)
    return next((m for m in molecules if are_same(m, column)), None)


def _label(roles: Roles, column: Profile, twin: Profile) -> None:
    if column.kind is Kind.NUMBER or twin.header in roles.labels:
        is_number = column.kind is Kind.NUMBER
        what = "a number that follows from" if is_number else "another name of"
        _leave(roles, column, f"it is {what} {twin.header!r}")
        return
    roles.labels[twin.header] = column.header
    reason = f"it varies one to one with {twin.header!r}"
    guess = Guess(about=column.header, taken_as="label", reason=reason)
    roles.guesses.append(guess)


def _decider(
    column: Profile, kept: Sequence[Profile], n_settings: int
) -> Profile | None:
    """Return the column that decides this one, if any."""
    if column.kind is Kind.PLACE:
        return None
    for owner in kept:
        n_distinct = len(owner.distinct)
        if owner.kind is Kind.MOLECULE and n_distinct >= MOST * n_settings:
            return owner
        # What rarely repeats decides everything by chance.
        is_repeated = n_distinct * MIN_REPEATS <= n_settings
        if owner.kind is Kind.PLACE or not (is_repeated or _is_rescaled(owner, column)):
            continue
        if decides(owner, column):
            return owner
    return None


def _is_rescaled(a: Profile, b: Profile) -> bool:
    """Do two columns hold the same numbers on two linear scales?"""
    both = ~np.isnan(a.numbers) & ~np.isnan(b.numbers)
    x, y = a.numbers[both], b.numbers[both]
    if {a.kind, b.kind} != {Kind.NUMBER} or len(x) < 3 or np.ptp(x) == 0:
        return False
    low, high = int(np.argmin(x)), int(np.argmax(x))
    slope = (y[high] - y[low]) / (x[high] - x[low])
    return bool(np.allclose(y, y[low] + slope * (x - x[low]), rtol=1e-9, atol=0))
