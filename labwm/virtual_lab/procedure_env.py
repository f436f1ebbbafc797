"""`labwm/Procedure-v0`: a procedure on one molecule as a Gymnasium environment.

Shapes: `A` actions, `r` read-outs.
"""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from labwm.errors import IllegalTransitionError, InvalidInputError
from labwm.schema.procedure import MENU, Embed, Level, Operation, OperationOutcome
from labwm.virtual_lab.procedure_sources import Played, ProcedureSource
from labwm.world_model.situations import READOUTS, molecule_features, seen

Observation = dict[str, NDArray[Any]]
Info = dict[str, Any]

LEVELS: Final[tuple[Level, ...]] = ("nothing", "raw", "mmff", "gfn1", "gfn2")
REACH: Final = 1e6
"""Where numbers of an observation are cut."""


@dataclass(frozen=True)
class ProcedureTask:
    """Molecules to find the gap of, and what that may cost.

    Attributes:
        source: Plays the operations: a model's worlds, or the real lab.
        molecules: Canonical; each episode is about one of them.
        budget_seconds: Processor time of an episode.
        operations: Actions; one more, the last, ends the episode.
        max_operations: Most actions of an episode.
        goal: Error at which an episode is won, eV; without it none is.
        error_scale: Error that counts as one unit of reward, eV.
        cost_weight: Reward that the whole budget costs.
        illegal_penalty: Reward that an action costs that may not follow.
    """

    source: ProcedureSource = field(repr=False)
    molecules: tuple[str, ...]
    budget_seconds: float = 1.0
    operations: tuple[Operation, ...] = MENU
    max_operations: int = 12
    goal: float | None = None
    error_scale: float = 1.0
    cost_weight: float = 0.2
    illegal_penalty: float = 0.05

    def __post_init__(self) -> None:
        """Refuse a task without an episode."""
        numbers = (
            len(self.molecules), len(self.operations), self.budget_seconds,
            self.max_operations, self.error_scale,
        )  # fmt: skip
        if not min(numbers) > 0 or min(self.cost_weight, self.illegal_penalty) < 0:
            raise InvalidInputError(
                "A task has molecules, operations, a budget and a scale above zero, "
                f"and no negative cost; got {self}. Correct the one that is not."
            )


@dataclass(frozen=True)
class ProcedureEpisode:
    """Everything since a reset; never changed, only followed."""

    played: Played
    error: float
    """Of the gap as it stands, eV."""
    n_actions: int = 0
    has_ended: bool = False


@dataclass(frozen=True)
class ProcedureSnapshot:
    """An episode, and the state of the generator that draws the next ones."""

    episode: ProcedureEpisode | None
    generator: Mapping[str, Any]


@dataclass(frozen=True)
class Imagined:
    """One step of a what-if."""

    outcome: OperationOutcome | None
    reward: float
    is_terminated: bool
    is_truncated: bool


