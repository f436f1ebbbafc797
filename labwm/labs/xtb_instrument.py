"""Measure a molecule by GFN2-xTB: one conformer by the replicate's seed, then energies.

The readouts are computed quantities (level GFN2-xTB//MMFF94), not experiments:

- `gap`: HOMO-LUMO gap of the molecule in the gas phase, eV.
- `octanol_water_dg`: solvation free energy in octanol minus that in water, kcal/mol,
  ALPB at the fixed gas-phase structure. Negative means that the molecule prefers
  octanol: the more negative, the more lipophilic. Divided by -RT ln 10 (-1.364
  kcal/mol at 298.15 K) it is a computed octanol-water log P.

Noise is real: a replicate's seed chooses the conformer.

Reference:
    Bannwarth, Ehlert, Grimme, J. Chem. Theory Comput. 2019, 15, 1652 (GFN2-xTB).
    Ehlert, Stahn, Spicher, Grimme, J. Chem. Theory Comput. 2021, 17, 4250 (ALPB).
"""

import hashlib
import json
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from labwm.errors import InvalidInputError, MoleculeError
from labwm.labs.conformer_cache import conformer_of
from labwm.labs.dft import BASES, NotConvergedError, dft_gap

if TYPE_CHECKING:
    from tblite.interface import Result

    from labwm.chem.conformers import Conformer

EV_PER_HARTREE = 27.211386245988
KCAL_PER_MOL_PER_HARTREE = 627.5094740631
BOHR_PER_ANGSTROM = 1.8897261246257702
HARTREE_PER_KELVIN = 3.166808578545117e-6
MAX_SEED = 2**31 - 1
SOLVENTS = (None, "octanol", "water")
"""The three calculations of one measurement; `None` is the gas phase."""

Status = Literal[
    "ok", "embedding_failed", "scf_not_converged", "odd_electrons", "timeout"
]


METHODS = ("GFN2-xTB", "GFN1-xTB", *BASES)
TEMPERATURE = 300.0
"""Kelvin."""


@dataclass(frozen=True)
class XtbSettings:
    """The level of theory and the conformer rule, fixed by the protocol."""

    method: Literal["GFN2-xTB", "GFN1-xTB", "B3LYP/STO-3G", "B3LYP/def2-SVP"] = (
        "GFN2-xTB"
    )
    """Those of B3LYP give the gap only, and need `pip install labwm[pyscf]`."""
    n_conformers: int = 1
    """ETKDGv3 conformers per replicate, of which the lowest in MMFF94 is measured."""
    max_iterations: int = 250
    """Limit of self-consistent-field iterations in each of the three calculations."""
    electronic_temperature: float = TEMPERATURE
    """Kelvin, for the occupation of orbitals."""
    timeout_seconds: float = 60.0
    """Wall-clock limit, looked at between the steps; none is interrupted."""

    @property
    def is_dft(self) -> bool:
        """Is the level one of density functional theory?"""
        return self.method in BASES

    def __post_init__(self) -> None:
        """Refuse settings that no measurement can be made with."""
        if self.method not in METHODS:
            raise InvalidInputError(
                f"The method is one of {list(METHODS)}; got {self.method!r}. Choose "
                "one."
            )
        if self.is_dft and self.electronic_temperature != TEMPERATURE:
            raise InvalidInputError(
                "An electronic temperature belongs to GFN1-xTB and GFN2-xTB; got "
                f"{self.electronic_temperature} K with {self.method}. Leave it out."
            )
        numbers = (
            self.n_conformers,
            self.max_iterations,
            self.electronic_temperature,
            self.timeout_seconds,
        )
        if not min(numbers) > 0:
            raise InvalidInputError(
                "Numbers of conformers and iterations, temperature and timeout are "
                f"above zero; got {numbers}. Raise the one that is not."
            )


@dataclass(frozen=True)
class XtbResult:
    """What one measurement gave; a failure is an outcome without readouts."""

    smiles: str
    """Canonical SMILES of what was measured."""
    seed: int
    status: Status
    reason: str = ""
    """Why the measurement failed; empty when it did not."""
    gap: float | None = None
    """HOMO-LUMO gap, eV."""
    octanol_water_dg: float | None = None
    """Solvation free energy in octanol minus that in water, kcal/mol."""
    force_field: str = ""
    """MMFF94, or UFF where MMFF94 lacks parameters; empty if nothing was embedded."""
    is_relaxed: bool = False
    """Whether the force field converged before its iteration limit."""
    cpu_seconds: float = field(default=0.0, compare=False)
    """Processor time of this measurement, the only field that differs when repeated."""


def seed_of(*identity: str | int) -> int:
    """Return the seed of a replicate from what identifies it, the same on any machine.

    >>> seed_of("campaign-1", "CCO", 0)
    988479286
    """
    content = json.dumps(identity, ensure_ascii=True).encode()
    return 1 + int.from_bytes(hashlib.sha256(content).digest()[:8]) % MAX_SEED


