"""Many campaigns at once: a Gymnasium vector environment with batched steps.

Shapes: `e` environments, `N` candidates, `b` experiments in the budget, `m` readouts.
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from labwm.errors import IllegalTransitionError, InvalidInputError
from labwm.schema import Origin, Status
from labwm.virtual_lab.campaign_env import REACH, observation_space
from labwm.virtual_lab.campaign_task import CampaignTask
from labwm.virtual_lab.knowledge import Knowledge
from labwm.virtual_lab.parallel_worlds import ParallelWorlds
from labwm.world_model.reward import TERMS

Arrays = dict[str, NDArray[Any]]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]

_TOLD: Final = ("cost", "duration", "has_failed", "support")


class CampaignVectorEnv(VectorEnv[Arrays, Ints, NDArray[Any]]):
    """`e` campaigns of one task, side by side in one process.

    Environment `i` after `reset(seed=s)` is `CampaignEnv` after `reset(seed=s + i)`:
    the same worlds, observations, rewards and ends. Information comes as arrays with a
    mask `_name` beside each, as Gymnasium's own vector environments give it.

    Attributes:
        task: What is played.
        num_envs: `e`.
    """

    def __init__(
        self,
        task: CampaignTask,
        num_envs: int,
        *,
        autoreset_mode: AutoresetMode = AutoresetMode.NEXT_STEP,
    ) -> None:
        """Prepare the environments; the model is asked once about the whole pool.

        Args:
            task: What is played.
            num_envs: Environments, `e`.
            autoreset_mode: When an ended episode gives way to the next: with the next
                step, in the same step (with `final_obs` and `final_info`), or never.

        Raises:
            InvalidInputError: If there is no environment.
        """
        if num_envs < 1:
            raise InvalidInputError(
                f"A vector environment has one environment or more; got {num_envs}. "
                "Raise num_envs."
            )
        self.task, self.num_envs = task, num_envs
        self.metadata = {"render_modes": [], "autoreset_mode": autoreset_mode}
        self.single_action_space = spaces.Discrete(len(task.pool))
        self.single_observation_space = observation_space(task)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self._mode = autoreset_mode
        self._worlds: ParallelWorlds | None = None
        self._generators = [np.random.default_rng() for _ in range(num_envs)]
        self._belief = _belief(task, num_envs)
        n, b, m = len(task.pool), task.budget, len(task.protocol.readout_names)
        self._n = np.zeros(num_envs, dtype=np.int64)
        self._action = np.full((num_envs, b), -1, dtype=np.int64)
        self._values = np.full((num_envs, b, m), np.nan)
        self._times = np.zeros((num_envs, n), dtype=np.int64)
        self._worth = np.zeros(num_envs)
        self._knowledge = Knowledge(task, num_envs)
        self._ended = np.ones(num_envs, dtype=bool)

    def reset(
        self,
        *,
        seed: int | Sequence[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[Arrays, Arrays]:
        """Begin an episode in every environment, each in a world of its own.

        Args:
            seed: Of the first environment, the next ones count on; or one for each.
                Without it the environments go on with the seeds that they have.
            options: `world`, one of `WORLDS`, kept until the next reset; `reset_mask`,
                length `e`, to begin anew in some environments only.

        Raises:
            InvalidInputError: If an option, the world or the number of seeds is wrong.
        """
        chosen, kind = self._options(options or {})
        seeds = self._seeds(seed)
        if self._worlds is None or self._worlds.kind != kind:
            self._worlds = ParallelWorlds(self.task, self.num_envs, kind)
        for i in chosen:
            if (own := seeds[i]) is not None:
                self._generators[i] = _generator(own)
        self._begin(chosen)
        return self._observe(), self._info(_mask(chosen, self.num_envs))

    def step(
        self, actions: Ints
    ) -> tuple[Arrays, NDArray[np.float64], Bools, Bools, dict[str, Any]]:
        """Measure one candidate in every environment.

        Raises:
            InvalidInputError: If an action is no row of the pool.
            IllegalTransitionError: If nothing was begun, or an episode has ended and
                nothing begins the next.
        """
        rows = self._rows(actions)
        renewed = self._renewed()
        if len(renewed):
            self._begin(renewed)
        going = np.setdiff1d(np.arange(self.num_envs), renewed)
        known = self._knowledge.known()
        reward, told = self._measure(going, rows[going])
        is_won = np.zeros(self.num_envs, dtype=bool)
        if self.task.goal is not None:
            is_won[going] = self._worth[going] >= self.task.goal
        is_spent = np.zeros(self.num_envs, dtype=bool)
        is_spent[going] = (self._n[going] >= self.task.budget) & ~is_won[going]
        self._ended[going] = (is_won | is_spent)[going]
        learnt = self.task.reward.shaping(
            known, self._knowledge.known(), has_ended=is_won | is_spent
        )
        learnt[renewed] = 0.0
        told["reward_terms"]["information"] = learnt
        reward += learnt
        info = self._info(np.ones(self.num_envs, dtype=bool)) | told
        info["truncation_reason"][is_spent] = "budget"
        if self._mode is AutoresetMode.SAME_STEP and self._ended.any():
            info = self._renew_now(info)
        return self._observe(), reward, is_won, is_spent, info

    def action_masks(self) -> Bools:
        """Return which candidates were not measured yet, `e x N`."""
        return self._times == 0

    def truths(self) -> NDArray[np.float64]:
        """Return what each candidate gives in each world without noise, `e x N x m`.

        For whoever judges an agent: no observation and no information holds it.

        Raises:
            IllegalTransitionError: If no episode was begun.
        """
        if self._worlds is None:
            raise IllegalTransitionError(
                "Truths are those of worlds that are played; got none. Call reset "
                "first."
            )
        return self._worlds.truths()

    def _options(self, options: dict[str, Any]) -> tuple[Ints, str]:
        if unknown := sorted(set(options) - {"world", "reset_mask"}):
            raise InvalidInputError(
                "A reset has the options 'world' and 'reset_mask'; got "
                f"{unknown}. Remove them."
            )
        mask = options.get("reset_mask")
        if mask is None:
            mask = np.ones(self.num_envs, dtype=bool)
        mask = np.asarray(mask)
        if mask.shape != (self.num_envs,) or mask.dtype != bool or not mask.any():
            raise InvalidInputError(
                f"A reset_mask has {self.num_envs} booleans, one of them true; got "
                f"{mask.dtype} of shape {mask.shape}. Leave it out to reset all."
            )
        kept = "posterior_draw" if self._worlds is None else self._worlds.kind
        kind = options.get("world", "posterior_draw" if mask.all() else kept)
        if not mask.all() and kind != kept:
            raise InvalidInputError(
                f"Environments side by side play one kind of world, {kept!r}; got "
                f"{kind!r} for some of them. Reset all of them."
            )
        return np.flatnonzero(mask), kind

    def _seeds(self, seed: int | Sequence[int | None] | None) -> Sequence[int | None]:
        if seed is None:
            return [None] * self.num_envs
        seeds = (
            [seed + i for i in range(self.num_envs)] if isinstance(seed, int) else seed
        )
        if len(seeds) != self.num_envs:
            raise InvalidInputError(
                f"Seeds are one number, or one for each of {self.num_envs} "
                f"environments; got {len(seeds)}. Pass one number."
            )
        return seeds

    def _rows(self, actions: Ints) -> Ints:
        rows = np.asarray(actions)
        n = len(self.task.pool)
        is_good = rows.shape == (self.num_envs,) and np.issubdtype(
            rows.dtype, np.integer
        )
        if not is_good or rows.min() < 0 or rows.max() >= n:
            raise InvalidInputError(
                f"Actions are {self.num_envs} rows of the pool, 0 to {n - 1}; got "
                f"{rows!r:.80}. Choose where action_mask is 1."
            )
        return rows.astype(np.int64)

    def _renewed(self) -> Ints:
        """Return which environments this step begins anew."""
        if self._worlds is None:
            raise IllegalTransitionError(
                "A step needs episodes that go on; got none. Call reset first."
            )
        if self._mode is not AutoresetMode.NEXT_STEP and self._ended.any():
            raise IllegalTransitionError(
                "A step needs episodes that go on; got "
                f"{int(self._ended.sum())} that have ended. Reset them with the "
                "option 'reset_mask'."
            )
        return np.flatnonzero(self._ended)

    def _begin(self, chosen: Ints) -> None:
        assert self._worlds is not None  # reset and step see to it
        seeds = [int(self._generators[i].integers(2**31 - 1)) for i in chosen]
        self._worlds.enter(chosen, seeds)
        self._n[chosen], self._action[chosen] = 0, -1
        self._values[chosen], self._times[chosen] = np.nan, 0
        self._worth[chosen], self._ended[chosen] = 0.0, False
        self._knowledge.forget(chosen)

    def _measure(self, going: Ints, rows: Ints) -> tuple[NDArray[np.float64], Arrays]:
        assert self._worlds is not None  # _renewed saw to it
        task, at = self.task, self._n[going]
        values, statuses = self._worlds.measure(going, rows, self._times[going, rows])
        self._action[going, at], self._values[going, at] = rows, values
        self._times[going, rows] += 1
        self._n[going] += 1
        worth = task.reward.values(self._values[going])
        gain, price = worth - self._worth[going], task.cost_shares[rows]
        cost = task.reward.cost_weight * price
        self._worth[going] = worth
        reward = np.zeros(self.num_envs)
        reward[going] = gain - cost
        failed = np.all(statuses == Status.FAILED, axis=1)
        duration = np.full(len(rows), task.protocol.costs.per_experiment.duration)
        told = (task.prices[rows], duration, failed, task.support[rows])
        self._knowledge.learn(going, rows, values)
        # What learning earns is told once it is known which episodes ended.
        terms = dict(zip(TERMS, (gain, -cost, np.zeros(len(rows))), strict=True))
        info = self._told(going, dict(zip(_TOLD, told, strict=True)))
        names = task.protocol.readout_names
        words = np.array([str(s) for s in statuses.ravel()], dtype=object)
        columns = {
            "readouts": dict(zip(names, values.T, strict=True)),
            "reward_terms": terms,
            "statuses": dict(zip(names, words.reshape(statuses.shape).T, strict=True)),
        }
        for name, parts in columns.items():
            info |= {name: self._told(going, parts), f"_{name}": self._going(going)}
        return reward, info

    def _told(self, going: Ints, parts: dict[str, Any]) -> dict[str, Any]:
        told: dict[str, Any] = {}
        for name, values in parts.items():
            filled = np.zeros(self.num_envs, dtype=np.asarray(values).dtype)
            if filled.dtype == object:
                filled[:] = None
            filled[going] = values
            told |= {name: filled, f"_{name}": self._going(going)}
        return told

    def _going(self, going: Ints) -> Bools:
        return _mask(going, self.num_envs)

    def _renew_now(self, info: dict[str, Any]) -> dict[str, Any]:
        ended = np.flatnonzero(self._ended)
        last, final = self._observe(), np.full(self.num_envs, None, dtype=object)
        for i in ended:
            final[i] = {name: part[i].copy() for name, part in last.items()}
        mask = self._going(ended)
        self._begin(ended)
        return (
            _kept(info, ~mask)
            | self._info(np.ones(self.num_envs, dtype=bool))
            | {"final_obs": final, "_final_obs": mask}
            | {"final_info": _kept(info, mask), "_final_info": mask}
        )

    def _observe(self) -> Arrays:
        task, is_number = self.task, np.isfinite(self._values)
        centred = np.clip((self._values - task.centre) / task.scale, -REACH, REACH)
        return {
            **self._belief,
            "history_action": self._action.copy(),
            "history_value": np.where(is_number, centred, 0.0),
            "history_mask": is_number.astype(np.int8),
            "action_mask": self.action_masks().astype(np.int8),
            "budget_left": (1.0 - self._n / task.budget)[:, None],
            "step": self._n[:, None].copy(),
        }

    def _info(self, mask: Bools) -> dict[str, Any]:
        def text(word: str | None) -> NDArray[np.object_]:
            return np.full(self.num_envs, word, dtype=object)

        assert self._worlds is not None  # reset and step see to it
        columns: dict[str, Any] = {
            "action_mask": self.action_masks().astype(np.int8),
            "budget_left": self.task.budget - self._n,
            "origin": text(Origin.VIRTUAL.value),
            "truncation_reason": text(None),
            "value": self._worth.copy(),
            "world": text(self._worlds.kind),
        }
        return columns | {f"_{name}": mask.copy() for name in columns}


def _belief(task: CampaignTask, n: int) -> Arrays:
    """Return what the model expects, once in memory and read-only, `n x N x m`."""
    mean = np.clip((task.belief.mean - task.centre) / task.scale, -REACH, REACH)
    sd = np.clip(task.belief.sd / task.scale, 0.0, REACH)
    return {
        "belief_mean": np.broadcast_to(mean, (n, *mean.shape)),
        "belief_sd": np.broadcast_to(sd, (n, *sd.shape)),
    }


def _generator(seed: int) -> np.random.Generator:
    # As Gymnasium's own seeding does: the worlds are those of `CampaignEnv`.
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed)))


def _kept(info: dict[str, Any], mask: Bools) -> dict[str, Any]:
    """Return information that stands for some environments only."""
    return {
        name: _kept(part, mask)
        if isinstance(part, dict)
        else (part & mask if name.startswith("_") else part)
        for name, part in info.items()
    }


def _mask(chosen: Ints, n: int) -> Bools:
    mask = np.zeros(n, dtype=bool)
    mask[chosen] = True
    return mask
