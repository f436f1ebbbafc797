"""What a model knows of the objectives' readouts at some candidates, without noise.

Shapes: `c` candidates, `k` objectives, `w` worlds.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from labwm.schema import Protocol
from labwm.space.questions import Questions
from labwm.world_model.contract import WorldModel

Floats = NDArray[np.float64]

N_WORLDS = 256
"""Worlds drawn to learn how candidates vary together, where no formula tells."""


@dataclass(frozen=True)
class Latent:
    """Marginal posterior of what repeated measuring would average to.

    Attributes:
        mean: `c x k`, in the readouts' units.
        sd: Standard deviation from not knowing, `c x k`.
        covariance_with: Returns the posterior covariance of all candidates with one of
            them, `c x k`; objectives are independent of each other.
    """

    mean: Floats
    sd: Floats
    covariance_with: Callable[[int], Floats]


def objective_columns(protocol: Protocol) -> list[int]:
    """Return for each objective the column of its readout."""
    names = protocol.readout_names
    return [names.index(objective.readout) for objective in protocol.objectives]


def marginals(
    model: WorldModel, protocol: Protocol, questions: Questions
) -> tuple[Floats, Floats]:
    """Return mean and epistemic standard deviation of the objectives, `c x k` each."""
    prediction = model.predict(questions)
    columns = objective_columns(protocol)
    return prediction.mean[:, columns], prediction.epistemic_sd[:, columns]


def latent(
    model: WorldModel, protocol: Protocol, questions: Questions, *, seed: int
) -> Latent:
    """Return the posterior at some candidates, their dependence from drawn worlds.

    A sample covariance of `N_WORLDS` draws is scaled to the stated standard deviation.
    """
    mean, sd = marginals(model, protocol, questions)
    columns = objective_columns(protocol)
    seeds = np.random.SeedSequence(seed).generate_state(N_WORLDS)
    drawn = np.stack(
        [
            model.draw_world(int(s)).truth(questions)[:, columns]
            for s in seeds.astype(np.int64)
        ]
    )
    spread = np.maximum(drawn.std(axis=0), 1e-300)
    standard = (drawn - drawn.mean(axis=0)) / spread

    def covariance_with(i: int) -> Floats:
        correlation = np.einsum("wck,wk->ck", standard, standard[:, i]) / N_WORLDS
        return correlation * sd * sd[i]

    return Latent(mean, sd, covariance_with)
