"""Where an episode of operations is played: in a world of the model, or the real lab.

Both are given a molecule and operations one by one; neither keeps state of its own:
what is handed back is all that a later call needs.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

import numpy as np

from labwm.errors import NotFoundError
from labwm.labs.procedure_lab import ProcedureLab, Specimen
from labwm.schema import Origin
from labwm.schema.procedure import Operation, OperationOutcome, OperationStatus
from labwm.world_model.procedures import ProcedureModel
from labwm.world_model.situations import (
    Situations,
    nothing_done,
    observed,
    readouts_of,
)


@dataclass(frozen=True)
class Played:
    """Where an episode stands.

    Attributes:
        situation: One specimen, as an agent sees it.
        seed: Of the world that it is played in.
        specimen: The real one, if there is one.
    """

    situation: Situations
    seed: int
    specimen: Specimen | None = None


class ProcedureSource(Protocol):
    """Plays operations."""

    @property
    def origin(self) -> Origin:
        """Where its outcomes come from."""
        ...

    def begin(self, smiles: str, seed: int) -> Played:
        """Return an episode in which nothing was done yet."""
        ...

    def do(
        self, played: Played, operation: Operation
    ) -> tuple[Played, OperationOutcome]:
        """Do one operation; one that fails leaves the specimen as it was.

        Raises:
            IllegalTransitionError: If the operation may not follow.
        """
        ...

    def error(self, played: Played) -> float:
        """Return how far the gap is from its reference, eV; see each source."""
        ...


@dataclass(frozen=True)
class WorldSource:
    """Plays each episode in one world of the model: with the errors of one donor.

    `error` is what the model expects, given what was read: no world knows a reference.
    """

    model: ProcedureModel = field(repr=False)

    @property
    def origin(self) -> Origin:
        """Virtual."""
        return Origin.VIRTUAL

    def begin(self, smiles: str, seed: int) -> Played:
        """Return an episode in which nothing was done yet."""
        return Played(nothing_done(smiles), seed)

    def do(
        self, played: Played, operation: Operation
    ) -> tuple[Played, OperationOutcome]:
        """Imagine one operation; pure in the episode's seed and what was done.

        Raises:
            IllegalTransitionError: If the operation may not follow.
        """
        before = played.situation
        after = self.model.advance(before, operation, self.model.donors(1, played.seed))
        seconds = float(after.seconds[0] - before.seconds[0])
        has_failed = not after.is_alive[0]
        if has_failed:
            after = replace(before, seconds=after.seconds, n_done=after.n_done)
        readouts = after.column("n_conformers")[0]
        outcome = OperationOutcome(
            operation=operation,
            status=_FAILURES[operation.kind == "embed"] if has_failed else "ok",
            reason="failed in this world" if has_failed else "",
            readouts=None if np.isnan(readouts) else readouts_of(after.readouts[0]),
            seconds=seconds,
        )
        return replace(played, situation=after), outcome

    def error(self, played: Played) -> float:
        """Return the error that the model expects, eV."""
        return float(self.model.expected_error(played.situation)[0][0])


_FAILURES: Final[dict[bool, OperationStatus]] = {
    True: "embedding_failed",
    False: "scf_not_converged",
}


@dataclass(frozen=True)
class LabSource:
    """Plays in the real lab; costs are measured, and differ when repeated.

    Attributes:
        lab: Does the operations.
        references: Gap of each molecule's reference, eV.
        prior_error: Error that counts while there is no gap, eV.
    """

    lab: ProcedureLab
    references: Mapping[str, float] = field(repr=False)
    prior_error: float

    @property
    def origin(self) -> Origin:
        """Computed."""
        return Origin.COMPUTED

    def begin(self, smiles: str, seed: int) -> Played:
        """Return an episode in which nothing was done yet.

        Raises:
            NotFoundError: If the molecule has no reference.
        """
        if smiles not in self.references:
            raise NotFoundError(
                f"An episode in the lab is scored against a reference; {smiles!r} has "
                "none. Log its reference, or leave the molecule out."
            )
        return Played(nothing_done(smiles), seed, self.lab.take(smiles))

    def do(
        self, played: Played, operation: Operation
    ) -> tuple[Played, OperationOutcome]:
        """Do one operation.

        Raises:
            IllegalTransitionError: If the operation may not follow.
        """
        assert played.specimen is not None  # `begin` took one
        specimen, outcome = self.lab.do(played.specimen, operation)
        situation = observed(played.situation, outcome)
        return replace(played, situation=situation, specimen=specimen), outcome

    def error(self, played: Played) -> float:
        """Return the distance of the gap from its reference, eV."""
        gap = float(played.situation.column("gap")[0])
        if np.isnan(gap):
            return self.prior_error
        return abs(gap - self.references[played.situation.smiles])
