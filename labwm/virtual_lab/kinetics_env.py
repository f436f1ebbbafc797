"""`labwm/Kinetics-v0`: start curves, read them, stop them.

Shapes: `N` conditions, `w` waits, `b` reads in the budget, `m` readouts.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from labwm.errors import IllegalTransitionError, InvalidInputError
from labwm.schema import Origin
from labwm.virtual_lab.curve_worlds import CurvePlayer, make_player
from labwm.virtual_lab.kinetics_task import KineticsEpisode, KineticsTask

Floats = NDArray[np.float64]
Observation = dict[str, NDArray[Any]]
Info = dict[str, Any]

REACH: Final = 100.0
"""Standard deviations of the pool at which observations are cut."""


@dataclass(frozen=True)
class KineticsSnapshot:
    """An episode, and the state of the generator that draws the next ones."""

    episode: KineticsEpisode | None
    generator: Mapping[str, Any]


class KineticsEnv(gymnasium.Env[Observation, np.int64]):
    """Curves over time: choose conditions, and when to read and to stop.

    Action: `Discrete(N + w + 1)`. The first `N` start a curve at those conditions,
    which takes the setup time, costs its price, and stops the one that runs. The next
    `w` wait and then read the running curve; without one time only passes. The last
    stops the running curve; without one it ends the episode. Every action is legal at
    any time; `action_mask` leaves out waits without a curve, which do nothing useful.

    A curve ends by itself when its time is over: the read then is at its end.

    Observation, a dictionary; values are in standard deviations of what is expected of
    the ends of curves, cut at `REACH` (`info["readouts"]` has them as read):
        belief_mean, belief_sd: Expected at the end of a curve, `N x m`.
        history_action: Conditions of each read, in order, `b`; -1 where still open.
        history_time: Time since the start of its curve, as a share of its end, `b`.
        history_value: What was read, `b x m`.
        history_mask: 1 where there is a read, `b x m`.
        running: Conditions of the running curve, `1`; -1 for none.
        running_time: Time since its start as a share of its end, `1`.
        action_mask: `N + w + 1`.
        budget_left, time_left: Shares of reads and of lab time, `1` each.

    Reward: utility gain of the best reads so far, minus cost, minus time;
    `info["reward_terms"]` adds up to it. An episode is terminated when its value
    reaches the task's goal or the agent stops without a curve, truncated when reads or
    time are spent;
    `info["end_reason"]` and `info["truncation_reason"]` say so.
    """

    metadata: dict[str, Any] = {"render_modes": []}

    def __init__(self, task: KineticsTask, render_mode: None = None) -> None:
        """Prepare episodes of a task."""
        self.render_mode = render_mode
        self.task = task
        self.action_space = spaces.Discrete(len(task.pool) + len(task.waits) + 1)
        self.observation_space = kinetics_space(task)  # pyright: ignore[reportAttributeAccessIssue] - Gymnasium types Dict by its spaces
        mean, sd = task.belief
        self._belief_mean = self._standardised(mean)
        self._belief_sd = np.clip(sd / task.scale, 0.0, REACH)
        self._episode: KineticsEpisode | None = None
        self._player: CurvePlayer | None = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, Info]:
        """Begin an episode in a world of its own.

        Args:
            seed: Of all episodes from now on; goes on with the last when not given.
            options: `world`, one of the task's; its first by default.

        Raises:
            InvalidInputError: If an option or the kind of world is unknown.
        """
        super().reset(seed=seed)
        options = options or {}
        if unknown := sorted(set(options) - {"world"}):
            raise InvalidInputError(
                f"A reset has the option 'world'; got {unknown}. Remove them."
            )
        episode = KineticsEpisode(
            world=options.get("world", self.task.worlds[0]),
            seed=int(self.np_random.integers(2**31 - 1)),
            values=np.zeros((0, len(self.task.protocol.readout_names))),
        )
        self._enter(episode)
        return self._observe(episode), self._info(episode)

    def step(self, action: np.int64) -> tuple[Observation, float, bool, bool, Info]:
        """Start, wait and read, or stop.

        Raises:
            InvalidInputError: If the action is none of the space.
            IllegalTransitionError: If the episode has ended, or none was begun.
        """
        before = self._going_on()
        after, is_over = self._moved(before, self._index(action))
        terms = self._reward_terms(before, after)
        won = self.task.goal is not None and self._value(after) >= self.task.goal
        reason = "goal" if won else "stopped" if is_over else None
        cut = None if reason else self._spent(after)
        if reason or cut:
            after = after.ended()
        self._episode = after
        info = self._info(after) | self._told(before, after, terms)
        info |= {"end_reason": reason, "truncation_reason": cut}
        total = float(sum(terms.values()))
        return self._observe(after), total, reason is not None, cut is not None, info

    def action_masks(self) -> NDArray[np.bool_]:
        """Return which actions do something useful now, `N + w + 1`."""
        mask = np.ones(int(self.action_space.n), dtype=bool)  # pyright: ignore[reportAttributeAccessIssue] - a Discrete
        if self._episode is not None and self._episode.run is None:
            mask[len(self.task.pool) : -1] = False
        return mask

    def snapshot(self) -> KineticsSnapshot:
        """Return where this environment stands; `restore` goes on from there."""
        return KineticsSnapshot(self._episode, self.np_random.bit_generator.state)

    def restore(self, snapshot: KineticsSnapshot) -> None:
        """Go on from a snapshot of this environment or one of an equal task."""
        self.np_random.bit_generator.state = snapshot.generator
        self._episode = None
        if snapshot.episode is not None:
            self._enter(snapshot.episode)

    def _enter(self, episode: KineticsEpisode) -> None:
        self._player = make_player(episode.world, self.task, episode.seed)
        self._episode = episode

    def _going_on(self) -> KineticsEpisode:
        if self._episode is None or self._episode.has_ended:
            how = "none" if self._episode is None else "one that has ended"
            raise IllegalTransitionError(
                f"A step needs an episode that goes on; got {how}. Call reset first."
            )
        return self._episode

    def _index(self, action: np.int64) -> int:
        if not self.action_space.contains(action):
            raise InvalidInputError(
                f"An action is a number below {self.action_space.n}; got "  # pyright: ignore[reportAttributeAccessIssue] - a Discrete
                f"{action!r}. Choose one where action_mask is 1."
            )
        return int(action)

    def _moved(self, at: KineticsEpisode, i: int) -> tuple[KineticsEpisode, bool]:
        """Return the episode after an action, and whether the agent ended it."""
        task, n = self.task, len(self.task.pool)
        if i < n:
            price = float(task.prices[i])
            return at.started(i, setup=task.setup, price=price), False
        if i == n + len(task.waits):
            return at.stopped(), at.run is None
        wait = task.waits[i - n]
        if at.run is None:
            return at.waited(wait), False
        assert self._player is not None  # an episode that goes on was entered
        later = at.waited(min(wait, task.end - at.run.time))
        assert later.run is not None  # waiting stops no curve
        after = later.read(self._player.read(later.run)[None], task.read_price)
        return (after.stopped() if later.run.time >= task.end else after), False

    def _value(self, episode: KineticsEpisode) -> float:
        return self.task.reward.value(episode.values)

    def _reward_terms(
        self, before: KineticsEpisode, after: KineticsEpisode
    ) -> dict[str, float]:
        task = self.task
        money, hours = after.spent - before.spent, after.clock - before.clock
        return {
            "utility_gain": self._value(after) - self._value(before),
            "cost": -task.cost_weight * money / task.money if task.money else 0.0,
            "time": -task.time_weight * hours / task.time_limit,
        }

    def _spent(self, episode: KineticsEpisode) -> str | None:
        if len(episode.values) >= self.task.n_reads:
            return "budget"
        return "time" if episode.clock >= self.task.time_limit else None

    def _observe(self, episode: KineticsEpisode) -> Observation:
        task, (n, m) = self.task, episode.values.shape
        action = np.full(task.n_reads, -1, dtype=np.int64)
        action[:n] = episode.rows
        times = np.zeros(task.n_reads)
        times[:n] = np.array(episode.times) / task.end
        value = np.zeros((task.n_reads, m))
        value[:n] = self._standardised(episode.values)
        mask = np.zeros((task.n_reads, m), dtype=np.int8)
        mask[:n] = 1
        run = episode.run
        left = 1.0 - episode.clock / task.time_limit
        return {
            "belief_mean": self._belief_mean.copy(),
            "belief_sd": self._belief_sd.copy(),
            "history_action": action,
            "history_time": times,
            "history_value": value,
            "history_mask": mask,
            "running": np.array([-1 if run is None else run.row], dtype=np.int64),
            "running_time": np.array([0.0 if run is None else run.time / task.end]),
            "action_mask": self.action_masks().astype(np.int8),
            "budget_left": np.array([1.0 - n / task.n_reads]),
            "time_left": np.array([max(left, 0.0)]),
        }

    def _info(self, episode: KineticsEpisode) -> Info:
        return {
            "action_mask": self.action_masks().astype(np.int8),
            "budget_left": self.task.n_reads - len(episode.values),
            "clock": episode.clock,
            "end_reason": None,
            "origin": Origin.VIRTUAL.value,
            "truncation_reason": None,
            "value": self._value(episode),
            "world": episode.world,
        }

    def _told(
        self,
        before: KineticsEpisode,
        after: KineticsEpisode,
        terms: dict[str, float],
    ) -> Info:
        names = self.task.protocol.readout_names
        was_read = len(after.values) > len(before.values)
        readouts = after.values[-1].tolist() if was_read else []
        return {
            "cost": after.spent - before.spent,
            "duration": after.clock - before.clock,
            "readouts": dict(zip(names, readouts, strict=True)) if was_read else {},
            "reward_terms": terms,
        }

    def _standardised(self, values: Floats) -> Floats:
        centred = (values - self.task.centre) / self.task.scale
        return np.clip(centred, -REACH, REACH)


def kinetics_space(task: KineticsTask) -> spaces.Dict:
    """Return the space of what an agent sees of a task."""
    n, b, m = len(task.pool), task.n_reads, len(task.protocol.readout_names)
    return spaces.Dict(
        {
            "belief_mean": spaces.Box(-REACH, REACH, (n, m), np.float64),
            "belief_sd": spaces.Box(0.0, REACH, (n, m), np.float64),
            "history_action": spaces.Box(-1, n, (b,), np.int64),
            "history_time": spaces.Box(0.0, 1.0, (b,), np.float64),
            "history_value": spaces.Box(-REACH, REACH, (b, m), np.float64),
            "history_mask": spaces.MultiBinary((b, m)),
            "running": spaces.Box(-1, n, (1,), np.int64),
            "running_time": spaces.Box(0.0, 1.0, (1,), np.float64),
            "action_mask": spaces.MultiBinary(n + len(task.waits) + 1),
            "budget_left": spaces.Box(0.0, 1.0, (1,), np.float64),
            "time_left": spaces.Box(0.0, 1.0, (1,), np.float64),
        }
    )
