"""Learn a model of operations from a log of them.

Shapes: `n` rows, one for each logged operation.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from labwm.errors import NotEnoughDataError
from labwm.schema.procedure import KINDS, Episode, Kind, Operation
from labwm.world_model.grouped_regression import (
    MIN_GROUPS,
    Features,
    GroupedRegression,
    fit_grouped,
)
from labwm.world_model.procedures import (
    COST_FLOOR,
    KEEPS_ALL,
    SECONDS,
    Part,
    ProcedureModel,
    remainder_of,
)
from labwm.world_model.situations import (
    READOUTS,
    Situations,
    context_of,
    features_of,
    nothing_done,
    observed,
    seen,
    stacked,
)

Floats = NDArray[np.float64]

_SAME: Final = 1e-9
"""Changes that differ by less are one constant."""


@dataclass(frozen=True)
class _Row:
    """One logged operation that succeeded."""

    group: int
    before: Situations
    operation: Operation
    after: Situations
    seconds: float


def fit_procedures(episodes: Sequence[Episode], references: dict[str, float]) -> (
    ProcedureModel
):  # fmt: skip
    """Learn what operations give and cost; takes 20 to 60 s for 300 molecules.

    Args:
        episodes: A log.
        references: For each molecule its reference gap, eV; those of molecules
            without one teach operations only.

    Raises:
        NotEnoughDataError: If a kind was logged for too few molecules.
    """
    molecules = tuple(dict.fromkeys(episode.smiles for episode in episodes))
    numbers = {smiles: number for number, smiles in enumerate(molecules)}
    rows: list[_Row] = []
    tried: dict[Kind, list[bool]] = defaultdict(list)
    for episode in episodes:
        here = nothing_done(episode.smiles)
        for outcome in episode.outcomes:
            after = observed(here, outcome)
            operation = outcome.operation
            tried[operation.kind].append(outcome.status == "ok")
            if outcome.status == "ok":
                group = numbers[episode.smiles]
                rows.append(_Row(group, here, operation, after, outcome.seconds))
            here = after
    by_context: dict[str, list[_Row]] = defaultdict(list)
    for row in rows:
        by_context[context_of(row.before.treatment, row.operation.kind)].append(row)
    known = {
        name: own
        for name, own in by_context.items()
        if len({row.group for row in own}) >= MIN_GROUPS
    }
    if not known or "embed" not in known:
        raise NotEnoughDataError(
            f"A model of operations needs {MIN_GROUPS} molecules; got "
            f"{len(molecules)}. Log more."
        )
    gaps = np.array([references[s] for s in molecules if s in references])
    return ProcedureModel(
        parts={name: _parts(own) for name, own in known.items()},
        failures={kind: _failure_rate(tried[kind]) for kind in KINDS},
        remainder=_remainders(rows, molecules, references),
        prior_error=float(np.abs(gaps - np.median(gaps)).mean()) if len(gaps) else 1.0,
        molecules=molecules,
    )


def _failure_rate(succeeded: Sequence[bool]) -> float:
    # Jeffreys' prior would promise failures of kinds that never failed in thousands.
    return 1.0 - float(np.mean(succeeded)) if succeeded else 0.0


def _parts(rows: Sequence[_Row]) -> dict[str, Part]:
    """Return what one kind of operation does to each read-out."""
    features = stacked([features_of(row.before, row.operation) for row in rows])
    groups = np.array([row.group for row in rows])
    seconds = np.log(np.array([row.seconds for row in rows]) + COST_FLOOR)
    found = {SECONDS: _part(features, seconds, groups, is_change=False)}
    kind = rows[0].operation.kind
    for name in READOUTS:
        if _is_given(name, kind):
            continue
        y, is_change = _targets(rows, name)
        told = np.isfinite(y)
        # A lone conformer has no spread, and pruning does nothing to it.
        if name in _OF_SEVERAL:
            told &= _several(rows, after=True)
        elif kind == "prune":
            told &= _several(rows, after=False)
        if len(np.unique(groups[told])) >= MIN_GROUPS:
            found[name] = _part(
                features.take(told), y[told], groups[told], is_change=is_change
            )
        elif np.isfinite(y).any():
            found[name] = Part(float(np.median(y[np.isfinite(y)])), None, is_change, {})
    return found


_OF_SEVERAL: Final = ("spread", "gap_sd")


def _several(rows: Sequence[_Row], *, after: bool) -> NDArray[np.bool_]:
    """Return which rows had several conformers, after the operation or before it."""
    counts = [
        (row.after if after else row.before).column("n_conformers")[0] for row in rows
    ]
    return np.nan_to_num(np.array(counts), nan=1.0) > 1


def _is_given(name: str, kind: Kind) -> bool:
    """Is the read-out after the operation known without learning?"""
    if kind == "prune":
        return name in ("energy", "force")
    return name == "n_conformers" and kind in KEEPS_ALL


def _targets(rows: Sequence[_Row], name: str) -> tuple[Floats, bool]:
    """Return changes where every row had the read-out before, or else values."""
    new = seen(name, np.array([row.after.column(name)[0] for row in rows]))
    kind = rows[0].operation.kind
    if kind == "embed" and name == "n_conformers":
        asked = [np.log(row.after.n_embedded) for row in rows]
        return new - np.array(asked), True
    if name == "energy" and kind not in ("relax", "solvation"):
        return new, False  # energies of different levels have nothing in common
    old = seen(name, np.array([row.before.column(name)[0] for row in rows]))
    if np.isfinite(old[np.isfinite(new)]).all():
        return new - old, True
    return new, False


def _part(
    features: Features, y: Floats, groups: NDArray[np.int64], *, is_change: bool
) -> Part:
    if np.ptp(y) < _SAME:
        return Part(float(y[0]), None, is_change, {})
    model = fit_grouped(features, y, groups)
    kept = model.rows
    donors: dict[int, list[int]] = defaultdict(list)
    for place, row in enumerate(kept):
        donors[int(groups[row])].append(place)
    return Part(
        0.0, model, is_change, {one: np.array(own) for one, own in donors.items()}
    )


def _remainders(
    rows: Sequence[_Row], molecules: Sequence[str], references: dict[str, float]
) -> dict[str, GroupedRegression]:
    """Return for each level what the gap lacks to its reference."""
    by_level: dict[str, list[tuple[_Row, float]]] = defaultdict(list)
    for row in rows:
        name = remainder_of(row.after)
        reference = references.get(molecules[row.group])
        if name is not None and reference is not None:
            by_level[name].append((row, row.after.column("gap")[0] - reference))
    found: dict[str, GroupedRegression] = {}
    for name, own in by_level.items():
        groups = np.array([row.group for row, _ in own])
        if len(np.unique(groups)) >= MIN_GROUPS:
            features = stacked([features_of(row.after, None) for row, _ in own])
            found[name] = fit_grouped(
                features, np.array([lack for _, lack in own]), groups
            )
    return found
