"""What a model knows of the objectives' readouts at some candidates, without noise.

Shapes: `c` candidates, `k` objectives, `w` worlds.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from labwm.design.offset_model import OffsetModel
from labwm.schema import Protocol
from labwm.space.questions import Questions
from labwm.world_model.contract import WorldModel

if TYPE_CHECKING:
    from labwm.world_model.full_scale import FullScaleSurrogate
    from labwm.world_model.surrogate import Surrogate

Floats = NDArray[np.float64]

MAX_WHOLE = 4096
"""Candidates whose covariance matrix is held as a whole; more go by columns."""
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
    """Return the posterior at some candidates and how they vary together.

    The dependence is exact for a Gaussian process, and otherwise learnt from
    `N_WORLDS` drawn worlds; either way it is scaled to the stated standard deviation.
    """
    from labwm.world_model import GaussianProcessModel

    mean, sd = marginals(model, protocol, questions)
    columns = objective_columns(protocol)
    # An expectation that is added moves means, not how candidates vary together.
    base = model.base if isinstance(model, OffsetModel) else model
    if isinstance(base, GaussianProcessModel):
        surrogates = [base.surrogates[j] for j in columns]
        correlation_with = _exact_correlation(surrogates, questions)
    else:
        correlation_with = _drawn_correlation(model, columns, questions, seed)

    def covariance_with(i: int) -> Floats:
        return correlation_with(i) * sd * sd[i]

    return Latent(mean, sd, covariance_with)


def _exact_correlation(
    surrogates: Sequence["Surrogate | FullScaleSurrogate"], questions: Questions
) -> Callable[[int], Floats]:
    import torch

    encoded = [surrogate.encode(questions) for surrogate in surrogates]
    whole = (
        [s.covariance(x, x).numpy() for s, x in zip(surrogates, encoded, strict=True)]
        if len(questions) <= MAX_WHOLE
        else None
    )
    deviations = [
        np.sqrt(s.mean_and_variance(x)[1].numpy())
        for s, x in zip(surrogates, encoded, strict=True)
    ]

    def correlation_with(i: int) -> Floats:
        out = np.empty((len(questions), len(surrogates)))
        for j, (surrogate, x) in enumerate(zip(surrogates, encoded, strict=True)):
            column = (
                whole[j][:, i]
                if whole is not None
                else surrogate.covariance(x, x.take(torch.tensor([i]))).numpy()[:, 0]
            )
            out[:, j] = column / (deviations[j] * deviations[j][i])
        return np.clip(out, -1.0, 1.0)

    return correlation_with


def _drawn_correlation(
    model: WorldModel, columns: list[int], questions: Questions, seed: int
) -> Callable[[int], Floats]:
    seeds = np.random.SeedSequence(seed).generate_state(N_WORLDS)
    drawn = np.stack(
        [
            model.draw_world(int(s)).truth(questions)[:, columns]
            for s in seeds.astype(np.int64)
        ]
    )
    spread = np.maximum(drawn.std(axis=0), 1e-300)
    standard = (drawn - drawn.mean(axis=0)) / spread

    def correlation_with(i: int) -> Floats:
        return np.einsum("wck,wk->ck", standard, standard[:, i]) / N_WORLDS

    return correlation_with
