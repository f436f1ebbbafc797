"""A model of operations: what each gives and costs, for molecules that were not seen.

For each kind of operation, and each read-out that it changes, a Gaussian process says
what comes next from the molecule, its read-outs so far and the arguments. Its errors
are those of logged molecules when each is left out. A *particle* is played with the
errors of one logged molecule, its donor, all the way: what a molecule hides stays
hidden the same way from one operation to the next, and read-outs err together.

What an operation cannot do is not learnt: pruning lowers no energy and adds no
conformer, relaxing raises no energy, single points lose no conformer, and a lone
conformer has no spread.

Shapes: `p` particles, `h` operations, `r` read-outs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from labwm.errors import InvalidInputError, NotEnoughDataError
from labwm.schema.procedure import Embed, Kind, Operation
from labwm.world_model.grouped_regression import Features, GroupedRegression
from labwm.world_model.situations import (
    READOUTS,
    Situations,
    context_of,
    features_of,
    nothing_done,
    seen,
    unseen,
)

Floats = NDArray[np.float64]

SECONDS: Final = "seconds"
KEEPS_ALL: Final = ("mmff", "gfn1", "gfn2", "relax", "solvation")
"""Operations that leave the number of conformers as it was."""
COST_FLOOR: Final = 1e-4
"""Seconds added before the logarithm."""


@dataclass(frozen=True)
class Rollout:
    """Particles after each of several operations.

    Attributes:
        steps: Where the particles stand after operation 1 … `h`.
    """

    steps: tuple[Situations, ...]

    def readout(self, name: str) -> Floats:
        """Return a read-out, `p x h`; NaN where it is absent or the particle failed."""
        columns = [
            step.seconds
            if name == SECONDS
            else np.where(step.is_alive, step.column(name), np.nan)
            for step in self.steps
        ]
        return np.stack(columns, axis=1)


class Dynamics(Protocol):
    """What a model of procedures answers."""

    def rollout(
        self,
        smiles: str,
        operations: Sequence[Operation],
        *,
        n_particles: int,
        seed: int,
        start: Situations | None = None,
    ) -> Rollout:
        """Play operations on particles that start from nothing, or from `start`."""
        ...


@dataclass(frozen=True)
class Part:
    """What one kind of operation does to one read-out.

    Attributes:
        constant: The change where it is always the same, in the scale of `seen`.
        regression: The change otherwise, or the value where none was before.
        is_change: Is it the change that is modelled?
        donors: Rows of `regression.residuals` of each logged molecule.
    """

    constant: float
    regression: GroupedRegression | None
    is_change: bool
    donors: Mapping[int, NDArray[np.int64]]


@dataclass(frozen=True)
class ProcedureModel:
    """Operations as learnt from a log; see `fit_procedures`.

    Attributes:
        parts: For each context and read-out what is learnt.
        failures: For each kind the probability that it fails.
        remainder: For each level what the gap lacks to its reference.
        prior_error: Mean error of the best guess without any gap, eV.
        molecules: Logged molecules, the donors.
    """

    parts: Mapping[str, Mapping[str, Part]]
    failures: Mapping[Kind, float]
    remainder: Mapping[str, GroupedRegression]
    prior_error: float
    molecules: tuple[str, ...]

    def rollout(
        self,
        smiles: str,
        operations: Sequence[Operation],
        *,
        n_particles: int = 64,
        seed: int = 0,
        start: Situations | None = None,
    ) -> Rollout:
        """Play operations on particles, each with errors of a donor of its own.

        Args:
            smiles: Canonical.
            operations: In a legal order, `h`.
            n_particles: `p`.
            seed: Of the donors.
            start: Where the specimen stands; from nothing by default.

        Raises:
            InvalidInputError: If there is no particle, or `start` is not one specimen.
            IllegalTransitionError: If an operation may not follow.
        """
        here = nothing_done(smiles) if start is None else start
        if n_particles < 1 or len(here.readouts) != 1 or here.smiles != smiles:
            raise InvalidInputError(
                "A roll-out starts from one specimen of its molecule with at least one "
                f"particle; got {len(here.readouts)} of {here.smiles}, {n_particles} "
                "particles. Correct them."
            )
        particles = here.repeated(n_particles)
        donors = self.donors(n_particles, seed)
        steps: list[Situations] = []
        for operation in operations:
            particles = self.advance(particles, operation, donors)
            steps.append(particles)
        return Rollout(tuple(steps))

    def donors(self, n: int, seed: int) -> NDArray[np.int64]:
        """Draw the molecule whose errors each particle borrows, `n`."""
        rng = np.random.default_rng(seed)
        everyone = np.arange(len(self.molecules))
        rounds = [rng.permutation(everyone) for _ in range(1 + n // len(everyone))]
        return np.concatenate(rounds)[:n]

    def advance(
        self, before: Situations, operation: Operation, donors: NDArray[np.int64]
    ) -> Situations:
        """Do one operation with every particle; pure in all its arguments.

        Raises:
            IllegalTransitionError: If the operation may not follow.
            NotEnoughDataError: If the log held no such operation.
        """
        before.treatment.after(operation)
        context = context_of(before.treatment, operation.kind)
        if context not in self.parts:
            raise NotEnoughDataError(
                f"A model predicts operations that were logged; got {context!r}, known "
                f"are {sorted(self.parts)}. Log more molecules."
            )
        parts = self.parts[context]
        features = features_of(before, operation)
        values = before.readouts.copy()
        for j, name in enumerate(READOUTS):
            if name in parts:
                move = _drawn(parts[name], features, donors, before.n_done)
                old = _old(before, operation, name) if parts[name].is_change else 0.0
                values[:, j] = unseen(name, old + move)
        cost = _drawn(parts[SECONDS], features, donors, before.n_done)
        seconds = np.maximum(np.exp(cost) - COST_FLOOR, 0.0)
        possible = _possible(before, operation, values)
        fails = _uniform(donors, before.n_done) < self.failures[operation.kind]
        return before.followed_by(
            operation, possible, seconds, np.where(fails, 0.0, 1.0)
        )

    def expected_error(self, situations: Situations) -> tuple[Floats, Floats]:
        """Return the expected distance of the gap from its reference, and its mean.

        Returns:
            Expected absolute error in eV and expected signed error in eV, `p` each;
            `prior_error` and zero where there is no gap.
        """
        p = len(situations.readouts)
        name = remainder_of(situations)
        if name is None or name not in self.remainder:
            return np.full(p, self.prior_error), np.zeros(p)
        model = self.remainder[name]
        mean, scale = model.predict(features_of(situations, None))
        errors = np.abs(mean[:, None] + scale[:, None] * model.residuals[None])
        found = errors.mean(axis=1)
        # What failed before its first gap knows no gap.
        known = ~np.isnan(situations.column("gap"))
        return np.where(known, found, self.prior_error), np.where(known, mean, 0.0)


def remainder_of(situations: Situations) -> str | None:
    """Return which model says what the gap lacks; None without a gap."""
    treatment = situations.treatment
    if not treatment.has_gap:
        return None
    return f"{treatment.level}{' in water' if treatment.is_solvated else ''}"


def _old(before: Situations, operation: Operation, name: str) -> Floats:
    if isinstance(operation, Embed):
        return np.full(len(before.readouts), np.log(operation.n))
    return seen(name, before.column(name))


def _drawn(
    part: Part, features: Features, donors: NDArray[np.int64], n_done: int
) -> Floats:  # fmt: skip
    """Return the mean plus each donor's own error, `p`."""
    if part.regression is None:
        return np.full(len(donors), part.constant)
    mean, scale = part.regression.predict(features)
    residuals = part.regression.residuals
    rows = [_row(part, int(donor), n_done, len(residuals)) for donor in donors]
    # On a logarithmic scale a far draw would be beyond all that exists.
    return np.clip(mean + scale * residuals[rows], *part.regression.bounds)


