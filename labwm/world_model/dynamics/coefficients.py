"""Numbers that describe a curve, over the conditions: a Gaussian process each.

The kernels, priors and noise are the default world model's; what is left out is what
only a measured readout needs: censoring, pass or fail, recalibration.

Shapes: `n` curves, `q` questions, `c` coefficients.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from labwm.schema import CalibrationMap, Prediction, Protocol, Status
from labwm.space.questions import Observations, Questions
from labwm.world_model.contract import World
from labwm.world_model.encoding import Encoder, build_encoder
from labwm.world_model.leave_one_out import latent_left_out, leave_one_out
from labwm.world_model.linear_algebra import threads_for
from labwm.world_model.marginal_likelihood import Evidence, maximise_evidence
from labwm.world_model.marginals import Marginals
from labwm.world_model.noise import with_sloped_noise
from labwm.world_model.structure import Structure, candidates
from labwm.world_model.surrogate import Surrogate, condition
from labwm.world_model.training import Rows, require_rows, rows_of, standard_units
from labwm.world_model.world import GaussianProcessWorld, draw_path, keys_of

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Coefficients:
    """Posterior of the coefficients at any conditions.

    Attributes:
        marginals: One process per coefficient, `c`.
        keys: For each coefficient the conditions that its rows stand for.
        location, scale: Of each curve, from all other conditions, `n x c` each.
    """

    marginals: Marginals
    keys: tuple[tuple[bytes, ...], ...]
    location: Floats
    scale: Floats

    def predict(self, questions: Questions) -> Prediction:
        """Predict the coefficients of one more curve at each question, `q x c`."""
        return self.marginals(questions)

    def draw_world(self, seed: int) -> World:
        """Draw one function per coefficient; replicates scatter around it."""
        paths = tuple(
            draw_path(surrogate, keys, seed, j)
            for j, (surrogate, keys) in enumerate(
                zip(self.marginals.surrogates, self.keys, strict=True)
            )
        )
        return GaussianProcessWorld(seed, paths, self.marginals, {})

    def support(self, questions: Questions) -> Floats:
        """Return how close each question is to what was learnt, in [0, 1], `q`."""
        return self.marginals.support(questions)


def learn_coefficients(
    questions: Questions, values: Floats, protocol: Protocol
) -> Coefficients:
    """Learn how coefficients depend on the conditions; costs `n**3` each.

    Args:
        questions: Conditions of each curve, `n` rows; equal ones are replicates.
        values: Coefficients of each curve, `n x c`.
        protocol: Declares the parameters.

    Raises:
        NotEnoughDataError: If there are fewer than five curves.
        SpaceError: If a condition that the protocol declares is absent.
    """
    names = tuple(f"coefficient {j}" for j in range(values.shape[1]))
    observations = Observations(
        questions,
        names,
        values,
        np.zeros(values.shape, dtype=np.int8),
        np.full(values.shape, Status.OK, dtype=object),
    )
    keys = keys_of(questions)
    pairs = _structures(questions, protocol)
    surrogates, known = [], []
    location, scale = np.empty(values.shape), np.empty(values.shape)
    with threads_for(len(values)):
        for j, name in enumerate(names):
            rows = rows_of(observations, j, keys)
            require_rows(rows, name, "default")
            own = _learn(questions, rows, pairs)
            surrogates.append(own)
            known.append(rows.key)
            location[:, j], scale[:, j] = _left_out(own, rows, keys)
    maps = tuple(CalibrationMap() for _ in names)
    units = tuple(None for _ in names)
    marginals = Marginals(names, units, tuple(surrogates), maps, True)
    return Coefficients(marginals, tuple(known), location, scale)


def _structures(
    questions: Questions, protocol: Protocol
) -> list[tuple[Structure, Encoder]]:
    pairs = [
        (structure, build_encoder(protocol, [questions], structure.features))
        for structure in candidates(protocol, [questions], "default")
    ]
    # With one lengthscale, one for all is the same model again.
    return [
        (structure, encoder)
        for structure, encoder in pairs
        if not structure.is_isotropic or len(encoder.groups.unique()) > 1
    ]


def _learn(
    questions: Questions, rows: Rows, pairs: Sequence[tuple[Structure, Encoder]]
) -> Surrogate:
    """Return the process of the structure whose left-out values are likeliest."""
    found = []
    for structure, encoder in pairs:
        own = _condition(questions, rows, structure, encoder)
        left_out = leave_one_out(own, rows)
        found.append((-float(left_out.log_density().sum()), own, left_out))
    _, best, left_out = min(found, key=lambda one: one[0])
    return with_sloped_noise(best, rows, left_out)[0]


def _condition(
    questions: Questions, rows: Rows, structure: Structure, encoder: Encoder
) -> Surrogate:
    location, size = standard_units(rows)
    scatter, n_scatter = rows.scatter
    evidence = Evidence(
        encoder.encode(questions.take(rows.source)),
        torch.from_numpy((rows.mean - location) / size),
        torch.from_numpy(rows.n_replicates),
        scatter / size**2,
        n_scatter,
        None,
    )
    groups = encoder.groups
    if structure.is_isotropic:
        groups = torch.zeros_like(groups)
    chosen = maximise_evidence(evidence, structure, groups)
    return condition(
        encoder,
        chosen.kernel,
        (
            evidence.inputs,
            evidence.targets,
            chosen.noise_variance / evidence.n_replicates,
        ),
        units=(location, size),
        noise_variance=chosen.noise_variance,
    )


def _left_out(
    own: Surrogate, rows: Rows, keys: Sequence[bytes]
) -> tuple[Floats, Floats]:
    mean, variance = latent_left_out(own)
    total = (variance + own.noise_at(mean)).sqrt().numpy()
    place = {key: i for i, key in enumerate(rows.key)}
    index = [place[key] for key in keys]
    location = own.location + own.scale * mean.numpy()
    return location[index], (abs(own.scale) * total)[index]
