"""The lab of procedures: typed operations on one molecule, each with measured cost.

The target is the HOMO-LUMO gap in water at GFN2-xTB, averaged over conformers by their
Boltzmann weights at 298.15 K: a computed quantity, not an experiment. What is read on
the way is the same average at whatever level the specimen is at.

A specimen is never changed, only followed by another, so that it can be kept and gone
on from at any time. For equal operations all but the measured seconds are equal.
"""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from labwm.errors import InvalidInputError, MoleculeError, UnavailableError
from labwm.labs.dft import NotConvergedError
from labwm.labs.xtb_ensemble import LevelOfTheory, Point, each
from labwm.schema.procedure import (
    Embed,
    Mmff,
    Operation,
    OperationOutcome,
    OperationReadouts,
    OperationStatus,
    Procedure,
    Prune,
    Relax,
    Treatment,
)

if TYPE_CHECKING:
    from labwm.chem.ensemble import Skeleton

Floats = NDArray[np.float64]

KT: Final = 0.0019872042586 * 298.15
"""Boltzmann's constant times the temperature, kcal/mol."""


@dataclass(frozen=True)
class Specimen:
    """A molecule as an ensemble of conformers; shapes `c` conformers, `a` atoms."""

    skeleton: "Skeleton"
    treatment: Treatment = field(default_factory=Treatment)
    positions: Floats | None = None
    """`c x a x 3`, ångström; None before it is embedded."""
    energies: Floats | None = None
    """`c`, kcal/mol; None before a level is computed."""
    gaps: Floats | None = None
    """`c`, eV; None without orbitals."""
    force: float | None = None
    """Of the lowest conformer, kcal/mol/ångström."""

    def read(self) -> OperationReadouts | None:
        """Return what is read from it; None while nothing is embedded."""
        if self.positions is None:
            return None
        n = len(self.positions)
        if self.energies is None:
            return OperationReadouts(n_conformers=n)
        above = self.energies - self.energies.min()
        with_energy = OperationReadouts(
            n_conformers=n,
            energy=float(self.energies.min()),
            spread=float(above.max()),
            force=self.force,
        )
        if self.gaps is None:
            return with_energy
        weights = np.exp(-above / KT)
        return with_energy.model_copy(
            update={
                "gap": float(weights @ self.gaps / weights.sum()),
                "gap_sd": float(self.gaps.std()),
            }
        )