def _row(part: Part, donor: int, n_done: int, n: int) -> int:
    own = part.donors.get(donor)
    if own is None:
        # This donor never did it: any row, but always the same.
        return (donor * 7919 + n_done * 104729) % n
    return int(own[n_done % len(own)])


def _possible(before: Situations, operation: Operation, values: Floats) -> Floats:
    """Return read-outs such as the operation can give."""
    n, energy, spread, _, gap_sd, _ = range(len(READOUTS))
    old = before.readouts
    if operation.kind in KEEPS_ALL:
        values[:, n] = old[:, n]
    most = operation.n if isinstance(operation, Embed) else old[:, n]
    values[:, n] = np.clip(np.round(values[:, n]), 1, most)
    if operation.kind == "relax":
        values[:, energy] = np.minimum(values[:, energy], old[:, energy])
    if operation.kind == "prune":
        values[:, energy] = old[:, energy]
        lone = old[:, n] == 1
        values[lone] = old[lone]
        values[:, spread] = np.minimum(values[:, spread], old[:, spread])
    for column in (spread, gap_sd):
        alone = (values[:, n] == 1) & np.isfinite(values[:, column])
        values[alone, column] = 0.0
    return values


def _uniform(donors: NDArray[np.int64], n_done: int) -> Floats:
    """Return a number in [0, 1) for each donor and step, always the same."""
    return np.array(
        [np.random.default_rng([int(donor), n_done]).random() for donor in donors]
    )
