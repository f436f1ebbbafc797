"""xTB energies, gaps and forces of conformers, and their relaxation by L-BFGS.

Shapes: `c` conformers, `a` atoms. Positions are in ångström, energies in kcal/mol.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from labwm.labs.descent import Descent
from labwm.labs.dft import NotConvergedError
from labwm.labs.xtb_instrument import (
    BOHR_PER_ANGSTROM,
    EV_PER_HARTREE,
    KCAL_PER_MOL_PER_HARTREE,
)

if TYPE_CHECKING:
    from tblite.interface import Calculator, Result

    from labwm.chem.ensemble import Skeleton

Floats = NDArray[np.float64]

METHODS: Final = {"gfn1": "GFN1-xTB", "gfn2": "GFN2-xTB"}
SOLVENT: Final = "water"
MAX_ITERATIONS: Final = 250


@dataclass(frozen=True)
class Point:
    """One conformer at one level."""

    positions: Floats
    """`a x 3`."""
    energy: float
    gap: float
    """eV."""
    force: float
    """Root mean square over atoms and directions, kcal/mol/ångström."""


@dataclass(frozen=True)
class LevelOfTheory:
    """How conformers are computed, and until when."""

    skeleton: "Skeleton"
    method: str
    """One of `METHODS`."""
    is_solvated: bool
    deadline: float
    """`time.monotonic()` at which a calculation no longer begins."""

    def single_point(self, positions: Floats) -> Point:
        """Compute one conformer.

        Raises:
            NotConvergedError: If the self-consistent field does not converge.
            TimeoutError: If the deadline passed.
        """
        self._keep_time()
        result = _run(self._calculator(positions), None)
        return _point(positions, result)

    def relaxed(self, positions: Floats, *, n_steps: int) -> Point:
        """Take steps of L-BFGS, fewer where the forces vanish before.

        Raises:
            NotConvergedError: If the self-consistent field does not converge.
            TimeoutError: If the deadline passed.
        """
        calculator = self._calculator(positions)
        search = Descent(positions)
        last: Result | None = None
        for _ in range(n_steps):
            self._keep_time()
            calculator.update(search.positions * BOHR_PER_ANGSTROM)
            # The orbitals of the step before are close: half of the iterations.
            last = _run(calculator, last)
            if not search.step(_gradient(last)):
                break
        # From scratch: orbitals handed on could hold on to an excited state.
        return self.single_point(search.positions)

    def _calculator(self, positions: Floats) -> "Calculator":
        from tblite.interface import Calculator

        calculator = Calculator(
            METHODS[self.method],
            self.skeleton.numbers,
            positions * BOHR_PER_ANGSTROM,
            charge=self.skeleton.charge,
            uhf=0,
            logger=_drop,
        )
        calculator.set("verbosity", 0)
        calculator.set("max-iter", MAX_ITERATIONS)
        if self.is_solvated:
            calculator.add("alpb-solvation", SOLVENT)
        return calculator

    def _keep_time(self) -> None:
        if time.monotonic() > self.deadline:
            raise TimeoutError("the time limit of the operation passed")


def each(
    positions: Floats, compute: Callable[[Floats], Point]
) -> tuple[list[Point], list[str]]:
    """Compute conformers, `c x a x 3`; returns those that converged, and why not."""
    points: list[Point] = []
    reasons: list[str] = []
    for place in positions:
        try:
            points.append(compute(place))
        except NotConvergedError as error:
            reasons.append(str(error))
    return points, reasons


def _run(calculator: "Calculator", start: "Result | None") -> "Result":
    from tblite.exceptions import TBLiteRuntimeError

    try:
        return calculator.singlepoint(start)
    except TBLiteRuntimeError as error:
        raise NotConvergedError(str(error)) from error


def _point(positions: Floats, result: "Result") -> Point:
    force = float(np.sqrt(np.mean(_gradient(result) ** 2)))
    return Point(positions, _energy(result), _gap(result), force)


def _energy(result: "Result") -> float:
    return float(result.get("energy")) * KCAL_PER_MOL_PER_HARTREE


def _gradient(result: "Result") -> Floats:
    scale = KCAL_PER_MOL_PER_HARTREE * BOHR_PER_ANGSTROM
    return np.asarray(result.get("gradient"), float) * scale


def _gap(result: "Result") -> float:
    energies = result.get("orbital-energies")
    n_occupied = int((result.get("orbital-occupations") > 1.0).sum())
    return float(energies[n_occupied] - energies[n_occupied - 1]) * EV_PER_HARTREE


def _drop(message: str) -> None:
    """Take a line that tblite would print."""
