"""Tasks to practise on: from measurements at hand, or from a set that ships."""

import numpy as np
from gymnasium.vector import AutoresetMode

from labwm.schema import Protocol
from labwm.space import Observations, pool_of, with_levels
from labwm.virtual_lab.campaign_env import CampaignEnv
from labwm.virtual_lab.campaign_task import CampaignTask
from labwm.virtual_lab.campaign_vector_env import CampaignVectorEnv
from labwm.virtual_lab.outcomes import failure_rate

SHIPPED = "xtb_dyes"
"""Set that is practised on when nothing else is asked for."""
_N_ROWS = 200
_N_LEARNT = 50
_BUDGET = 48


def learn_task(
    protocol: Protocol,
    observations: Observations,
    *,
    budget: int,
    n_learnt: int | None = None,
    seed: int = 0,
) -> CampaignTask:
    """Fit a model to measurements and return the task to practise on their conditions.

    Experiments fail as often as they did; the world `lookup` plays the measurements.

    Args:
        protocol: What an experiment is.
        observations: What was measured; every distinct conditions are a candidate.
        budget: Experiments of an episode.
        n_learnt: Rows that the model learns from, chosen by the seed; all by default.
        seed: Of that choice and of the fit.

    Raises:
        NotEnoughDataError: If there are too few rows to learn from.
    """
    from labwm.world_model import fit

    n = len(observations) if n_learnt is None else min(n_learnt, len(observations))
    rows = np.random.default_rng(seed).choice(len(observations), n, replace=False)
    stated = with_levels(protocol, observations.questions)
    return CampaignTask(
        model=fit(observations.take(np.sort(rows)), stated, seed=seed),
        protocol=stated,
        pool=pool_of(observations),
        budget=budget,
        failure_rate=failure_rate(observations),
        table=observations,
    )


def shipped_task(*, budget: int = _BUDGET, seed: int = 0) -> CampaignTask:
    """Return a task on 200 rows of dyes that the xtb lab computed.

    Learning takes seconds.
    """
    from labwm.data.assay import read_assay
    from labwm.data.protocols import load_protocol
    from labwm.settings import shipped
    from labwm.space import observations_from

    protocol = load_protocol(SHIPPED)
    assay = read_assay(shipped(f"assay_data/{SHIPPED}/table.csv"), protocol)
    observations = observations_from(protocol, assay.measurements)
    rows = np.random.default_rng(seed).choice(len(observations), _N_ROWS, replace=False)
    some = observations.take(np.sort(rows))
    return learn_task(protocol, some, budget=budget, n_learnt=_N_LEARNT, seed=seed)


def campaign_env(
    task: CampaignTask | None = None, render_mode: None = None
) -> CampaignEnv:
    """Return the environment of a task; of `shipped_task` when none is given."""
    return CampaignEnv(shipped_task() if task is None else task, render_mode)


def campaign_vector_env(
    num_envs: int = 1,
    task: CampaignTask | None = None,
    autoreset_mode: AutoresetMode = AutoresetMode.NEXT_STEP,
) -> CampaignVectorEnv:
    """Return many environments of a task; of `shipped_task` when none is given."""
    own = shipped_task() if task is None else task
    return CampaignVectorEnv(own, num_envs, autoreset_mode=autoreset_mode)
