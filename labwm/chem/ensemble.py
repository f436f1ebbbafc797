"""Ensembles of conformers: embed many, relax them in a force field, compare them.

Positions are plain arrays, in the atom order of the canonical SMILES with hydrogens.
Shapes: `c` conformers, `a` atoms.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem, rdBase
from rdkit.Chem import rdDistGeom, rdForceFieldHelpers, rdMolAlign
from rdkit.Geometry import Point3D

from labwm.chem.conformers import FORCE_FIELD_ITERATIONS, connected
from labwm.chem.molecule import canonical, shown
from labwm.errors import MoleculeError

Floats = NDArray[np.float64]

MOST_MATCHES = 1000
"""Ways to lay a molecule on itself that are tried when conformers are compared."""


@dataclass(frozen=True)
class Skeleton:
    """What the conformers of a molecule share."""

    smiles: str
    """Canonical."""
    numbers: NDArray[np.int64]
    """Atomic numbers, shape `a`."""
    charge: int
    """Formal charge in units of the elementary charge."""

    @property
    def n_electrons(self) -> int:
        """Return the number of all electrons."""
        return int(self.numbers.sum()) - self.charge


def skeleton_of(smiles: str) -> Skeleton:
    """Return what the conformers of a molecule share.

    Raises:
        MoleculeError: If it is not one connected molecule with a closed shell.
    """
    molecule = connected(smiles)
    numbers = np.array([atom.GetAtomicNum() for atom in molecule.GetAtoms()])
    found = Skeleton(canonical(smiles), numbers, Chem.GetFormalCharge(molecule))
    n_unpaired = sum(atom.GetNumRadicalElectrons() for atom in molecule.GetAtoms())
    if n_unpaired or found.n_electrons % 2:
        raise MoleculeError(
            f"A closed shell is computed; got {found.n_electrons} electrons, "
            f"{n_unpaired} unpaired, in {shown(smiles)}. Give the closed-shell "
            "molecule or ion."
        )
    return found


def embed_many(smiles: str, *, n: int, seed: int, timeout_seconds: int) -> Floats:
    """Embed conformers by ETKDGv3 without a force field, `c x a x 3`, ångström.

    Raises:
        MoleculeError: If distance geometry finds none.
    """
    molecule = connected(smiles)
    parameters = rdDistGeom.ETKDGv3()
    parameters.randomSeed = seed
    parameters.timeout = timeout_seconds
    with rdBase.BlockLogs():
        ids = list(rdDistGeom.EmbedMultipleConfs(molecule, n, parameters))
    if not ids:
        raise MoleculeError(
            "A molecule must embed in three dimensions; got no conformer for "
            f"{shown(smiles)} with seed {seed}. Check its stereochemistry and rings."
        )
    return np.array([molecule.GetConformer(i).GetPositions() for i in ids])


def force_field_relaxed(smiles: str, positions: Floats) -> tuple[Floats, Floats]:
    """Relax conformers in MMFF94, or UFF where that lacks parameters.

    Args:
        smiles: The molecule.
        positions: `c x a x 3`, ångström.

    Returns:
        Positions, `c x a x 3`, and energies in kcal/mol, `c`.

    Raises:
        MoleculeError: If neither force field knows every atom.
    """
    molecule = _with(smiles, positions)
    with rdBase.BlockLogs():
        if rdForceFieldHelpers.MMFFHasAllMoleculeParams(molecule):
            relax = rdForceFieldHelpers.MMFFOptimizeMoleculeConfs
        elif rdForceFieldHelpers.UFFHasAllMoleculeParams(molecule):
            relax = rdForceFieldHelpers.UFFOptimizeMoleculeConfs
        else:
            raise MoleculeError(
                "A force field must know every atom; MMFF94 and UFF do not for "
                f"{shown(smiles)}. Leave the operation 'mmff' out."
            )
        found = relax(molecule, numThreads=1, maxIters=FORCE_FIELD_ITERATIONS)
    relaxed = [conformer.GetPositions() for conformer in molecule.GetConformers()]
    return np.array(relaxed), np.array([energy for _, energy in found])


def distinct_conformers(
    smiles: str, positions: Floats, order: NDArray[np.int64], *, rmsd: float
) -> list[int]:
    """Return the rows that stay when each close to an earlier one is left out.

    Distances are of heavy atoms and of hydrogens not on carbon, after the best of
    all symmetric superpositions.

    Args:
        smiles: The molecule.
        positions: `c x a x 3`, ångström.
        order: Rows in the order in which they are kept.
        rmsd: Distance below which two are the same, ångström.
    """
    whole = _with(smiles, positions)
    bare = _without_carbon_hydrogens(whole)
    ids = [conformer.GetId() for conformer in bare.GetConformers()]
    kept: list[int] = []
    for row in order.tolist():
        # The best superposition moves its first molecule: a copy is moved.
        probe = Chem.Mol(bare, confId=ids[row])
        is_new = all(
            rdMolAlign.GetBestRMS(
                probe, bare, -1, ids[earlier], maxMatches=MOST_MATCHES
            )
            >= rmsd
            for earlier in kept
        )
        if is_new:
            kept.append(row)
    return kept


def _with(smiles: str, positions: Floats) -> Chem.Mol:
    molecule = connected(smiles)
    for place in positions:
        conformer = Chem.Conformer(len(place))
        for atom, (x, y, z) in enumerate(place.tolist()):
            conformer.SetAtomPosition(atom, Point3D(x, y, z))
        molecule.AddConformer(conformer, assignId=True)
    return molecule


def _without_carbon_hydrogens(molecule: Chem.Mol) -> Chem.Mol:
    editable = Chem.RWMol(molecule)
    doomed = [
        atom.GetIdx()
        for atom in molecule.GetAtoms()
        if atom.GetAtomicNum() == 1
        and any(near.GetAtomicNum() == 6 for near in atom.GetNeighbors())
    ]
    editable.BeginBatchEdit()
    for index in doomed:
        editable.RemoveAtom(index)
    editable.CommitBatchEdit()
    return editable.GetMol()
