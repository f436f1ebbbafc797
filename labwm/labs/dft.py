"""The dear level of the xtb lab: a gap by density functional theory, with PySCF.

The structure is the one that GFN2-xTB measures, so that two levels differ by theory
only. PySCF is an extra: `pip install labwm[pyscf]`.

Reference:
    Sun et al., J. Chem. Phys. 2020, 153, 024109 (PySCF).
    Stephens et al., J. Phys. Chem. 1994, 98, 11623 (B3LYP).
"""

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from labwm.chem.conformers import Conformer

BASES: Final = {"B3LYP/STO-3G": "sto-3g", "B3LYP/def2-SVP": "def2-svp"}
"""Basis set of each level."""
EV_PER_HARTREE: Final = 27.211386245988


class NotConvergedError(Exception):
    """The self-consistent field found no end."""


def dft_gap(conformer: "Conformer", level: str, *, max_iterations: int) -> float:
    """Return the gap between highest occupied and lowest empty orbital, eV.

    B3LYP with density fitting, closed shell, gas phase, one thread. Cost grows as about
    `atoms**3`; see `labwm.labs.cost_ratio` for what it is beside GFN2-xTB.

    Raises:
        NotConvergedError: If the field did not converge within the iterations.
    """
    from pyscf import dft, gto, lib  # pyright: ignore[reportMissingImports]

    atoms = zip(conformer.numbers.tolist(), conformer.positions.tolist(), strict=True)
    with lib.with_omp_threads(1):
        molecule = gto.M(
            atom=list(atoms),
            unit="Angstrom",
            basis=BASES[level],
            charge=conformer.charge,
            spin=0,
            verbose=0,
        )
        field = dft.RKS(molecule, xc="b3lyp").density_fit()
        field.max_cycle = max_iterations
        field.kernel()
    if not field.converged:
        raise NotConvergedError(f"No convergence within {max_iterations} iterations.")
    n_occupied = molecule.nelectron // 2
    energies = field.mo_energy
    return float(energies[n_occupied] - energies[n_occupied - 1]) * EV_PER_HARTREE
