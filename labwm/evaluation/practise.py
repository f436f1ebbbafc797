"""Does practice in the virtual lab pay? Every arm begins with the same biased log.

Shapes: `s` seeds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from labwm.design.candidates import changed_freely
from labwm.design.propose import propose
from labwm.errors import InvalidInputError
from labwm.evaluation.backtest import Plan, state_of
from labwm.evaluation.logs import poor_half_log
from labwm.evaluation.lookup import Lookup, lookup_from
from labwm.evaluation.parts import Content, Key, Parts, Progress, run_parts
from labwm.evaluation.pool_policies import (
    CANDIDATES,
    SENSIBLE,
    Floats,
    Ints,
    PoolPolicy,
)
from labwm.evaluation.practice_arms import (
    Practice,
    count_until,
    pick,
    real_steps_to,
    train,
    train_for_real,
)
from labwm.evaluation.rehearsal import (
    RealCampaign,
    Rehearsal,
    objective_of,
    rehearse,
    steps_to,
)
from labwm.evaluation.yardstick import yardstick_of
from labwm.schema import Measurement, Protocol

COMMAND: Final = "labwm bench practise"
ARMS: Final = ("default", "picked", "practised", "scratch", "scratch_after")
"""Default Bayesian optimisation; the policy picked in the virtual lab; the network
trained there; the same network trained on real experiments, which count; and that one
in a fresh campaign afterwards, its training given away."""
_CHUNK: Final = 10


@dataclass(frozen=True)
class PractiseSettings:
    """What is compared.

    Attributes:
        logs: Rows of the logs.
        seeds: Logs of each length; their seeds are 0, 1, …
        budget: Most real experiments after the log.
        recipe: Of the world model that the virtual lab is made of.
        practice: How much is practised.
        refit: Least real experiments from one fit of an agent's model to the next.
        jobs: Processes.
        keep: Folder of kept parts: what lies there is not run again.
    """

    logs: tuple[int, ...] = (10, 40)
    seeds: int = 10
    budget: int = 100
    recipe: str = "explore"
    practice: Practice = field(default_factory=Practice)
    refit: int = 5
    jobs: int = 1
    keep: Path | None = None

    def __post_init__(self) -> None:
        counts = (self.seeds, self.budget, self.refit, self.jobs, *self.logs)
        if not self.logs or min(counts) < 1 or len(set(self.logs)) < len(self.logs):
            raise InvalidInputError(
                "Practice needs a seed, an experiment and logs of different lengths; "
                f"got seeds={self.seeds}, budget={self.budget}, refit={self.refit}, "
                f"jobs={self.jobs}, logs={list(self.logs)}. Raise what is below 1, "
                "name each log once."
            )


@dataclass(frozen=True)
class Outcome:
    """What one log led to.

    Attributes:
        needed: Real experiments to the top 1 %, by arm and by candidate policy; one
            more than the budget where it was not found.
        picked: Name of the policy that was picked.
        seconds: Of training in the virtual lab.
    """

    needed: Mapping[str, int]
    picked: str
    seconds: float


@dataclass(frozen=True)
class Practised:
    """All outcomes on one table.

    Attributes:
        sha256: Digest of the table's measurements.
        n_pool: Candidates of the table.
        budget: Most real experiments after a log.
        outcomes: By length of the log, in the order of seeds.
    """

    sha256: str
    n_pool: int
    budget: int
    outcomes: Mapping[int, tuple[Outcome, ...]]

    def most(self, n_log: int) -> int:
        """Return the most real experiments after a log that the table allows."""
        return min(self.budget, self.n_pool - n_log)

    def needed(self, n_log: int) -> dict[str, Floats]:
        """Return real experiments of every arm and candidate, length `s` each."""
        found = self.outcomes[n_log]
        names = list(found[0].needed)
        needed = {n: np.array([float(o.needed[n]) for o in found]) for n in names}
        for label, group in (
            ("mean_candidate", CANDIDATES),
            ("mean_sensible", SENSIBLE),
        ):
            needed[label] = np.mean([needed[f"candidate:{n}"] for n in group], axis=0)
        return needed


def practise_table(
    protocol: Protocol,
    measurements: Sequence[Measurement],
    settings: PractiseSettings,
    *,
    progress: Progress | None = None,
) -> Practised:
    """Play every arm after every log.

    Raises:
        InvalidInputError: If the protocol has several objectives, or constraints.
        NotEnoughDataError: If the table is too small for the logs.
    """
    lookup = lookup_from(changed_freely(protocol), measurements)
    objective_of(lookup)
    for n in settings.logs:
        poor_half_log(lookup, n, seed=0)
    wanted = [(n, seed) for n in settings.logs for seed in range(settings.seeds)]
    parts = Parts(
        work=partial(_played, lookup, settings),
        decided_by={
            "command": COMMAND,
            "data": lookup.sha256,
            "protocol": lookup.protocol.digest(),
            "budget": settings.budget,
            "recipe": settings.recipe,
            "practice": asdict(settings.practice),
            "refit": settings.refit,
        },
        jobs=settings.jobs,
        keep=settings.keep,
    )
    done = run_parts(parts, wanted, progress)
    return Practised(
        lookup.sha256,
        len(lookup),
        settings.budget,
        {
            n: tuple(_outcome(done[n, seed]) for seed in range(settings.seeds))
            for n in settings.logs
        },
    )


def _played(lookup: Lookup, settings: PractiseSettings, key: Key) -> Content:
    n_log, seed = key
    return asdict(outcome_of(lookup, settings, n_log=n_log, seed=seed))


def _outcome(content: Content) -> Outcome:
    return Outcome(**content)  # pyright: ignore[reportArgumentType] - as `_played` wrote it


def outcome_of(
    lookup: Lookup, settings: PractiseSettings, *, n_log: int, seed: int
) -> Outcome:
    """Play every arm after one log."""
    log = poor_half_log(lookup, n_log, seed=seed)
    practice = settings.practice
    rehearsal = rehearse(
        lookup, log, recipe=settings.recipe, budget=practice.horizon, seed=seed
    )
    name, _ = pick(rehearsal, CANDIDATES, practice, seed=seed)
    trained = train(rehearsal, practice, seed=seed)
    real = RealArms(lookup, log, rehearsal, settings, seed)
    tried = {f"candidate:{n}": real.steps(p) for n, p in CANDIDATES.items()}
    scratch, after = real.scratch()
    arms = {
        "default": real.default(),
        "picked": tried[f"candidate:{name}"],
        "practised": real.steps(trained.policy),
        "scratch": scratch,
        "scratch_after": after,
    }
    return Outcome(arms | tried, name, trained.seconds)


@dataclass(frozen=True)
class RealArms:
    """Real campaigns after one log.

    Attributes:
        lookup: The table that answers.
        log: Rows of its pool that were measured before.
        rehearsal: Made of that log: model to begin with, and rewards.
        settings: Budget and fits.
        seed: Of all of them.
    """

    lookup: Lookup
    log: Ints
    rehearsal: Rehearsal
    settings: PractiseSettings
    seed: int

    @cached_property
    def is_top(self) -> NDArray[np.bool_]:
        """The best 1 % of the table, ties included."""
        return yardstick_of(self.lookup, n_max=1).is_top

    @property
    def most(self) -> int:
        """Most experiments after the log, as far as the table allows."""
        return min(self.settings.budget, len(self.lookup) - len(self.log))

    def steps(self, policy: PoolPolicy) -> int:
        """Return what a policy needs."""
        return real_steps_to(
            self._campaign(), policy, self.is_top, most=self.most, seed=self.seed
        )

    def scratch(self) -> tuple[int, int]:
        """Return what training on real steps needs, and what it needs afterwards."""
        policy, rows = train_for_real(
            self._campaign(), n_steps=self.most, chunk=_CHUNK, seed=self.seed
        )
        return int(steps_to(self.is_top[rows][:, None])[0]), self.steps(policy)

    def default(self) -> int:
        """Return what the default policy needs, one experiment at a time."""
        lookup, seed = self.lookup, self.seed
        measured = [lookup.measure(int(row), seed=seed) for row in self.log]
        plan = Plan(batch=1, budget=len(measured) + self.most)

        def step() -> int:
            number = len(measured)
            state = state_of(lookup, plan, measured, number=number, seed=seed)
            row = propose(state, n=1).choices[0].row
            measured.append(lookup.measure(row, seed=seed))
            return row

        return count_until(step, self.is_top, most=self.most)

    def _campaign(self) -> RealCampaign:
        return RealCampaign(
            self.lookup,
            self.log,
            self.rehearsal,
            budget=self.most,
            seed=self.seed,
            refit=self.settings.refit,
        )
