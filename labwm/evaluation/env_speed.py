"""How fast agents can practise: steps per second of the environments.

The yardstick is a matrix product of known size, timed in the same run: a figure on
another machine is compared by its ratio to it.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from gymnasium.vector import SyncVectorEnv

from labwm.evaluation.table import versions
from labwm.schema import Measurement, Protocol, canonical_json
from labwm.space import observations_from
from labwm.virtual_lab.campaign_env import CampaignEnv
from labwm.virtual_lab.campaign_task import CampaignTask
from labwm.virtual_lab.campaign_vector_env import CampaignVectorEnv
from labwm.virtual_lab.practice import learn_task

_PRODUCT = 1024
_FEW = 16


@dataclass(frozen=True)
class EnvSpeed:
    """What was timed.

    Attributes:
        n_rows: Rows that the model learnt from.
        n_candidates: Rows of the pool.
        n_objectives: Objectives of the protocol.
        num_envs: Environments side by side.
        prepare_s: Seconds to prepare, once per task.
        steps_per_s: Environment steps in a second, resets included.
        single_steps_per_s: The same one environment after another, in `SyncVectorEnv`.
        products_per_s: Products of two 1,024 x 1,024 matrices in fp32 in a second.
    """

    n_rows: int
    n_candidates: int
    n_objectives: int
    num_envs: int
    prepare_s: float
    steps_per_s: float
    single_steps_per_s: float
    products_per_s: float

    @property
    def gain(self) -> float:
        """How many times as fast the batched steps are."""
        return self.steps_per_s / self.single_steps_per_s

    def to_json(self) -> bytes:
        """Return the figures by their names, and the versions that gave them."""
        return canonical_json({**asdict(self), "versions": versions()})


def practice_task(
    protocol: Protocol,
    measurements: Sequence[Measurement],
    *,
    budget: int,
    n_learnt: int,
) -> CampaignTask:
    """Return the task to practise on measurements, with a model of some of them.

    Raises:
        NotEnoughDataError: If there are too few rows to learn from.
    """
    observations = observations_from(protocol, measurements)
    return learn_task(protocol, observations, budget=budget, n_learnt=n_learnt)


def measure_env_speed(
    task: CampaignTask, *, num_envs: int = 1024, n_steps: int | None = None
) -> EnvSpeed:
    """Time random play of a task; whole episodes, so that resets count.

    Args:
        task: What is played.
        num_envs: Environments side by side.
        n_steps: Steps of each; two episodes when not given.
    """
    n_steps = 2 * task.budget if n_steps is None else n_steps
    start = time.perf_counter()
    ours = CampaignVectorEnv(task, num_envs)
    ours.reset(seed=0)
    prepare_s = time.perf_counter() - start
    few = SyncVectorEnv([lambda: CampaignEnv(task)] * _FEW)
    few.reset(seed=0)
    return EnvSpeed(
        n_rows=task.model.card.n_rows,
        n_candidates=len(task.pool),
        n_objectives=len(task.protocol.objectives),
        num_envs=num_envs,
        prepare_s=prepare_s,
        steps_per_s=_rate(ours.step, task, num_envs, n_steps),
        single_steps_per_s=_rate(few.step, task, _FEW, task.budget),
        products_per_s=_products_per_s(),
    )


def _rate(
    step: Callable[[np.ndarray], object], task: CampaignTask, e: int, n_steps: int
) -> float:
    rng = np.random.default_rng(0)
    actions = rng.integers(len(task.pool), size=(n_steps, e))
    start = time.perf_counter()
    for chosen in actions:
        step(chosen)
    return n_steps * e / (time.perf_counter() - start)


def _products_per_s() -> float:
    a = np.random.default_rng(0).standard_normal((_PRODUCT, _PRODUCT)).astype("f4")
    np.dot(a, a)
    start = time.perf_counter()
    for _ in range(8):
        np.dot(a, a)
    return 8 / (time.perf_counter() - start)
