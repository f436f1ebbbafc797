"""RDKit's molecular descriptors as one array.

Shapes: `n` molecules, `d` descriptors (217 in RDKit 2026.9).

Policy for what cannot be computed: a value that is infinite, not a number, or whose
descriptor raises becomes NaN in that one cell. Nothing is filled in or clipped here,
and no column is dropped: that is the model's choice, made on its training rows.
"""

import math
from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
from rdkit import Chem, rdBase
from rdkit.Chem import Descriptors

from labwm.chem.molecule import canonical, parse

CACHED_MOLECULES = 100_000
"""About 1.8 kB each."""

_SLOW_FAMILIES = (
    "fr_", "BCUT", "PEOE", "EState_", "VSA_EState", "Chi", "Kappa", "FpDensity",
)  # fmt: skip
_SLOW = {
    "qed", "SPS", "BertzCT", "Ipc", "AvgIpc", "MaxAbsEStateIndex", "MinAbsEStateIndex",
    "MinEStateIndex", "MaxEStateIndex", "BalabanJ", "MaxPartialCharge", "Phi",
    "MinPartialCharge", "MaxAbsPartialCharge", "MinAbsPartialCharge",
    "NumRadicalElectrons",
}  # fmt: skip


def descriptor_names() -> tuple[str, ...]:
    """Return the names of the columns in order."""
    return tuple(name for name, _ in Descriptors.descList)


def descriptors(smiles: Sequence[str]) -> tuple[np.ndarray, tuple[str, ...]]:
    """Compute every descriptor of every molecule, `n x d` float64, with the names.

    Rows are cached by canonical SMILES within the process. Costs 4 to 9 ms for a
    molecule that is new.

    Raises:
        MoleculeError: If one of `smiles` is not a molecule.
    """
    names = descriptor_names()
    rows = [_row(canonical(written)) for written in smiles]
    return np.array(rows, dtype=np.float64).reshape(len(rows), len(names)), names


def quick_descriptor_names() -> tuple[str, ...]:
    """Return the names of descriptors that cost little, in order."""
    return tuple(
        name
        for name in descriptor_names()
        if not name.startswith(_SLOW_FAMILIES) and name not in _SLOW
    )


def quick_descriptors(smiles: Sequence[str]) -> tuple[np.ndarray, tuple[str, ...]]:
    """Compute the descriptors that cost little, `n x 55` float64, with the names.

    Costs under a millisecond per molecule, a seventh of all of them: for tables of very
    many molecules. Nothing is cached here.

    Raises:
        MoleculeError: If one of `smiles` is not a molecule.
    """
    names = quick_descriptor_names()
    wanted = set(names)
    functions = [own for name, own in Descriptors.descList if name in wanted]
    rows = [_computed(parse(written), functions) for written in smiles]
    return np.array(rows, dtype=np.float64).reshape(len(rows), len(names)), names


@lru_cache(maxsize=CACHED_MOLECULES)
def _row(canonical_smiles: str) -> np.ndarray:
    functions = [function for _, function in Descriptors.descList]
    row = _computed(parse(canonical_smiles), functions)
    row.flags.writeable = False
    return row


def _computed(
    molecule: Chem.Mol, functions: Sequence[Callable[[Chem.Mol], float]]
) -> np.ndarray:
    row = np.full(len(functions), np.nan)
    with rdBase.BlockLogs():
        for column, function in enumerate(functions):
            try:
                value = float(function(molecule))
            except (ValueError, RuntimeError, ArithmeticError):
                continue
            if math.isfinite(value):
                row[column] = value
    return row