class ProcedureEnv(gymnasium.Env[Observation, np.int64]):
    """A procedure: choose operations on a molecule until its gap is good enough.

    Action: `Discrete(A)`, a row of `task.operations`; the last says that the gap is
    good enough. `action_mask` marks what may follow; another action does nothing and
    costs `illegal_penalty`. The seed of an embedding is that of the episode.

    Observation, a dictionary; read-outs are on the scales that the model sees:
        molecule: Descriptors and atoms of each element.
        readouts: As read last, `r`; 0 where there is none.
        known: 1 where a read-out is a number, `r`.
        level: One-hot over `LEVELS`; in_water: 1 after solvation.
        history: Logarithms of conformers asked for and steps relaxed, `2`.
        action_mask: 1 for actions that may follow, `A`.
        budget_left: Share of the processor time, `1`; step: actions so far, `1`.

    Reward: the fall of the error in units of `error_scale` (a potential: it adds up to
    first minus last error, whatever is done on the way), minus cost, minus penalties;
    `info["reward_terms"]` adds up to it. An episode is terminated when the agent ends
    it or its goal is reached, truncated when budget or actions are spent; the reasons
    stand in `info`.
    """

    metadata: dict[str, Any] = {"render_modes": []}

    def __init__(self, task: ProcedureTask, render_mode: None = None) -> None:
        """Prepare episodes of a task."""
        self.render_mode = render_mode
        self.task = task
        self.action_space = spaces.Discrete(len(task.operations) + 1)
        self.observation_space = procedure_space(task)  # pyright: ignore[reportAttributeAccessIssue] - Gymnasium types Dict by its spaces
        self._episode: ProcedureEpisode | None = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, Info]:
        """Begin an episode about one molecule, in a world of its own.

        Args:
            seed: Of all episodes from now on; goes on with the last when not given.
            options: `molecule`, one of the task's; drawn by default.

        Raises:
            InvalidInputError: If an option or the molecule is unknown.
        """
        super().reset(seed=seed)
        options = options or {}
        if unknown := sorted(set(options) - {"molecule"}):
            raise InvalidInputError(
                f"A reset has the option 'molecule'; got {unknown}. Remove them."
            )
        # Both are drawn always: a molecule that is given changes no later episode.
        row = int(self.np_random.integers(len(self.task.molecules)))
        own = int(self.np_random.integers(1, 2**31 - 1))
        smiles = options.get("molecule", self.task.molecules[row])
        if smiles not in self.task.molecules:
            raise InvalidInputError(
                f"An episode is about a molecule of the task; got {smiles!r}. Choose "
                "one of task.molecules."
            )
        played = self.task.source.begin(smiles, own)
        episode = ProcedureEpisode(played, self.task.source.error(played))
        self._episode = episode
        return self._observe(episode), self._info(episode)

    def step(self, action: np.int64) -> tuple[Observation, float, bool, bool, Info]:
        """Do one operation, or end the episode.

        Raises:
            InvalidInputError: If the action is no row of the task's operations.
            IllegalTransitionError: If the episode has ended, or none was begun.
        """
        before = self._going_on()
        if not self.action_space.contains(action):
            raise InvalidInputError(
                f"An action is a row, 0 to {len(self.task.operations)}; got "
                f"{action!r}. Choose one where action_mask is 1."
            )
        after, outcome, invalid = self._followed(before, int(action))
        terms = self._terms(before, after, is_invalid=invalid is not None)
        ended = self._end(after, is_committed=int(action) == len(self.task.operations))
        terminated, truncated = ended
        after = replace(after, has_ended=bool(terminated or truncated))
        self._episode = after
        info = self._info(after) | {
            "outcome": None if outcome is None else outcome.model_dump(mode="json"),
            "cost": _seconds(after) - _seconds(before),
            "duration": _seconds(after) - _seconds(before),
            "invalid_reason": invalid,
            "reward_terms": terms,
            "termination_reason": terminated,
            "truncation_reason": None if terminated else truncated,
        }
        reward = float(sum(terms.values()))
        is_truncated = bool(truncated and not terminated)
        return self._observe(after), reward, bool(terminated), is_truncated, info

    def action_masks(self) -> NDArray[np.bool_]:
        """Return which actions may follow, `A`; the last always may."""
        mask = np.ones(len(self.task.operations) + 1, dtype=bool)
        if self._episode is not None:
            legal = self._episode.played.situation.treatment.legal()
            mask[:-1] = [one.kind in legal for one in self.task.operations]
        return mask

    def snapshot(self) -> ProcedureSnapshot:
        """Return where this environment stands; `restore` goes on from there."""
        return ProcedureSnapshot(self._episode, self.np_random.bit_generator.state)

    def restore(self, snapshot: ProcedureSnapshot) -> None:
        """Go on from a snapshot of this environment or one of an equal task."""
        self.np_random.bit_generator.state = copy.deepcopy(snapshot.generator)
        self._episode = snapshot.episode

    def fork(self) -> "ProcedureEnv":
        """Return another environment that stands where this one stands."""
        other = ProcedureEnv(self.task)
        other.restore(self.snapshot())
        return other

    def what_if(self, actions: Sequence[int]) -> tuple[Imagined, ...]:
        """Return what actions would give from here, until the episode would end.

        In the real lab they are done, at their cost, and forgotten.
        """
        other, found = self.fork(), []
        for action in actions:
            _, reward, terminated, truncated, info = other.step(np.int64(action))
            told = info["outcome"]
            outcome = None if told is None else OperationOutcome.model_validate(told)
            found.append(Imagined(outcome, reward, terminated, truncated))
            if terminated or truncated:
                break
        return tuple(found)

    def _going_on(self) -> ProcedureEpisode:
        if self._episode is None or self._episode.has_ended:
            how = "none" if self._episode is None else "one that has ended"
            raise IllegalTransitionError(
                f"A step needs an episode that goes on; got {how}. Call reset first."
            )
        return self._episode

    def _followed(
        self, before: ProcedureEpisode, action: int
    ) -> tuple[ProcedureEpisode, OperationOutcome | None, str | None]:
        more = replace(before, n_actions=before.n_actions + 1)
        if action == len(self.task.operations):
            return more, None, None
        operation = self.task.operations[action]
        if isinstance(operation, Embed):
            operation = operation.model_copy(update={"seed": before.played.seed})
        try:
            played, outcome = self.task.source.do(before.played, operation)
        except IllegalTransitionError as error:
            return more, None, str(error)
        found = replace(more, played=played, error=self.task.source.error(played))
        return found, outcome, None

    def _terms(
        self, before: ProcedureEpisode, after: ProcedureEpisode, *, is_invalid: bool
    ) -> dict[str, float]:
        task = self.task
        spent = (_seconds(after) - _seconds(before)) / task.budget_seconds
        return {
            "error": (before.error - after.error) / task.error_scale,
            "cost": -task.cost_weight * spent,
            "illegal": -task.illegal_penalty if is_invalid else 0.0,
        }

    def _end(
        self, after: ProcedureEpisode, *, is_committed: bool
    ) -> tuple[str | None, str | None]:
        """Return why the episode is terminated, and why it is truncated."""
        task = self.task
        terminated = "committed" if is_committed else None
        if task.goal is not None and after.error <= task.goal:
            terminated = "goal"
        if _seconds(after) >= task.budget_seconds:
            return terminated, "budget"
        is_spent = after.n_actions >= task.max_operations
        return terminated, "operations" if is_spent else None

    def _observe(self, episode: ProcedureEpisode) -> Observation:
        here = episode.played.situation
        row = np.array([seen(name, here.column(name))[0] for name in READOUTS])
        history = np.log1p([here.n_embedded, here.n_steps])
        left = 1.0 - _seconds(episode) / self.task.budget_seconds
        return {
            "molecule": _cut(molecule_features(here.smiles)[0]),
            "readouts": _cut(np.nan_to_num(row)),
            "known": np.isfinite(row).astype(np.int8),
            "level": np.array(
                [here.treatment.level == level for level in LEVELS], dtype=np.int8
            ),
            "in_water": np.array([here.treatment.is_solvated], dtype=np.int8),
            "history": history.astype(np.float64),
            "action_mask": self.action_masks().astype(np.int8),
            "budget_left": np.array([np.clip(left, 0.0, 1.0)]),
            "step": np.array([episode.n_actions], dtype=np.int64),
        }

    def _info(self, episode: ProcedureEpisode) -> Info:
        source = self.task.source
        return {
            "action_mask": self.action_masks().astype(np.int8),
            "budget_left": self.task.budget_seconds - _seconds(episode),
            "error": episode.error,
            "molecule": episode.played.situation.smiles,
            "origin": source.origin.value,
            "termination_reason": None,
            "truncation_reason": None,
        }


def procedure_space(task: ProcedureTask) -> spaces.Dict:
    """Return the space of what an agent sees of a task."""
    n_numbers = len(molecule_features(task.molecules[0])[0])
    return spaces.Dict(
        {
            "molecule": spaces.Box(-REACH, REACH, (n_numbers,), np.float64),
            "readouts": spaces.Box(-REACH, REACH, (len(READOUTS),), np.float64),
            "known": spaces.MultiBinary(len(READOUTS)),
            "level": spaces.MultiBinary(len(LEVELS)),
            "in_water": spaces.MultiBinary(1),
            "history": spaces.Box(0.0, 50.0, (2,), np.float64),
            "action_mask": spaces.MultiBinary(len(task.operations) + 1),
            "budget_left": spaces.Box(0.0, 1.0, (1,), np.float64),
            "step": spaces.Box(0, task.max_operations, (1,), np.int64),
        }
    )


def _seconds(episode: ProcedureEpisode) -> float:
    return float(episode.played.situation.seconds[0])


def _cut(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.clip(values, -REACH, REACH)
