"""Which assays are learnt from and which are asked about: never both."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from labwm.data.assays import Assay
from labwm.data.read_assays import AssayTables
from labwm.errors import InvalidInputError, NotEnoughDataError, suggest

HELD_OUT: Final = 0.2
"""Share of the families that is asked about, where files do not say."""
_ROLES: Final = {
    "train": re.compile(r"(^|[^a-z])train(ing)?([^a-z]|$)", re.IGNORECASE),
    "valid": re.compile(r"(^|[^a-z])(valid(ation)?|val|dev)([^a-z]|$)", re.IGNORECASE),
    "test": re.compile(r"(^|[^a-z])test([^a-z]|$)", re.IGNORECASE),
}


@dataclass(frozen=True)
class TaskSplit:
    """Assays by their role.

    Attributes:
        learnt: Assays that the prior is learnt from.
        asked: Assays that are new to it.
        how: In words.
    """

    learnt: tuple[Assay, ...]
    asked: tuple[Assay, ...]
    how: str


def split_tasks(
    tables: AssayTables, *, asked: str = "valid", family: str = "", seed: int = 0
) -> TaskSplit:
    """Split assays by the roles of their files, or hold out a share of the families.

    Files called after `train`, `valid` and `test` have these roles. Without any such
    file a fifth of the families is held out: assays whose names agree up to the first
    `family`, or each assay alone.

    Raises:
        InvalidInputError: If a role is unknown, has no file, or an assay has two roles.
        NotEnoughDataError: If there is only one family.
    """
    if asked not in ("valid", "test"):
        raise InvalidInputError(
            f"Assays asked about are those of valid or test; got {asked!r}. "
            f"{suggest(asked, ('valid', 'test'))}"
        )
    roles = {name: _role(name) for name in tables.files}
    if not any(roles.values()):
        return _held_out(tables.assays, family, seed)
    by_role = {
        role: tuple(a for name, own in tables.files.items() if roles[name] == role
                    for a in own)
        for role in ("train", asked)
    }  # fmt: skip
    for role, own in by_role.items():
        if not own:
            raise InvalidInputError(
                f"A folder with roles has a file for {role!r}; got {sorted(roles)}. "
                "Name one after it, or ask about the other role."
            )
    both = {a.name for a in by_role["train"]} & {a.name for a in by_role[asked]}
    if both:
        raise InvalidInputError(
            f"An assay is learnt from or asked about; {sorted(both)[0]!r} is in both. "
            "Remove it from one file."
        )
    return TaskSplit(by_role["train"], by_role[asked], f"files: train, {asked}")


def _role(name: str) -> str | None:
    stem = name.split(".")[0]
    return next((role for role, mark in _ROLES.items() if mark.search(stem)), None)


def _held_out(assays: Sequence[Assay], family: str, seed: int) -> TaskSplit:
    of = [a.name.split(family)[0] if family else a.name for a in assays]
    families = sorted(set(of))
    if len(families) < 2:
        raise NotEnoughDataError(
            f"Some assays are learnt from and others asked about; got {len(families)} "
            "family of assays. Add assays, or separate families otherwise."
        )
    order = np.random.default_rng(seed).permutation(len(families))
    n = max(1, round(HELD_OUT * len(families)))
    out = {families[i] for i in order[:n]}
    return TaskSplit(
        tuple(a for a, name in zip(assays, of, strict=True) if name not in out),
        tuple(a for a, name in zip(assays, of, strict=True) if name in out),
        f"{n} of {len(families)} families held out, seed {seed}",
    )
