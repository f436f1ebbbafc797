"""`labwm/Campaign-v0`: a campaign on a pool as a Gymnasium environment.

Shapes: `N` candidates, `b` experiments in the budget, `m` readouts.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from labwm.errors import IllegalTransitionError, InvalidInputError
from labwm.schema import Origin, Status
from labwm.space.questions import Observations
from labwm.virtual_lab.campaign_task import CampaignTask, Episode
from labwm.virtual_lab.knowledge import Knowledge
from labwm.virtual_lab.outcomes import VirtualOutcomes
from labwm.virtual_lab.worlds import make_world
from labwm.world_model.reward import Reward

Floats = NDArray[np.float64]
Observation = dict[str, NDArray[Any]]
Info = dict[str, Any]

REACH: Final = 100.0
"""Standard deviations of the pool at which observations are cut."""
_ONLY: Final = np.zeros(1, dtype=np.int64)


@dataclass(frozen=True)
class Snapshot:
    """An episode, and the state of the generator that draws the next ones."""

    episode: Episode | None
    generator: Mapping[str, Any]


class CampaignEnv(gymnasium.Env[Observation, np.int64]):
    """A campaign: spend a budget of experiments on the candidates of a pool.

    Each episode is played in one world drawn from the model, so that an agent cannot
    average the uncertainty away, with noise keyed by candidate and replicate: the same
    episode after another order of actions gives the same values.

    Action: `Discrete(N)`, a row of the pool. A candidate measured before is measured
    again, as its next replicate; `action_mask` marks those not measured yet.

    Observation, a dictionary; numbers are in standard deviations of what the model
    expects of the pool, cut at `REACH` (`info["readouts"]` has them as reported):
        belief_mean, belief_sd: What the model expected before the episode, `N x m`.
        history_action: Rows measured, in order, `b`; -1 where still open.
        history_value: What was measured, `b x m`; 0 where there is no number.
        history_mask: 1 where `history_value` is a number, `b x m`.
        action_mask: 1 for candidates not measured yet, `N`.
        budget_left: Share of the experiments still allowed, `1`.
        step: Experiments done, `1`.

    Reward: utility gain minus cost, and where the task weighs information the
    difference of what is known of the pool; `info["reward_terms"]` has every term, and
    they add up to it. An episode
    is terminated when its value reaches the task's goal, truncated when the budget is
    spent, and `info["truncation_reason"]` says so.
    """

    metadata: dict[str, Any] = {"render_modes": []}

    def __init__(self, task: CampaignTask, render_mode: None = None) -> None:
        """Prepare episodes of a task; the model is asked once about the whole pool."""
        self.render_mode = render_mode
        self.task = task
        self.action_space = spaces.Discrete(len(task.pool))
        self.observation_space = observation_space(task)  # pyright: ignore[reportAttributeAccessIssue] - Gymnasium types Dict by its spaces
        self._belief_mean = self._standardised(task.belief.mean)
        self._belief_sd = np.clip(task.belief.sd / task.scale, 0.0, REACH)
        self._episode: Episode | None = None
        self._outcomes: VirtualOutcomes | None = None
        self._knowledge = Knowledge(task, 1)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, Info]:
        """Begin an episode in a world of its own.

        Args:
            seed: Of all episodes from now on; goes on with the last when not given.
            options: `world`, one of `WORLDS`, by default `posterior_draw`.

        Raises:
            InvalidInputError: If an option or the kind of world is unknown.
        """
        super().reset(seed=seed)
        options = options or {}
        if unknown := sorted(set(options) - {"world"}):
            raise InvalidInputError(
                f"A reset has the option 'world'; got {unknown}. Remove them."
            )
        episode = Episode(
            world=options.get("world", "posterior_draw"),
            seed=int(self.np_random.integers(2**31 - 1)),
            actions=(),
            values=np.zeros((0, len(self.task.protocol.readout_names))),
        )
        self._enter(episode)
        return self._observe(episode), self._info(episode)

    def step(self, action: np.int64) -> tuple[Observation, float, bool, bool, Info]:
        """Measure one candidate.

        Raises:
            InvalidInputError: If the action is no row of the pool.
            IllegalTransitionError: If the episode has ended, or none was begun.
        """
        before, row = self._going_on(), self._row(action)
        result = self._measure(row, before.actions.count(row))
        values = np.concatenate([before.values, result.values])
        goal = self.task.goal
        is_won = goal is not None and self.task.reward.value(values) >= goal
        is_spent = len(values) >= self.task.budget
        reward = self.task.reward.reward(
            before.values,
            values,
            cost_share=float(self.task.cost_shares[row]),
            information=self._learn(row, result.values, is_won or is_spent),
        )
        after = before.followed_by(row, result.values, has_ended=is_won or is_spent)
        self._episode = after
        info = self._info(after) | self._told(row, result, reward)
        if is_truncated := is_spent and not is_won:
            info["truncation_reason"] = "budget"
        return self._observe(after), reward.total, is_won, is_truncated, info

    def action_masks(self) -> NDArray[np.bool_]:
        """Return which candidates were not measured yet, `N`."""
        mask = np.ones(len(self.task.pool), dtype=bool)
        if self._episode is not None:
            mask[list(self._episode.actions)] = False
        return mask

    def snapshot(self) -> Snapshot:
        """Return where this environment stands; `restore` goes on from there."""
        return Snapshot(self._episode, self.np_random.bit_generator.state)

    def restore(self, snapshot: Snapshot) -> None:
        """Go on from a snapshot of this environment or one of an equal task."""
        self.np_random.bit_generator.state = snapshot.generator
        self._episode = None
        if snapshot.episode is not None:
            self._enter(snapshot.episode)

    def _enter(self, episode: Episode) -> None:
        task = self.task
        world = make_world(episode.world, task, episode.seed)
        self._outcomes = VirtualOutcomes(
            world, task.protocol, task.failure_rate, episode.seed
        )
        self._episode = episode
        self._knowledge.forget(_ONLY)
        for row, value in zip(episode.actions, episode.values, strict=True):
            self._knowledge.learn(_ONLY, np.array([row]), value[None])

    def _learn(self, row: int, values: Floats, has_ended: bool) -> float:
        """Take in an experiment and return what learning from it earns."""
        before = self._knowledge.known()
        self._knowledge.learn(_ONLY, np.array([row]), values)
        after = self._knowledge.known()
        return float(self.task.reward.shaping(before, after, has_ended=has_ended)[0])

    def _going_on(self) -> Episode:
        if self._episode is None or self._episode.has_ended:
            how = "none" if self._episode is None else "one that has ended"
            raise IllegalTransitionError(
                f"A step needs an episode that goes on; got {how}. Call reset first."
            )
        return self._episode

    def _row(self, action: np.int64) -> int:
        if not self.action_space.contains(action):
            raise InvalidInputError(
                f"An action is a row of the pool, 0 to {len(self.task.pool) - 1}; got "
                f"{action!r}. Choose one where action_mask is 1."
            )
        return int(action)

    def _measure(self, row: int, replicate: int) -> Observations:
        assert self._outcomes is not None  # an episode that goes on was entered
        question = self.task.pool.take([row])
        return self._outcomes.measure(question, np.array([replicate]))

    def _observe(self, episode: Episode) -> Observation:
        budget, (n, m) = self.task.budget, episode.values.shape
        action = np.full(budget, -1, dtype=np.int64)
        action[:n] = episode.actions
        value = np.zeros((budget, m))
        value[:n] = np.nan_to_num(self._standardised(episode.values))
        mask = np.zeros((budget, m), dtype=np.int8)
        mask[:n] = np.isfinite(episode.values)
        return {
            "belief_mean": self._belief_mean.copy(),
            "belief_sd": self._belief_sd.copy(),
            "history_action": action,
            "history_value": value,
            "history_mask": mask,
            "action_mask": self.action_masks().astype(np.int8),
            "budget_left": np.array([1.0 - n / budget]),
            "step": np.array([n], dtype=np.int64),
        }

    def _info(self, episode: Episode) -> Info:
        return {
            "action_mask": self.action_masks().astype(np.int8),
            "budget_left": self.task.budget - len(episode.actions),
            "origin": Origin.VIRTUAL.value,
            "truncation_reason": None,
            "value": self.task.reward.value(episode.values),
            "world": episode.world,
        }

    def _told(self, row: int, result: Observations, reward: Reward) -> Info:
        names, costs = result.readouts, self.task.protocol.costs
        statuses = [str(status) for status in result.statuses[0]]
        return {
            "cost": float(self.task.prices[row]),
            "duration": costs.per_experiment.duration,
            "has_failed": bool(np.all(result.statuses[0] == Status.FAILED)),
            "readouts": dict(zip(names, result.values[0].tolist(), strict=True)),
            "reward_terms": reward.terms(),
            "statuses": dict(zip(names, statuses, strict=True)),
            "support": float(self.task.support[row]),
        }

    def _standardised(self, values: Floats) -> Floats:
        centred = (values - self.task.centre) / self.task.scale
        return np.clip(centred, -REACH, REACH)


def observation_space(task: CampaignTask) -> spaces.Dict:
    """Return the space of what an agent sees of a task."""
    n, b, m = len(task.pool), task.budget, len(task.protocol.readout_names)
    return spaces.Dict(
        {
            "belief_mean": spaces.Box(-REACH, REACH, (n, m), np.float64),
            "belief_sd": spaces.Box(0.0, REACH, (n, m), np.float64),
            "history_action": spaces.Box(-1, n, (b,), np.int64),
            "history_value": spaces.Box(-REACH, REACH, (b, m), np.float64),
            "history_mask": spaces.MultiBinary((b, m)),
            "action_mask": spaces.MultiBinary(n),
            "budget_left": spaces.Box(0.0, 1.0, (1,), np.float64),
            "step": spaces.Box(0, b, (1,), np.int64),
        }
    )
