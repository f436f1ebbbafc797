"""Campaigns to practise in: many virtual ones in worlds of a log, or a real one.

Both are played by the same two calls, so that a policy cannot tell which it plays.
Shapes: `e` campaigns side by side, `N` candidates, `m` readouts.
"""

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Final, Protocol

import numpy as np
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray

from labwm.errors import InvalidInputError
from labwm.evaluation.lookup import Lookup
from labwm.evaluation.pool_policies import Floats, Ints, Seen
from labwm.schema import Objective
from labwm.space.questions import Observations
from labwm.virtual_lab.campaign_task import CampaignTask
from labwm.virtual_lab.campaign_vector_env import CampaignVectorEnv
from labwm.virtual_lab.outcomes import failure_rate
from labwm.virtual_lab.pool_belief import PoolBelief
from labwm.world_model.gaussian_process import GaussianProcessModel
from labwm.world_model.joint import JointPosterior
from labwm.world_model.reward import RewardSpec, utility

RECIPE: Final = "explore"
"""The recipe that policies choose by on the real table, as in campaigns."""


class Campaigns(Protocol):
    """`e` campaigns that go on side by side."""

    def seen(self) -> Seen:
        """Return what is known before the next experiment."""
        ...

    def measure(self, rows: Ints) -> Floats:
        """Measure one candidate in each; return the reward of each, length `e`."""
        ...


@dataclass(frozen=True)
class Rehearsal:
    """A virtual lab made of a log.

    Agents believe here what they would believe in a campaign: their model is of the
    recipe that policies choose by, and need not be the one that worlds are drawn from.

    Attributes:
        task: Pool, budget and the model that worlds are drawn from.
        agents: The model that agents begin with.
        objective: What is wanted.
        readout: Its place among the readouts.
        best: Best utility of the log.
    """

    task: CampaignTask = field(repr=False)
    agents: GaussianProcessModel = field(repr=False)
    objective: Objective
    readout: int
    best: float

    @cached_property
    def joint(self) -> JointPosterior:
        """What agents believe of the pool to begin with."""
        return self.agents.joint(self.task.pool)

    def on_some(self, n: int, *, seed: int) -> "Rehearsal":
        """Return the same on at most `n` candidates of its pool, drawn fairly."""
        n_all = len(self.task.pool)
        rows = np.random.default_rng([seed, 5]).choice(n_all, min(n, n_all), False)
        some = self.task.pool.take(np.sort(rows))
        return replace(self, task=replace(self.task, pool=some))


def rehearse(
    lookup: Lookup, log: Ints, *, recipe: str, budget: int, seed: int
) -> Rehearsal:
    """Learn from a log and return the virtual lab on what is left of the pool.

    Args:
        lookup: Says what may be asked; of its outcomes only the log's are looked at.
        log: Rows of the pool that were measured before.
        recipe: Of the model that worlds are drawn from.
        budget: Experiments of a virtual campaign.
        seed: Of the fit and of the replicates drawn.

    Raises:
        InvalidInputError: If there are several objectives, or outcome constraints.
        NotEnoughDataError: If the log is too short to learn from.
        NotFoundError: If there is no such recipe.
    """
    from labwm.world_model import fit

    protocol = lookup.protocol
    objective, readout = objective_of(lookup)
    log_rows = np.array([lookup.measure(int(row), seed=seed) for row in log])
    measured = lookup.observed.take(log_rows)
    model = fit(measured, protocol, recipe=recipe, seed=seed)
    task = CampaignTask(
        model=model,
        protocol=protocol,
        pool=lookup.pool.take(np.setdiff1d(np.arange(len(lookup)), log)),
        budget=budget,
        failure_rate=failure_rate(measured),
    )
    agents = (
        model if recipe == RECIPE else fit(measured, protocol, recipe=RECIPE, seed=seed)
    )
    best = best_of(objective, readout, measured)
    return Rehearsal(task, agents, objective, readout, best)


def objective_of(lookup: Lookup) -> tuple[Objective, int]:
    """Return the one objective and the place of its readout.

    Raises:
        InvalidInputError: If there are several objectives, or outcome constraints.
    """
    protocol = lookup.protocol
    if len(protocol.objectives) != 1 or protocol.outcome_constraints:
        raise InvalidInputError(
            "Practice is for one objective without outcome constraints; the protocol "
            f"{protocol.name!r} has {len(protocol.objectives)} objectives and "
            f"{len(protocol.outcome_constraints)} constraints. Name a protocol with "
            "one."
        )
    objective = protocol.objectives[0]
    return objective, protocol.readout_names.index(objective.readout)


def best_of(objective: Objective, readout: int, log: Observations) -> float:
    """Return the best utility measured."""
    return float(np.nanmax(utility(objective, log.values[:, readout])))


