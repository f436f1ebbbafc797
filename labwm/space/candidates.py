"""Candidates to choose among: every point of a small space, fair draws from a large.

Shapes: `n` rows, `d` columns of the unit cube.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from labwm.errors import SpaceError
from labwm.schema import (
    CardinalityConstraint,
    CategoricalParameter,
    Conditions,
    ContinuousParameter,
    DiscreteParameter,
    MixtureParameter,
    MoleculeParameter,
    Protocol,
    Scale,
)
from labwm.space.levels import depends_rules, is_level, levels_of
from labwm.space.membership import membership_of
from labwm.space.questions import Questions, questions_from
from labwm.space.ranking import ranking_of
from labwm.space.rules import refuse_context_constraints
from labwm.space.space import finite_walk, is_finite
from labwm.space.walk import Walk

MAX_ROUNDS = 24
"""Blocks of quasi-random points tried before a space counts as too narrow."""


def candidates(protocol: Protocol, *, limit: int = 100_000, seed: int) -> Questions:
    """Return every point of a space of at most `limit` points, else draws.

    A larger finite space gives `limit` distinct points, each feasible point being
    equally likely. A space with a continuous parameter, or one too tangled to be
    counted, gives `limit` points of a scrambled Sobol sequence, mapped on each
    parameter's scale, of which those that break a constraint are left out and replaced.

    Args:
        protocol: What may be chosen; contexts are left empty.
        limit: Most rows to return.
        seed: Of the draws; a full enumeration does not depend on it.

    Raises:
        SpaceError: If no feasible point exists, or if too few of the drawn points
            keep the constraints.
    """
    if limit < 1:
        raise SpaceError(f"A pool has at least one point; got a limit of {limit}.")
    if is_finite(protocol):
        walk = finite_walk(protocol)
        if (n := walk.count()) is not None:
            return _finite(protocol, walk, n, limit, seed)
    refuse_context_constraints(protocol)
    return _drawn(protocol, limit, seed)


def _finite(protocol: Protocol, walk: Walk, n: int, limit: int, seed: int) -> Questions:
    if n == 0:
        raise SpaceError(
            "A space needs a feasible point; the constraints leave none of "
            f"{walk.product_size()}. Loosen them."
        )
    if n <= limit:
        rows = list(walk.points())
    else:
        ranking = ranking_of(walk)
        rows = [ranking.point(rank) for rank in _ranks(n, limit, seed)]
    return questions_from(protocol, rows)


def _ranks(n: int, limit: int, seed: int) -> Sequence[int]:
    """Draw `limit` distinct ranks below `n`, in increasing order."""
    rng = np.random.default_rng(seed)
    if n <= 10 * limit:
        return [int(rank) for rank in np.sort(rng.permutation(n)[:limit])]
    n_bytes = (n.bit_length() + 7) // 8 + 8
    chosen: set[int] = set()
    while len(chosen) < limit:
        # Eight spare bytes make the bias of the remainder below 2**-64; `n` may exceed
        # what a 64-bit generator can draw.
        chosen.add(int.from_bytes(rng.bytes(n_bytes)) % n)
    return sorted(chosen)


def _drawn(protocol: Protocol, limit: int, seed: int) -> Questions:
    from scipy.stats import qmc

    d = sum(_n_columns(p) for p in protocol.chosen_parameters)
    supports = [c for c in protocol.constraints if c.kind == "cardinality"]
    sequence = qmc.Sobol(d + len(supports), rng=np.random.default_rng(seed))
    rng = np.random.default_rng([seed, 1])
    size = 1 << max(6, (min(limit, 1 << 14) - 1).bit_length())
    # Bounds, levels, sums of mixtures and inactive parameters hold by construction.
    is_free = all(c.kind == "depends" for c in protocol.constraints)
    membership = membership_of(protocol)
    rows: list[Conditions] = []
    seen: set[tuple[tuple[str, float | str], ...]] = set()
    n_tried = 0
    for _ in range(max(MAX_ROUNDS, 2 * limit // size + 1)):
        for row in _rows(protocol, sequence.random(size), supports, rng):
            n_tried += 1
            key = tuple(row.items())
            if key in seen or not (is_free or not membership.problems(row)):
                continue
            seen.add(key)
            rows.append(row)
            if len(rows) == limit:
                return questions_from(protocol, rows)
    raise SpaceError(
        f"A draw of {limit} points needs a space in which random points keep the "
        f"constraints; {len(rows)} of {n_tried} did. Widen the constraints, ask for "
        "fewer points, or declare fractions as a mixture."
    )


def _n_columns(parameter: object) -> int:
    return len(parameter.parts) if isinstance(parameter, MixtureParameter) else 1


def _rows(
    protocol: Protocol,
    cube: NDArray[np.float64],
    supports: list[CardinalityConstraint],
    rng: np.random.Generator,
) -> list[Conditions]:
    """Map rows of the unit cube, `n x d`, to conditions."""
    columns: dict[str, list[float | str]] = {}
    j = 0
    for parameter in protocol.chosen_parameters:
        width = _n_columns(parameter)
        block = cube[:, j : j + width]
        j += width
        if isinstance(parameter, MixtureParameter):
            # Normalised exponentials are uniform on the simplex.
            parts = -np.log(np.clip(block, 1e-12, 1 - 1e-12))
            parts = parts / parts.sum(axis=1, keepdims=True)
            columns |= {
                name: parts[:, k].tolist()
                for k, name in enumerate(parameter.part_columns)
            }
        elif isinstance(parameter, ContinuousParameter):
            columns[parameter.name] = _on_scale(parameter, block[:, 0]).tolist()
        elif isinstance(
            parameter, DiscreteParameter | CategoricalParameter | MoleculeParameter
        ):
            levels = levels_of(parameter) or ()
            last = len(levels) - 1
            index = np.minimum((block[:, 0] * len(levels)).astype(int), last)
            columns[parameter.name] = [levels[int(i)] for i in index]
    names = list(columns)
    rows = [
        dict(zip(names, values, strict=True))
        for values in zip(*columns.values(), strict=True)
    ]
    for k, support in enumerate(supports):
        for row, u in zip(rows, cube[:, j + k], strict=True):
            _thin_out(protocol, row, support, float(u), rng)
    _leave_out_inactive(protocol, rows)
    return rows


def _on_scale(
    parameter: ContinuousParameter, unit: NDArray[np.float64]
) -> NDArray[np.float64]:
    low, high = parameter.bounds
    if parameter.scale is Scale.LOG:
        values = np.exp(np.log(low) + unit * (np.log(high) - np.log(low)))
    elif parameter.scale is Scale.LOG1P:
        values = np.expm1(np.log1p(low) + unit * (np.log1p(high) - np.log1p(low)))
    else:
        values = low + unit * (high - low)
    return np.clip(values, low, high)


def _thin_out(
    protocol: Protocol,
    row: Conditions,
    support: CardinalityConstraint,
    u: float,
    rng: np.random.Generator,
) -> None:
    """Set some columns to zero, so that a permitted number differs from it."""
    most = min(support.at_most, len(support.of))
    least = min(support.at_least, most)
    n_kept = least + min(int(u * (most - least + 1)), most - least)
    for i in rng.permutation(len(support.of))[n_kept:]:
        row[support.of[i]] = 0.0
    for parameter in protocol.chosen_parameters:
        if not isinstance(parameter, MixtureParameter):
            continue
        total = sum(float(row[name]) for name in parameter.part_columns)
        if total > 0:
            for name in parameter.part_columns:
                row[name] = float(row[name]) / total


def _leave_out_inactive(protocol: Protocol, rows: list[Conditions]) -> None:
    rules = depends_rules(protocol)
    # A chain of rules needs as many passes as it is long.
    for _ in range(len(rules)):
        for row in rows:
            for name, rule in rules.items():
                if name in row and not is_level(row.get(rule.on), rule.values):
                    del row[name]
