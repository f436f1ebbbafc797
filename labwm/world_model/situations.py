"""Where specimens of one molecule stand, and what a model of operations sees of it.

Shapes: `p` particles (specimens imagined side by side), `r` read-outs, `n` rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from labwm.schema.procedure import (
    Embed,
    Kind,
    Operation,
    OperationOutcome,
    OperationReadouts,
    Prune,
    Relax,
    Treatment,
)
from labwm.world_model.grouped_regression import Features

Floats = NDArray[np.float64]

READOUTS: Final = ("n_conformers", "energy", "spread", "gap", "gap_sd", "force")
_FLOORS: Final = {"n_conformers": 0.0, "spread": 0.1, "gap_sd": 0.01, "force": 0.05}
"""Read-outs that are seen as logarithms, and what is added before."""
_DESCRIPTORS: Final = (
    "MolLogP", "MolMR", "TPSA", "NumRotatableBonds", "RingCount", "NumAromaticRings",
    "NumHDonors", "NumHAcceptors", "FractionCSP3", "HeavyAtomCount", "NumHeteroatoms",
)  # fmt: skip
_ELEMENTS: Final = (1, 6, 7, 8, 9, 15, 16, 17, 35, 53)


@dataclass(frozen=True)
class Situations:
    """Specimens of one molecule to which the same operations were done.

    Attributes:
        smiles: The molecule.
        treatment: What was done, as far as it decides what may follow.
        readouts: As read, `p x r`; NaN where there is none.
        n_embedded: Conformers that were asked for.
        n_steps: Steps of relaxation so far.
        has_force_field: Was it relaxed in a force field?
        n_done: Operations so far.
        seconds: Processor time so far, `p`.
        is_alive: Did all operations succeed?, `p`.
    """

    smiles: str
    treatment: Treatment
    readouts: Floats
    n_embedded: int
    n_steps: int
    has_force_field: bool
    n_done: int
    seconds: Floats
    is_alive: NDArray[np.bool_]

    def column(self, name: str) -> Floats:
        """Return one read-out of every particle, `p`."""
        return self.readouts[:, READOUTS.index(name)]

    def repeated(self, n: int) -> "Situations":
        """Return `n` particles that stand where the one stands."""
        return replace(
            self,
            readouts=np.repeat(self.readouts, n, axis=0),
            seconds=np.repeat(self.seconds, n),
            is_alive=np.repeat(self.is_alive, n),
        )

    def followed_by(
        self, operation: Operation, readouts: Floats, seconds: Floats, ok: Floats
    ) -> "Situations":
        """Return where they stand after an operation; `ok` says where it succeeded.

        A particle whose operation failed is no longer alive and keeps its read-outs.

        Raises:
            IllegalTransitionError: If the operation may not follow.
        """
        lives = self.is_alive & (ok > 0)
        return replace(
            self,
            treatment=self.treatment.after(operation),
            readouts=np.where(lives[:, None], readouts, self.readouts),
            n_embedded=operation.n if isinstance(operation, Embed) else self.n_embedded,
            n_steps=self.n_steps + (operation.k if isinstance(operation, Relax) else 0),
            has_force_field=self.has_force_field or operation.kind == "mmff",
            n_done=self.n_done + 1,
            seconds=self.seconds + np.where(self.is_alive, seconds, 0.0),
            is_alive=lives,
        )


def nothing_done(smiles: str) -> Situations:
    """Return the one situation of a molecule to which nothing was done."""
    return Situations(
        smiles, Treatment(), np.full((1, len(READOUTS)), np.nan), 0, 0, False, 0,
        np.zeros(1), np.ones(1, dtype=bool),
    )  # fmt: skip


def situation_after(smiles: str, outcomes: Sequence[OperationOutcome]) -> Situations:
    """Return where a real specimen stands after what was done to it."""
    found = nothing_done(smiles)
    for outcome in outcomes:
        found = observed(found, outcome)
    return found


def observed(before: Situations, outcome: OperationOutcome) -> Situations:
    """Return where one real specimen stands after one more outcome.

    Raises:
        IllegalTransitionError: If the operation may not follow.
    """
    seconds = np.array([outcome.seconds])
    if outcome.status != "ok":
        before.treatment.after(outcome.operation)
        return replace(
            before, seconds=before.seconds + seconds, n_done=before.n_done + 1
        )
    row = row_of(outcome.readouts)[None]
    return before.followed_by(outcome.operation, row, seconds, np.ones(1))


def row_of(readouts: OperationReadouts | None) -> Floats:
    """Return read-outs as one row, `r`; NaN where there is none."""
    if readouts is None:
        return np.full(len(READOUTS), np.nan)
    values = [getattr(readouts, name) for name in READOUTS]
    return np.array([np.nan if value is None else value for value in values], float)


def readouts_of(row: Floats) -> OperationReadouts:
    """Return a row of read-outs as a record."""
    numbers = {
        name: None if np.isnan(value) else float(value)
        for name, value in zip(READOUTS, row, strict=True)
    }
    n_conformers = round(numbers.pop("n_conformers") or 1)
    return OperationReadouts(n_conformers=n_conformers, **numbers)


def seen(name: str, values: Floats) -> Floats:
    """Return a read-out on the scale on which changes are modelled."""
    return np.log(values + _FLOORS[name]) if name in _FLOORS else values


def unseen(name: str, values: Floats) -> Floats:
    """Return the inverse of `seen`."""
    if name not in _FLOORS:
        return values
    return np.maximum(np.exp(values) - _FLOORS[name], 0.0)


def context_of(treatment: Treatment, kind: Kind) -> str:
    """Return which model answers: the kind, and the level that it starts from."""
    if kind in ("gfn1", "gfn2", "prune"):
        source = "orbitals" if treatment.has_gap else "geometry"
        return f"{kind} after {source}"
    return kind


def features_of(situations: Situations, operation: Operation | None) -> Features:
    """Return what a model sees, `p` rows; without an operation its block is empty."""
    p = len(situations.readouts)
    numbers, bits = molecule_features(situations.smiles)
    state = [
        np.nan_to_num(seen(name, situations.column(name)))
        for name in READOUTS
        if name != "energy"
    ]
    history = [
        np.log1p(situations.n_embedded),
        np.log1p(situations.n_steps),
        float(situations.has_force_field),
        float(situations.treatment.is_solvated),
        float(situations.treatment.level == "gfn2"),
    ]
    arguments = _arguments(operation)
    blocks = (
        np.repeat(numbers[None], p, axis=0),
        np.column_stack([*state, *(np.full(p, value) for value in history)]),
        np.repeat(arguments[None], p, axis=0),
    )
    return Features(blocks, np.repeat(bits[None], p, axis=0))


@lru_cache(maxsize=4096)
def molecule_features(smiles: str) -> tuple[Floats, Floats]:
    """Return a molecule's numbers and the substructures that it holds, 0 or 1.

    Raises:
        MoleculeError: If it is not one connected molecule with a closed shell.
    """
    from labwm.chem.descriptors import quick_descriptors
    from labwm.chem.ensemble import skeleton_of
    from labwm.chem.fingerprints import count_fingerprints

    values, names = quick_descriptors([smiles])
    chosen = [values[0, names.index(name)] for name in _DESCRIPTORS]
    atoms = skeleton_of(smiles).numbers
    counts = [float(np.sum(atoms == number)) for number in _ELEMENTS]
    bits = np.asarray(count_fingerprints([smiles], "ecfp4").todense())[0] > 0
    return np.array([*chosen, *counts]), bits.astype(np.float32)


def stacked(rows: Sequence[Features]) -> Features:
    """Return rows of several situations as one table."""
    first, second, third = (
        np.concatenate([own.blocks[i] for own in rows]) for i in range(3)
    )
    return Features((first, second, third), np.concatenate([r.bits for r in rows]))


def _arguments(operation: Operation | None) -> Floats:
    match operation:
        case Embed():
            return np.array([np.log(operation.n)])
        case Prune():
            return np.array([np.log(operation.window), np.log(operation.rmsd + 0.02)])
        case Relax():
            return np.array([np.log(operation.k)])
        case _:
            return np.zeros(1)