class VirtualCampaigns:
    """`e` campaigns, each in a world of its own that the log allows."""

    def __init__(self, rehearsal: Rehearsal, n: int, *, seed: int) -> None:
        """Begin them; the same seed gives the same worlds."""
        task = rehearsal.task
        self._own, self._all = rehearsal, np.arange(n)
        self._env = CampaignVectorEnv(task, n, autoreset_mode=AutoresetMode.DISABLED)
        self._env.reset(seed=seed)
        self._belief = PoolBelief(
            rehearsal.joint, rehearsal.readout, n_agents=n, n_most=task.budget
        )
        self._best = np.full(n, rehearsal.best)
        self._floor = _value_of(task.reward, rehearsal.best)
        self._value = np.full(n, self._floor)

    def seen(self) -> Seen:
        """Return what is known before the next experiment."""
        return Seen(
            objective=self._own.objective,
            mean=self._belief.mean.astype(float),
            sd=self._belief.sd.astype(float),
            best=self._best.copy(),
            is_open=self._env.action_masks(),
            draw=lambda rng: self._belief.draw(rng).astype(float),
        )

    def measure(self, rows: Ints) -> Floats:
        """Measure one candidate in each; return the environment's reward.

        The gain counts from the best of the log on, which the environment does not
        know of.
        """
        *_, info = self._env.step(rows)
        values = np.asarray(info["readouts"][self._own.objective.readout])
        self._belief.learn(self._all, rows, values)
        self._best = np.fmax(self._best, utility(self._own.objective, values))
        value = np.maximum(info["value"], self._floor)
        gain, self._value = value - self._value, value
        return gain + np.asarray(info["reward_terms"]["cost"])

    def utilities(self) -> Floats:
        """Return what each candidate is worth in each world, `e x N`."""
        return utility(self._own.objective, self._env.truths()[:, :, self._own.readout])


class RealCampaign:
    """One campaign on the table, after a log; `e` is 1.

    The model is conditioned on every measurement, and fitted anew once there are a
    quarter more of them.
    """

    def __init__(
        self,
        lookup: Lookup,
        log: Ints,
        rehearsal: Rehearsal,
        *,
        budget: int,
        seed: int,
        refit: int,
    ) -> None:
        """Begin with what the log gave.

        Args:
            lookup: The table that answers.
            log: Rows of its pool that were measured before.
            rehearsal: Made of the same log with the same seed: its agents begin with
                the same model here, and its rewards count the same.
            budget: Experiments that cost the reward's `cost_weight` together.
            seed: Of the fits and of the replicates drawn.
            refit: Least experiments from one fit to the next.
        """
        self._lookup, self._budget, self._seed = lookup, budget, seed
        self._refit, self._reward = refit, rehearsal.task.reward
        self._objective, self._readout = objective_of(lookup)
        self._measured = [lookup.measure(int(row), seed=seed) for row in log]
        self._is_open = np.ones(len(lookup), dtype=bool)
        self._is_open[log] = False
        self._best = best_of(self._objective, self._readout, self.observed)
        self._model = rehearsal.agents
        self._n_fitted = len(self._measured)

    @property
    def observed(self) -> Observations:
        """Everything measured, the log first."""
        return self._lookup.observed.take(np.array(self._measured, dtype=np.int64))

    def seen(self) -> Seen:
        """Return what is known before the next experiment."""
        said, j = self._model.predict(self._lookup.pool), self._readout
        return Seen(
            objective=self._objective,
            mean=said.mean[None, :, j],
            sd=said.epistemic_sd[None, :, j],
            best=np.array([self._best]),
            is_open=self._is_open[None].copy(),
            draw=self._draw,
        )

    def measure(self, rows: Ints) -> Floats:
        """Measure one candidate; return its reward, length 1."""
        row = int(rows[0])
        at = self._lookup.measure(row, seed=self._seed)
        before = _value_of(self._reward, self._best)
        new = self._lookup.observed.take(np.array([at]))
        worth = float(utility(self._objective, new.values[0, self._readout]))
        self._measured.append(at)
        self._is_open[row] = False
        self._best = float(np.fmax(self._best, worth))
        self._take_in(new)
        gain = _value_of(self._reward, self._best) - before
        return np.array([gain - self._reward.cost_weight / self._budget])

    def _take_in(self, new: Observations) -> None:
        n = len(self._measured)
        if n - self._n_fitted < max(self._refit, self._n_fitted / 4):
            self._model = self._model.condition_on(new)
            return
        self._model, self._n_fitted = self._fit(), n

    def _fit(self) -> GaussianProcessModel:
        from labwm.world_model import fit

        return fit(self.observed, self._lookup.protocol, recipe=RECIPE, seed=self._seed)

    def _draw(self, rng: np.random.Generator) -> Floats:
        world = self._model.draw_world(int(rng.integers(2**31)))
        return world.truth(self._lookup.pool)[None, :, self._readout]


def _value_of(reward: RewardSpec, best: float) -> float:
    """Return what the best utility alone is worth, in the reward's scale."""
    return max(best - reward.reference[0], 0.0) / reward.scale[0]


def steps_to(is_wanted: NDArray[np.bool_]) -> Ints:
    """Return the place of the first true value, `t x e` to `e`; `t + 1` without."""
    t = len(is_wanted)
    return np.where(is_wanted.any(axis=0), is_wanted.argmax(axis=0) + 1, t + 1)
