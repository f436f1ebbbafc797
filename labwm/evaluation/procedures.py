"""`labwm bench procedures`: operations foreseen and planned, on unseen molecules."""

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from labwm.data.procedures import REFERENCE, episodes_of, molecules_of, references_of
from labwm.errors import InvalidInputError
from labwm.evaluation.procedure_coverage import answers, coverage_rows
from labwm.evaluation.procedure_plans import attempts, plan_rows
from labwm.evaluation.table import BenchTable, Row, exact, versions
from labwm.schema.procedure import Episode
from labwm.world_model.fit_procedures import fit_procedures

COMMAND = "labwm bench procedures"
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class ProcedureSettings:
    """What is compared.

    Attributes:
        seed: Of the split by molecules, and of the particles.
        test_share: Share of the molecules that the model does not see.
        n_particles: Of each roll-out.
        n_planned: Unseen molecules on which plans are tried in the lab; 0 for none.
        cost_share: What a plan may be expected to cost, of the fixed recipe.
    """

    seed: int = 0
    test_share: float = 0.3
    n_particles: int = 60
    n_planned: int = 40
    cost_share: float = 0.45

    def __post_init__(self) -> None:
        """Refuse settings without a test."""
        if not 0 < self.test_share < 1 or not self.cost_share > 0:
            raise InvalidInputError(
                "A test takes a share of the molecules between 0 and 1, and a plan a "
                f"share of a recipe's cost; got {self.test_share} and "
                f"{self.cost_share}. Correct them."
            )
        if self.n_particles < 20 or self.n_planned < 0:
            raise InvalidInputError(
                "A 90 % interval needs 20 particles, and plans no negative number of "
                f"molecules; got {self.n_particles} and {self.n_planned}. Raise them."
            )


def bench_procedures(
    episodes: Sequence[Episode],
    settings: ProcedureSettings,
    *,
    data: str = "",
    progress: Progress = lambda what, done, n_all: None,
) -> BenchTable:
    """Fit on some molecules of a log, and score roll-outs and plans on the others.

    Raises:
        NotEnoughDataError: If too few molecules are left to learn from.
    """
    everyone = molecules_of(episodes)
    order = np.random.default_rng(settings.seed).permutation(len(everyone))
    n_unseen = max(1, round(settings.test_share * len(everyone)))
    unseen = [everyone[i] for i in order[:n_unseen]]
    learnt = episodes_of(episodes, [everyone[i] for i in order[n_unseen:]])
    started = time.process_time()
    model = fit_procedures(learnt, references_of(learnt))
    seconds = time.process_time() - started
    rows: list[Row] = [exact("procedures", "seconds", "fit", seconds)]
    rest = [e for e in episodes_of(episodes, unseen) if e.policy != REFERENCE]
    progress("rolling out", 0, 1)
    said = answers(
        model, learnt, rest, n_particles=settings.n_particles, seed=settings.seed
    )
    rows += coverage_rows(list(said))
    references = references_of(episodes_of(episodes, unseen))
    planned = [smiles for smiles in unseen if smiles in references]
    planned = planned[: settings.n_planned]
    if planned:
        share = settings.cost_share
        tried = attempts(model, references, planned, share=share, progress=progress)
        rows += plan_rows(tried)
    return BenchTable(
        command=COMMAND,
        data=data,
        data_sha256=log_digest(episodes),
        seeds=1,
        settings={
            "seed": settings.seed,
            "molecules": len(everyone),
            "operations": sum(len(episode.outcomes) for episode in episodes),
            "unseen": n_unseen,
            "particles": settings.n_particles,
            "cost_share": settings.cost_share,
        },
        versions=versions(),
        rows=tuple(rows),
    )


def log_digest(episodes: Sequence[Episode]) -> str:
    """Return the sha256 of the episodes, in whatever order they were logged."""
    digests = sorted(episode.digest() for episode in episodes)
    return hashlib.sha256("".join(digests).encode()).hexdigest()
