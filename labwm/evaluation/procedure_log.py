"""Logs of procedures: made on the real lab by a random policy, kept line by line.

A line is one `Episode` as JSON. A log is only ever appended to: a run that was killed
goes on where it stopped, and a line that was cut is taken off and computed again.
"""

import fcntl
import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

import numpy as np

from labwm.data.procedures import REFERENCE, read_procedures
from labwm.errors import ConflictError, InvalidInputError, MoleculeError
from labwm.labs.procedure_lab import ProcedureLab
from labwm.schema.procedure import (
    MAX_SEED,
    Embed,
    Episode,
    Gfn1,
    Gfn2,
    Kind,
    Mmff,
    Operation,
    OperationOutcome,
    Procedure,
    Prune,
    Relax,
    Solvation,
    Treatment,
)

Progress = Callable[[str, int, int], None]

BEHAVIOUR: Final = "behaviour"
N_OPERATIONS: Final = 9
"""Operations of an episode of the behaviour policy."""

N_EMBEDDED: Final = (1, 2, 3, 5, 8, 12)
WINDOWS: Final = (0.5, 1.0, 2.0, 4.0, 8.0)
RMSDS: Final = (0.1, 0.25, 0.5)
STEPS: Final = (1, 2, 5, 10, 20)
WEIGHTS: Final[dict[Kind, float]] = {
    "embed": 1.0, "mmff": 2.0, "prune": 1.0, "gfn1": 0.5, "gfn2": 1.0, "relax": 1.5,
    "solvation": 1.0,
}  # fmt: skip
"""How often the behaviour policy takes what is legal."""

REFERENCE_PROCEDURE: Final = Procedure(
    operations=(
        Embed(n=30, seed=20260),
        Mmff(),
        Prune(window=12.0, rmsd=0.1),
        Gfn2(),
        Solvation(),
        Relax(k=150),
        Prune(window=8.0, rmsd=0.1),
    )
)
"""What errors are measured against: many conformers, relaxed in water to the end."""


@dataclass(frozen=True)
class LogSettings:
    """What decides a log.

    Attributes:
        n_episodes: Of the behaviour policy, for each molecule.
        seed: Of the behaviour policy.
        timeout_seconds: Limit of an operation.
    """

    n_episodes: int = 2
    seed: int = 0
    timeout_seconds: float = 60.0

    def __post_init__(self) -> None:
        """Refuse a log without episodes."""
        if self.n_episodes < 1:
            raise InvalidInputError(
                f"A log has an episode of each molecule; got {self.n_episodes}. Raise "
                "it."
            )


def choose_molecules(
    smiles: Sequence[str], *, n: int, max_heavy: int
) -> tuple[tuple[str, ...], dict[str, str]]:
    """Return up to `n` canonical molecules in an order that says nothing about them.

    The order is that of their hashes: any first part is a fair draw.

    Returns:
        The molecules, and why others cannot be computed.

    Raises:
        InvalidInputError: If a number is below 1, or nothing is left.
    """
    from labwm.chem.ensemble import skeleton_of

    if min(n, max_heavy) < 1:
        raise InvalidInputError(
            f"A log needs a molecule of an atom; got {n} of {max_heavy}. Raise them."
        )
    kept: set[str] = set()
    refused: dict[str, str] = {}
    for written in smiles:
        try:
            skeleton = skeleton_of(written)
        except MoleculeError as error:
            refused[written] = str(error)
            continue
        if 2 <= int((skeleton.numbers > 1).sum()) <= max_heavy:
            kept.add(skeleton.smiles)
    if not kept:
        raise InvalidInputError(
            f"A log needs molecules of 2 to {max_heavy} heavy atoms; got none in "
            f"{len(smiles)}. Raise the limit or give others."
        )
    return tuple(sorted(kept, key=_hash)[:n]), refused


def random_operation(treatment: Treatment, rng: np.random.Generator) -> Operation:
    """Draw a legal operation with arguments from the behaviour policy's levels."""
    kinds = treatment.legal()
    weights = np.array([WEIGHTS[kind] for kind in kinds])
    kind = kinds[int(rng.choice(len(kinds), p=weights / weights.sum()))]
    match kind:
        case "embed":
            n = int(rng.choice(N_EMBEDDED))
            return Embed(n=n, seed=int(rng.integers(1, MAX_SEED)))
        case "prune":
            window, rmsd = float(rng.choice(WINDOWS)), float(rng.choice(RMSDS))
            return Prune(window=window, rmsd=rmsd)
        case "relax":
            return Relax(k=int(rng.choice(STEPS)))
        case "mmff":
            return Mmff()
        case "gfn1":
            return Gfn1()
        case "gfn2":
            return Gfn2()
        case "solvation":
            return Solvation()


def make_log(
    path: Path,
    molecules: Sequence[str],
    settings: LogSettings,
    progress: Progress = lambda what, done, n_all: None,
) -> int:
    """Append what is missing: each molecule's reference and random episodes.

    Returns:
        The number of episodes that were added.

    Raises:
        ConflictError: If another process writes to the log.
        TableError: If a line of the log is no episode.
    """
    lab = ProcedureLab(settings.timeout_seconds)
    n_added = 0
    with _appending(path) as file:
        known = {
            (episode.smiles, episode.policy, episode.seed)
            for episode in read_procedures(path)
        }
        for number, smiles in enumerate(molecules):
            progress(smiles, number, len(molecules))
            for policy, seed in _wanted(settings):
                if (smiles, policy, seed) in known:
                    continue
                episode = play(lab, smiles, policy, seed)
                file.write(episode.canonical_json() + b"\n")
                file.flush()
                n_added += 1
    return n_added


def play(lab: ProcedureLab, smiles: str, policy: str, seed: int) -> Episode:
    """Play one episode of the reference or of the behaviour policy on the real lab."""
    if policy == REFERENCE:
        _, outcomes = lab.follow(smiles, REFERENCE_PROCEDURE)
    else:
        rng = np.random.default_rng([seed, int(_hash(smiles)[:8], 16)])
        outcomes = _random_outcomes(lab, smiles, rng)
    return Episode(smiles=smiles, policy=policy, seed=seed, outcomes=outcomes)


def _wanted(settings: LogSettings) -> list[tuple[str, int]]:
    seeds = range(settings.seed, settings.seed + settings.n_episodes)
    return [(REFERENCE, 0), *((BEHAVIOUR, seed) for seed in seeds)]


def _random_outcomes(
    lab: ProcedureLab, smiles: str, rng: np.random.Generator
) -> tuple[OperationOutcome, ...]:
    specimen, outcomes = lab.take(smiles), []
    for _ in range(N_OPERATIONS):
        operation = random_operation(specimen.treatment, rng)
        specimen, outcome = lab.do(specimen, operation)
        outcomes.append(outcome)
        if outcome.status != "ok":
            break
    return tuple(outcomes)


@contextmanager
def _appending(path: Path) -> Iterator[IO[bytes]]:
    """Open for appending, alone, without a line that was cut."""
    if path.suffix == ".gz":
        raise InvalidInputError(
            f"A packed log is read only; got {path}. Unpack it to go on with it."
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ConflictError(
                f"One process writes to a log; {path} is being written by another. "
                "Wait for it, or choose another file."
            ) from error
        file.seek(0)
        content = file.read()
        file.truncate(content.rfind(b"\n") + 1)
        yield file


def _hash(smiles: str) -> str:
    return hashlib.sha256(smiles.encode()).hexdigest()