@dataclass(frozen=True)
class ProcedureLab:
    """Does operations, each within a time limit.

    Attributes:
        timeout_seconds: Wall-clock limit of an operation, looked at between the
            calculations; one that passes it leaves the specimen as it was.

    Raises:
        UnavailableError: If tblite is not installed.
    """

    timeout_seconds: float = 60.0

    def __post_init__(self) -> None:
        if not self.timeout_seconds > 0:
            raise InvalidInputError(
                f"A time limit is above zero; got {self.timeout_seconds} s. Raise it."
            )
        if find_spec("tblite") is None:
            raise UnavailableError(
                "Procedures are computed with tblite; got an installation without it. "
                "Install it: pip install tblite."
            )

    def take(self, smiles: str) -> Specimen:
        """Return the specimen of a molecule to which nothing was done.

        Raises:
            MoleculeError: If it is not one connected molecule with a closed shell.
        """
        from labwm.chem.ensemble import skeleton_of

        return Specimen(skeleton_of(smiles))

    def do(
        self, specimen: Specimen, operation: Operation
    ) -> tuple[Specimen, OperationOutcome]:
        """Do one operation; one that fails is an outcome, and changes nothing.

        Raises:
            IllegalTransitionError: If the operation may not follow.
        """
        # Importing takes longer than an operation; it is not measured.
        import tblite.interface
        from threadpoolctl import threadpool_limits

        import labwm.chem.ensemble

        del tblite, labwm
        treatment = specimen.treatment.after(operation)
        status: OperationStatus = "ok"
        reason = ""
        deadline = time.monotonic() + self.timeout_seconds
        with threadpool_limits(limits=1):
            started = time.thread_time()
            try:
                specimen = self._done(specimen, operation, treatment, deadline)
            except NotConvergedError as error:
                status, reason = "scf_not_converged", str(error)
            except TimeoutError as error:
                status, reason = "timeout", str(error)
            except MoleculeError as error:
                is_late = time.monotonic() > deadline
                status = "timeout" if is_late else "embedding_failed"
                reason = str(error)
            seconds = time.thread_time() - started
        outcome = OperationOutcome(
            operation=operation,
            status=status,
            reason=reason,
            readouts=specimen.read(),
            seconds=seconds,
        )
        return specimen, outcome

    def follow(
        self, smiles: str, procedure: Procedure
    ) -> tuple[Specimen, tuple[OperationOutcome, ...]]:
        """Do a whole procedure; it ends where an operation fails.

        Raises:
            MoleculeError: If the molecule cannot be computed.
        """
        specimen = self.take(smiles)
        outcomes: list[OperationOutcome] = []
        for operation in procedure.operations:
            specimen, outcome = self.do(specimen, operation)
            outcomes.append(outcome)
            if outcome.status != "ok":
                break
        return specimen, tuple(outcomes)

    def _done(
        self,
        specimen: Specimen,
        operation: Operation,
        treatment: Treatment,
        deadline: float,
    ) -> Specimen:
        if isinstance(operation, Embed):
            return self._embedded(specimen, operation, treatment)
        if isinstance(operation, Mmff):
            return _force_field(specimen, treatment)
        if isinstance(operation, Prune):
            return _pruned(specimen, operation)
        level = LevelOfTheory(
            specimen.skeleton, treatment.level, treatment.is_solvated, deadline
        )
        if isinstance(operation, Relax):
            steps = operation.k
            points, reasons = each(
                _positions(specimen), lambda x: level.relaxed(x, n_steps=steps)
            )
        else:
            points, reasons = each(_positions(specimen), level.single_point)
        if not points:
            raise NotConvergedError(
                f"none of {len(reasons)} conformers converged: {reasons[0]}"
            )
        return _computed(specimen, treatment, points)

    def _embedded(
        self, specimen: Specimen, operation: Embed, treatment: Treatment
    ) -> Specimen:
        from labwm.chem.ensemble import embed_many

        positions = embed_many(
            specimen.skeleton.smiles,
            n=operation.n,
            seed=operation.seed,
            timeout_seconds=math.ceil(self.timeout_seconds),
        )
        return replace(specimen, treatment=treatment, positions=positions)


def boltzmann_gap(outcomes: Sequence[OperationOutcome]) -> float | None:
    """Return the last gap that was read, eV; None if there is none."""
    if not outcomes or (last := outcomes[-1].readouts) is None:
        return None
    return last.gap


def _positions(specimen: Specimen) -> Floats:
    assert specimen.positions is not None  # the treatment's order saw to it
    return specimen.positions


def _force_field(specimen: Specimen, treatment: Treatment) -> Specimen:
    from labwm.chem.ensemble import force_field_relaxed

    positions, energies = force_field_relaxed(
        specimen.skeleton.smiles, _positions(specimen)
    )
    return Specimen(specimen.skeleton, treatment, positions, energies)


def _pruned(specimen: Specimen, operation: Prune) -> Specimen:
    from labwm.chem.ensemble import distinct_conformers

    assert specimen.energies is not None  # the treatment's order saw to it
    positions = _positions(specimen)
    above = specimen.energies - specimen.energies.min()
    order = np.argsort(above, kind="stable")
    order = order[above[order] <= operation.window]
    rows = distinct_conformers(
        specimen.skeleton.smiles, positions, order, rmsd=operation.rmsd
    )
    gaps = specimen.gaps
    return replace(
        specimen,
        positions=positions[rows],
        energies=specimen.energies[rows],
        gaps=None if gaps is None else gaps[rows],
    )


def _computed(
    specimen: Specimen, treatment: Treatment, points: Sequence[Point]
) -> Specimen:
    lowest = min(points, key=lambda point: point.energy)
    return Specimen(
        specimen.skeleton,
        treatment,
        np.array([point.positions for point in points]),
        np.array([point.energy for point in points]),
        np.array([point.gap for point in points]),
        lowest.force,
    )
