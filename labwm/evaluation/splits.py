"""Which rows of a table are learnt from and which are asked about.

Shapes: `N` distinct conditions.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from labwm.errors import NotEnoughDataError, SpaceError, suggest
from labwm.evaluation.lookup import Lookup
from labwm.schema import MoleculeParameter, Protocol

TEST_SHARE = 0.2
MIN_TEST = 2

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Split:
    """One division of a table's measurements.

    Attributes:
        name: For example `random`, or the fold of a split file.
        train: Rows of the table, from 0.
        test: Rows of the table, from 0.
    """

    name: str
    train: Rows
    test: Rows


def random_splits(groups: Sequence[Rows], n: int) -> list[Split]:
    """Return `n` random 80/20 splits; replicates of one condition stay together.

    Args:
        groups: Rows of the table that have the same conditions, `N` arrays.
        n: Number of splits, with the seeds 0, 1, …

    Raises:
        NotEnoughDataError: If fewer than `MIN_TEST` conditions would be asked about.
    """
    n_test = _n_test(len(groups))
    splits: list[Split] = []
    for seed in range(n):
        order = np.random.default_rng(seed).permutation(len(groups))
        splits.append(_split("random", groups, order[:n_test]))
    return splits


def scaffold_splits(lookup: Lookup, n: int, *, by: str | None = None) -> list[Split]:
    """Return splits that ask about scaffolds that were not learnt from.

    The first, `scaffold`, is the usual one: whole scaffolds, the most frequent are
    learnt from and the rarest asked about. The others, `scaffold-random`, take whole
    scaffolds in `n` random orders and ask about those that fit into a fifth.

    Args:
        lookup: The table.
        n: Number of random orders, with the seeds 0, 1, …
        by: Molecule parameter; by default the one with the most scaffolds.

    Raises:
        SpaceError: If there is no such molecule parameter.
        NotEnoughDataError: If all rows have one scaffold, or too few others.
    """
    from labwm.chem.scaffold import scaffolds

    names = [by] if by else _molecules(lookup.protocol)
    if not names or not set(names) <= set(_molecules(lookup.protocol)):
        known = _molecules(lookup.protocol)
        raise SpaceError(
            f"A scaffold split needs a molecule parameter; got {by or 'none'}. "
            f"{suggest(by or '', known) if known else 'Split by random or group.'}"
        )
    columns = [scaffolds(lookup.pool.columns[name].astype(str)) for name in names]
    labels = np.array(max(columns, key=lambda column: len(set(column))))
    members = _members(labels)
    by_size = sorted(members, key=lambda m: (-len(m), int(m[0])))
    splits = [_whole_groups("scaffold", lookup, by_size)]
    for seed in range(n):
        order = np.random.default_rng(seed).permutation(len(members))
        shuffled = [members[i] for i in order]
        splits.append(_fitting_groups("scaffold-random", lookup, shuffled))
    return splits


def time_splits(lookup: Lookup, n: int, *, by: str | None = None) -> list[Split]:
    """Return splits that learn from the past and ask about what came next.

    The first, `time`, asks about the last fifth. With more than one, `time-rolling`
    asks about the `n` consecutive blocks of the second half, each from all before it.

    Args:
        lookup: The table.
        n: Number of blocks.
        by: Condition that orders rows, a number or an ISO date; the order of the table
            when not given.

    Raises:
        SpaceError: If there is no such condition.
        NotEnoughDataError: If a block would hold fewer than `MIN_TEST` conditions.
    """
    order = _in_time(lookup, by)
    n_test = _n_test(len(order))
    splits = [_split("time", lookup.replicates, order[-n_test:], order[:-n_test])]
    if n == 1:
        return splits
    start = len(order) - len(order) // 2
    for block in np.array_split(np.arange(start, len(order)), n):
        if len(block) < MIN_TEST:
            raise NotEnoughDataError(
                f"A rolling split asks about at least {MIN_TEST} conditions at a time; "
                f"got {len(order) // 2} for {n} blocks. Ask for fewer seeds."
            )
        past, asked = order[: block[0]], order[block]
        splits.append(_split("time-rolling", lookup.replicates, asked, past))
    return splits


def group_splits(lookup: Lookup, n: int, *, by: str | None = None) -> list[Split]:
    """Return splits that ask about levels of one parameter that were not learnt from.

    Args:
        lookup: The table.
        n: At most so many folds; each level is asked about once over the folds.
        by: Name of the parameter: plate, additive, batch.

    Raises:
        SpaceError: If no parameter is named, or it is not of the table.
        NotEnoughDataError: If it has one level.
    """
    names = list(lookup.pool.columns)
    if by is None or by not in names:
        raise SpaceError(
            f"A group split needs the parameter whose levels stay together; got "
            f"{by or 'none'}. Name one with --by: {', '.join(names)}."
        )
    members = _members(lookup.pool.columns[by].astype(str))
    if len(members) < 2:
        raise NotEnoughDataError(
            f"A group split needs two levels of {by!r}; got {len(members)}. Split by "
            "another parameter."
        )
    order = np.random.default_rng(0).permutation(len(members))
    folds = np.array_split(order, min(max(n, 2), len(members)))[:n]
    return [
        _split("group", lookup.replicates, np.concatenate([members[i] for i in fold]))
        for fold in folds
    ]


def replicate_splits(lookup: Lookup, n: int) -> list[Split]:
    """Return splits that learn from one replicate of each condition.

    What is asked about is every other replicate: how far do they scatter?

    Args:
        lookup: The table.
        n: Number of splits, with the seeds 0, 1, …

    Raises:
        NotEnoughDataError: If no two conditions were measured twice.
    """
    groups = [rows for rows in lookup.replicates if len(rows) > 1]
    if len(groups) < MIN_TEST:
        raise NotEnoughDataError(
            f"A replicate split needs {MIN_TEST} conditions that were measured more "
            f"than once; got {len(groups)}. Split at random."
        )
    splits = []
    for seed in range(n):
        rng = np.random.default_rng(seed)
        kept = np.array([rng.choice(rows) for rows in lookup.replicates])
        asked = np.setdiff1d(np.concatenate(groups), kept)
        splits.append(Split("replicates", np.sort(kept), asked))
    return splits


def _molecules(protocol: Protocol) -> list[str]:
    return [p.name for p in protocol.parameters if isinstance(p, MoleculeParameter)]


def _in_time(lookup: Lookup, by: str | None) -> Rows:
    if by is None:
        return np.arange(len(lookup))
    if by not in lookup.pool.columns:
        raise SpaceError(
            f"A time split orders rows by a condition; got {by!r}. "
            f"{suggest(by, list(lookup.pool.columns))}"
        )
    return np.argsort(lookup.pool.columns[by], kind="stable")


def _n_test(n_groups: int) -> int:
    n_test = round(TEST_SHARE * n_groups)
    if n_test < MIN_TEST:
        raise NotEnoughDataError(
            f"A split asks about at least {MIN_TEST} conditions; a fifth of "
            f"{n_groups} is {n_test}. Measure more."
        )
    return n_test


def _members(labels: NDArray[np.str_]) -> list[Rows]:
    _, which = np.unique(labels, return_inverse=True)
    order = np.argsort(which, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(which[order])) + 1)


def _whole_groups(name: str, lookup: Lookup, members: Sequence[Rows]) -> Split:
    # As in MoleculeNet: the last groups, until adding one more passes a fifth.
    n_train = len(lookup) - _n_test(len(lookup))
    test: list[Rows] = []
    n_kept = 0
    for group in members:
        if n_kept + len(group) <= n_train:
            n_kept += len(group)
        else:
            test.append(group)
    return _split(name, lookup.replicates, _all_of(test))


def _fitting_groups(name: str, lookup: Lookup, members: Sequence[Rows]) -> Split:
    n_test = _n_test(len(lookup))
    test: list[Rows] = []
    n_taken = 0
    for group in members:
        if n_taken + len(group) <= n_test:
            test.append(group)
            n_taken += len(group)
    return _split(name, lookup.replicates, _all_of(test))


def _all_of(test: Sequence[Rows]) -> Rows:
    asked = np.concatenate([np.empty(0, np.int64), *test])
    if len(asked) < MIN_TEST:
        raise NotEnoughDataError(
            f"A scaffold split asks about at least {MIN_TEST} molecules of whole "
            f"scaffolds; got {len(asked)}: one scaffold holds nearly all of them. "
            "Split at random."
        )
    return asked


def _split(
    name: str, groups: Sequence[Rows], test: Rows, train: Rows | None = None
) -> Split:
    if train is None:
        train = np.setdiff1d(np.arange(len(groups)), test)
    return Split(
        name,
        np.sort(np.concatenate([groups[i] for i in train])),
        np.sort(np.concatenate([groups[i] for i in test])),
    )
