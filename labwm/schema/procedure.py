"""Procedures on one molecule: typed operations, their legal order, what each gave.

The specimen is an ensemble of conformers. `LEVELS` are what its energies come from:

    nothing --embed--> raw --mmff--> mmff
    raw, mmff, gfn1 --gfn2--> gfn2,   raw, mmff, gfn2 --gfn1--> gfn1
    gfn1, gfn2 --relax--> the same level,   --solvation--> the same level, in water
    mmff, gfn1, gfn2 --prune--> the same level

Once in water, all that follows is computed in water.
"""

from typing import Annotated, Final, Literal

from pydantic import Field, model_validator

from labwm.errors import IllegalTransitionError
from labwm.schema.record import Record

Level = Literal["nothing", "raw", "mmff", "gfn1", "gfn2"]
Kind = Literal["embed", "mmff", "prune", "gfn1", "gfn2", "relax", "solvation"]
OperationStatus = Literal["ok", "embedding_failed", "scf_not_converged", "timeout"]

KINDS: Final[tuple[Kind, ...]] = (
    "embed", "mmff", "prune", "gfn1", "gfn2", "relax", "solvation",
)  # fmt: skip
MAX_SEED: Final = 2**31 - 1


class Embed(Record):
    """Embed conformers by distance geometry (ETKDGv3)."""

    kind: Literal["embed"] = "embed"
    n: int = Field(ge=1, le=200)
    """Conformers to ask for."""
    seed: int = Field(ge=1, le=MAX_SEED)


class Mmff(Record):
    """Relax every conformer in MMFF94; in UFF where MMFF94 lacks parameters."""

    kind: Literal["mmff"] = "mmff"


class Prune(Record):
    """Leave out conformers that lie too high, and those equal to a lower one."""

    kind: Literal["prune"] = "prune"
    window: float = Field(gt=0, le=1000)
    """Energy above the lowest that is kept, kcal/mol."""
    rmsd: float = Field(ge=0, le=10)
    """Conformers closer than this to a lower one are left out, ångström."""


class Gfn1(Record):
    """Compute energy, gap and force of every conformer at GFN1-xTB."""

    kind: Literal["gfn1"] = "gfn1"


class Gfn2(Record):
    """Compute energy, gap and force of every conformer at GFN2-xTB."""

    kind: Literal["gfn2"] = "gfn2"


class Relax(Record):
    """Take steps of L-BFGS with every conformer at the present level."""

    kind: Literal["relax"] = "relax"
    k: int = Field(ge=1, le=1000)
    """Steps of each conformer; fewer where it converges before."""


class Solvation(Record):
    """Compute every conformer in water (ALPB) at the present level."""

    kind: Literal["solvation"] = "solvation"


Operation = Annotated[
    Embed | Mmff | Prune | Gfn1 | Gfn2 | Relax | Solvation,
    Field(discriminator="kind"),
]


MENU: Final[tuple[Operation, ...]] = (
    *(Embed(n=n, seed=1) for n in (1, 2, 3, 5, 8, 12)),
    Mmff(),
    *(Prune(window=window, rmsd=0.25) for window in (1.0, 2.0, 4.0)),
    Gfn1(),
    Gfn2(),
    *(Relax(k=k) for k in (2, 5, 10, 20)),
    Solvation(),
)
"""What planners and environments choose from when nothing else is said."""


class Treatment(Record):
    """What was done to a specimen, as far as it decides what may follow."""

    level: Level = "nothing"
    is_solvated: bool = False

    @property
    def has_gap(self) -> bool:
        """Were the energies computed by a method with orbitals?"""
        return self.level in ("gfn1", "gfn2")

    def legal(self) -> tuple[Kind, ...]:
        """Return the kinds of operations that may follow, in the order of `KINDS`."""
        if self.level == "nothing":
            return ("embed",)
        allowed: dict[Kind, bool] = {
            "embed": False,
            "mmff": self.level == "raw",
            "prune": self.level != "raw",
            "gfn1": self.level != "gfn1",
            "gfn2": self.level != "gfn2",
            "relax": self.has_gap,
            "solvation": self.has_gap and not self.is_solvated,
        }
        return tuple(kind for kind in KINDS if allowed[kind])

    def after(self, operation: Operation) -> "Treatment":
        """Return the treatment with one operation more.

        Raises:
            IllegalTransitionError: If the operation may not follow.
        """
        if operation.kind not in (legal := self.legal()):
            where = f"{self.level}{', in water' if self.is_solvated else ''}"
            raise IllegalTransitionError(
                f"After the level {where!r} may follow {list(legal)}; got "
                f"{operation.kind!r}. Choose one of them."
            )
        match operation.kind:
            case "embed":
                return Treatment(level="raw")
            case "mmff" | "gfn1" | "gfn2":
                return self.model_copy(update={"level": operation.kind})
            case "solvation":
                return self.model_copy(update={"is_solvated": True})
            case "prune" | "relax":
                return self


class Procedure(Record):
    """Operations in a legal order, from nothing."""

    operations: tuple[Operation, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _order_is_legal(self) -> "Procedure":
        treatment = Treatment()
        for number, operation in enumerate(self.operations, 1):
            treatment = _next(treatment, operation, number)
        return self


class OperationReadouts(Record):
    """What is read from a specimen after an operation."""

    n_conformers: int = Field(ge=1)
    energy: float | None = None
    """Lowest energy at the present level, kcal/mol; none before a level is computed."""
    spread: float | None = None
    """Highest energy above the lowest, kcal/mol."""
    gap: float | None = None
    """HOMO-LUMO gap, Boltzmann-averaged over the conformers at 298.15 K, eV."""
    gap_sd: float | None = None
    """Standard deviation of the gap over the conformers, each counted once, eV."""
    force: float | None = None
    """Root mean square of the forces in the lowest conformer, kcal/mol/ångström."""


class OperationOutcome(Record):
    """One operation and what it gave; one that failed left the specimen as it was."""

    operation: Operation
    status: OperationStatus = "ok"
    reason: str = ""
    readouts: OperationReadouts | None = None
    """Of the specimen as it is after the operation; none while nothing is embedded."""
    seconds: float = Field(ge=0)
    """Processor time that was measured."""


class Episode(Record):
    """Operations on one molecule in the order done, and what each gave."""

    smiles: str
    """Canonical."""
    policy: str
    """Who chose the operations: `behaviour`, `reference`, or a plan's name."""
    seed: int
    outcomes: tuple[OperationOutcome, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _order_is_legal(self) -> "Episode":
        treatment = Treatment()
        for number, outcome in enumerate(self.outcomes, 1):
            following = _next(treatment, outcome.operation, number)
            if outcome.status == "ok":
                treatment = following
        return self


def _next(treatment: Treatment, operation: Operation, number: int) -> Treatment:
    try:
        return treatment.after(operation)
    except IllegalTransitionError as error:
        raise ValueError(f"operation {number}: {error}") from error


__all__ = [
    "KINDS",
    "MAX_SEED",
    "MENU",
    "Embed",
    "Episode",
    "Gfn1",
    "Gfn2",
    "Kind",
    "Level",
    "Mmff",
    "Operation",
    "OperationOutcome",
    "OperationReadouts",
    "OperationStatus",
    "Procedure",
    "Prune",
    "Relax",
    "Solvation",
    "Treatment",
]