def measure(
    smiles: str, *, seed: int, settings: XtbSettings, cache: Path | None = None
) -> XtbResult:
    """Measure one replicate; equal arguments give an equal result.

    The seed goes to ETKDGv3 unchanged, and each way to write a molecule gives the same
    result. Costs 0.03 to 0.4 s of one core for 15 to 45 atoms, and grows as `atoms**3`.

    Args:
        smiles: One connected, closed-shell molecule; charges are honoured.
        seed: Names the replicate; between 1 and 2**31 - 1.
        settings: Level of theory and conformer rule.
        cache: Folder of structures embedded before; each is embedded without.

    Raises:
        MoleculeError: If `smiles` is not a molecule.
        InvalidInputError: If `seed` is out of range.
    """
    # Importing takes longer than a measurement; it is not measured.
    import labwm.chem.conformers  # noqa: F401
    from labwm.chem.molecule import canonical

    if not settings.is_dft:
        import tblite.interface  # noqa: F401

    started = time.thread_time()
    deadline = time.monotonic() + settings.timeout_seconds
    result = _outcome(_Asked(canonical(smiles), seed, settings, cache), deadline)
    return replace(result, cpu_seconds=time.thread_time() - started)


@dataclass(frozen=True)
class _Asked:
    smiles: str
    seed: int
    settings: XtbSettings
    cache: Path | None


def _outcome(asked: _Asked, deadline: float) -> XtbResult:
    failed = partial(XtbResult, asked.smiles, asked.seed)
    try:
        conformer = _structure(asked)
    except MoleculeError as error:
        is_late = time.monotonic() > deadline
        return failed("timeout" if is_late else "embedding_failed", str(error))
    if conformer.n_unpaired or conformer.n_electrons % 2:
        return failed(
            "odd_electrons",
            f"A closed shell is measured; got {conformer.n_electrons} electrons, "
            f"{conformer.n_unpaired} unpaired. Give the closed-shell molecule or ion.",
        )
    calculate = _dft if asked.settings.is_dft else _xtb
    try:
        gap, octanol_water_dg = calculate(conformer, asked.settings, deadline)
    except TimeoutError as error:
        return failed("timeout", str(error))
    except NotConvergedError as error:
        return failed("scf_not_converged", str(error))
    return XtbResult(
        asked.smiles,
        asked.seed,
        "ok",
        gap=gap,
        octanol_water_dg=octanol_water_dg,
        force_field=conformer.force_field,
        is_relaxed=conformer.is_relaxed,
    )


def _structure(asked: _Asked) -> "Conformer":
    how = {
        "seed": asked.seed,
        "n_conformers": asked.settings.n_conformers,
        "timeout_seconds": math.ceil(asked.settings.timeout_seconds),
    }
    if asked.cache is not None:
        return conformer_of(asked.smiles, cache=asked.cache, **how)
    from labwm.chem.conformers import embed

    return embed(asked.smiles, **how)


def _dft(
    conformer: "Conformer", settings: XtbSettings, deadline: float
) -> tuple[float, None]:
    del deadline  # whoever runs the process keeps it: one calculation has no steps
    gap = dft_gap(conformer, settings.method, max_iterations=settings.max_iterations)
    return gap, None


def _xtb(
    conformer: "Conformer", settings: XtbSettings, deadline: float
) -> tuple[float, float]:
    from tblite.exceptions import TBLiteRuntimeError

    try:
        gas, octanol, water = _single_points(conformer, settings, deadline)
    except TBLiteRuntimeError as error:
        raise NotConvergedError(str(error)) from error
    return _gap(gas), _energy(octanol) - _energy(water)


def _single_points(
    conformer: "Conformer", settings: XtbSettings, deadline: float
) -> "list[Result]":
    """Run the three calculations of `SOLVENTS`; each starts from scratch.

    Raises:
        TimeoutError: If the deadline passed before all were done.
    """
    results: list[Result] = []
    with _one_thread():
        for solvent in SOLVENTS:
            if time.monotonic() > deadline:
                raise TimeoutError(
                    f"A measurement ends within {settings.timeout_seconds} s; got "
                    f"{len(results)} of {len(SOLVENTS)} calculations. Raise the limit."
                )
            results.append(_single_point(conformer, settings, solvent))
    return results


def _single_point(
    conformer: "Conformer", settings: XtbSettings, solvent: str | None
) -> "Result":
    from tblite.interface import Calculator

    calculator = Calculator(
        settings.method,
        conformer.numbers,
        conformer.positions * BOHR_PER_ANGSTROM,
        charge=conformer.charge,
        uhf=0,
        logger=_drop,
    )
    calculator.set("verbosity", 0)
    calculator.set("max-iter", settings.max_iterations)
    calculator.set("temperature", settings.electronic_temperature * HARTREE_PER_KELVIN)
    if solvent is not None:
        calculator.add("alpb-solvation", solvent)
    return calculator.singlepoint()


def _gap(result: "Result") -> float:
    """Return the gap between highest occupied and lowest empty orbital, eV."""
    energies = result.get("orbital-energies")
    n_occupied = int((result.get("orbital-occupations") > 1.0).sum())
    return float(energies[n_occupied] - energies[n_occupied - 1]) * EV_PER_HARTREE


def _energy(result: "Result") -> float:
    """Return the total energy, solvation included, kcal/mol."""
    return float(result.get("energy")) * KCAL_PER_MOL_PER_HARTREE


def _drop(message: str) -> None:
    """Take a line that tblite would print."""


@contextmanager
def _one_thread() -> Iterator[None]:
    """Pin OpenMP and BLAS to one thread: such small matrices gain nothing from more.

    Workers measure side by side, each on its own core.
    """
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1):
        yield
