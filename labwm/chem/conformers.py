"""Make three-dimensional structures: ETKDGv3, then a force field.

One seed gives one structure on every machine of the same RDKit version; another seed
may land in another conformer, which is the noise of a computed measurement.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from rdkit import Chem, rdBase
from rdkit.Chem import rdDistGeom, rdForceFieldHelpers

from labwm.chem.molecule import canonical, parse, shown
from labwm.errors import InvalidInputError, MoleculeError

MAX_SEED = 2**31 - 1
FORCE_FIELD_ITERATIONS = 2000

ForceField = Literal["MMFF94", "UFF"]


@dataclass(frozen=True)
class Conformer:
    """A structure with `a` atoms, hydrogens included."""

    numbers: np.ndarray
    """Atomic numbers, shape `a`, int."""
    positions: np.ndarray
    """Cartesian coordinates in ångström, shape `a x 3`."""
    charge: int
    """Formal charge in units of the elementary charge."""
    n_unpaired: int
    """Unpaired electrons that the SMILES states (radicals)."""
    force_field: ForceField
    """UFF only where MMFF94 has no parameters for an atom."""
    is_relaxed: bool
    """False if the force field stopped at its iteration limit."""

    @property
    def n_electrons(self) -> int:
        """Return the number of all electrons."""
        return int(self.numbers.sum()) - self.charge


def embed(
    smiles: str, *, seed: int, n_conformers: int = 1, timeout_seconds: int = 60
) -> Conformer:
    """Embed conformers and return the one of lowest force-field energy.

    The molecule is embedded in the atom order of its canonical SMILES, so that every
    way to write it gives the same structure.

    Args:
        smiles: One molecule; its stereochemistry is kept, what is open is chosen by
            the seed.
        seed: Between 1 and `MAX_SEED`.
        n_conformers: Conformers to try; 1 leaves the choice to the seed alone.
        timeout_seconds: Wall-clock limit of distance geometry.

    Raises:
        InvalidInputError: If `seed` or `n_conformers` is out of range.
        MoleculeError: If `smiles` is not one connected molecule, if distance geometry
            finds no conformer, or if no force field knows an atom.
    """
    if not 1 <= seed <= MAX_SEED or n_conformers < 1:
        raise InvalidInputError(
            f"An embedding needs a seed from 1 to {MAX_SEED} and at least one "
            f"conformer; got seed {seed} and {n_conformers} conformers. Change them."
        )
    molecule = connected(smiles)
    parameters = rdDistGeom.ETKDGv3()
    parameters.randomSeed = seed
    parameters.timeout = timeout_seconds
    with rdBase.BlockLogs():
        ids = list(rdDistGeom.EmbedMultipleConfs(molecule, n_conformers, parameters))
    if not ids:
        raise MoleculeError(
            "A molecule must embed in three dimensions; got no conformer for "
            f"{shown(smiles)} with seed {seed}. Check its stereochemistry and rings."
        )
    force_field, outcomes = _relaxed(molecule, smiles)
    best = min(range(len(ids)), key=lambda row: outcomes[row][1])
    return Conformer(
        numbers=np.array([atom.GetAtomicNum() for atom in molecule.GetAtoms()]),
        positions=np.array(molecule.GetConformer(ids[best]).GetPositions()),
        charge=Chem.GetFormalCharge(molecule),
        n_unpaired=sum(atom.GetNumRadicalElectrons() for atom in molecule.GetAtoms()),
        force_field=force_field,
        is_relaxed=outcomes[best][0] == 0,
    )


def connected(smiles: str) -> Chem.Mol:
    """Return the molecule with hydrogens; several fragments would overlap in space."""
    molecule = parse(canonical(smiles))
    n_fragments = len(Chem.GetMolFrags(molecule))
    if n_fragments > 1:
        raise MoleculeError(
            f"A structure is made for one connected molecule; got {n_fragments} "
            f"fragments in {shown(smiles)}. Name the fragment that is measured."
        )
    return Chem.AddHs(molecule)


def _relaxed(
    molecule: Chem.Mol, smiles: str
) -> tuple[ForceField, list[tuple[int, float]]]:
    """Relax in place; return for each conformer (0 if converged, energy)."""
    with rdBase.BlockLogs():
        if rdForceFieldHelpers.MMFFHasAllMoleculeParams(molecule):
            return "MMFF94", rdForceFieldHelpers.MMFFOptimizeMoleculeConfs(
                molecule, numThreads=1, maxIters=FORCE_FIELD_ITERATIONS
            )
        if rdForceFieldHelpers.UFFHasAllMoleculeParams(molecule):
            return "UFF", rdForceFieldHelpers.UFFOptimizeMoleculeConfs(
                molecule, numThreads=1, maxIters=FORCE_FIELD_ITERATIONS
            )
    raise MoleculeError(
        "A force field must know every atom; MMFF94 and UFF do not for "
        f"{shown(smiles)}. Measure this molecule in another lab."
    )
