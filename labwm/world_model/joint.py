"""The joint posterior of some questions: many worlds on one pool, cheaply.

Shapes: `q` questions, `m` readouts, `e` worlds.

A world that is asked about one pool again and again needs no function beyond it: one
Cholesky factor of the pool's covariance serves every world, and drawing `e` of them is
one matrix product.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray

from labwm.errors import InvalidInputError, NotFoundError
from labwm.schema import Prediction
from labwm.space.questions import Questions
from labwm.world_model.contract import MOST_QUESTIONS
from labwm.world_model.linear_algebra import cholesky, threads_for
from labwm.world_model.marginals import Marginals
from labwm.world_model.world import (
    RESOLUTION,
    digest_of,
    keys_of,
    normals_from,
    salt_of,
)

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class JointPosterior:
    """What a model knows about some questions together.

    Attributes:
        questions: Length `q`.
        stated: Marginals of measuring each question once.
        factors: Lower Cholesky factors of the latent covariance, `q x q` for each
            readout, in its unit.
        steps: What values are rounded to, length `m`.
    """

    questions: Questions = field(repr=False)
    stated: Prediction = field(repr=False)
    factors: tuple[Floats, ...] = field(repr=False)
    steps: Floats

    def __len__(self) -> int:
        return len(self.questions)

    @cached_property
    def keys(self) -> list[bytes]:
        """Canonical name of each question, length `q`."""
        return keys_of(self.questions)

    @cached_property
    def row_of(self) -> dict[bytes, int]:
        """First row of each question."""
        return {key: len(self) - 1 - i for i, key in enumerate(reversed(self.keys))}

    def latent(self, seeds: Sequence[int]) -> Floats:
        """Draw one function per seed, `e x q x m`, before calibration.

        A seed gives the same function whatever other seeds stand beside it.
        """
        drawn = np.empty((len(seeds), len(self), len(self.factors)))
        for j, factor in enumerate(self.factors):
            normals = [
                np.random.default_rng((seed, j)).standard_normal(len(self))
                for seed in seeds
            ]
            deviation = np.array(normals).reshape(-1, len(self)) @ factor.T
            drawn[:, :, j] = self.stated.location[:, j] + deviation
        return drawn

    def calibrated(self, latent: Floats, rows: NDArray[np.int64]) -> Floats:
        """Return what a lab would read where the latent value is this, `n x m`.

        Args:
            latent: `n x m`, measurement noise included where it is a measurement.
            rows: Question of each, length `n`.
        """
        stated, values = self.stated, np.empty(latent.shape)
        for j, g in enumerate(stated.calibration):
            location, scale = stated.location[rows, j], stated.scale[rows, j]
            values[:, j] = location + scale * g.forward(
                (latent[:, j] - location) / scale
            )
        return np.round(values / self.steps) * self.steps

    def noise(
        self, seeds: Sequence[int], rows: NDArray[np.int64], number: NDArray[np.int64]
    ) -> Floats:
        """Return what each measurement adds to its latent value, `n x m`.

        Args:
            seeds: World of each measurement, length `n`.
            rows: Its question, length `n`.
            number: Its replicate, length `n`.
        """
        asked = [
            (seed, self.keys[row], int(i))
            for seed, row, i in zip(seeds, rows, number, strict=True)
        ]
        drawn = [
            normals_from(
                digest_of(key, salt_of(f"measured|{seed}|{j}"), i)
                for seed, key, i in asked
            )
            for j in range(len(self.factors))
        ]
        return np.stack(drawn, axis=1) * self.stated.aleatoric[rows]

    def world(self, seed: int) -> "PoolWorld":
        """Return one of its worlds; it answers the questions of the pool only."""
        return PoolWorld(self, seed)


@dataclass(frozen=True)
class PoolWorld:
    """One world on the questions of a joint posterior; see `World`."""

    joint: JointPosterior = field(repr=False)
    seed: int

    @property
    def readouts(self) -> tuple[str, ...]:
        """Names of the readouts, length `m`."""
        return self.joint.stated.readouts

    def truth(self, questions: Questions) -> Floats:
        """Return the drawn function without replicate noise, `n x m`.

        Raises:
            NotFoundError: If a question is not of the pool.
        """
        rows = self._rows(questions)
        return self.joint.calibrated(self._latent[rows], rows)

    def outcome(self, questions: Questions, replicate: NDArray[np.int64]) -> Floats:
        """Measure each question once in this world, `n x m`.

        Raises:
            NotFoundError: If a question is not of the pool.
        """
        rows = self._rows(questions)
        noise = self.joint.noise([self.seed] * len(rows), rows, replicate)
        return self.joint.calibrated(self._latent[rows] + noise, rows)

    @cached_property
    def _latent(self) -> Floats:
        return self.joint.latent([self.seed])[0]

    def _rows(self, questions: Questions) -> NDArray[np.int64]:
        known = self.joint.row_of
        rows = [known.get(key, -1) for key in keys_of(questions)]
        if -1 in rows:
            raise NotFoundError(
                "A world on a pool answers the questions of its pool; got another, "
                f"{questions.row(rows.index(-1))}. Draw a world with `draw_world`."
            )
        return np.array(rows, dtype=np.int64)


def joint_posterior(marginals: Marginals, questions: Questions) -> JointPosterior:
    """Return the joint posterior of some questions; costs `m (q**3 + q n**2)`.

    Raises:
        InvalidInputError: If there are none, more than `MOST_QUESTIONS`, or a readout
            is pass/fail.
    """
    if not 0 < len(questions) <= MOST_QUESTIONS:
        raise InvalidInputError(
            f"A joint posterior has 1 to {MOST_QUESTIONS} questions; got "
            f"{len(questions)}. Take a part of the pool, or draw worlds with "
            "`draw_world`."
        )
    if any(marginals.passes):
        raise InvalidInputError(
            "A joint posterior is one of numbers; got a pass/fail readout. Draw worlds "
            "with `draw_world`."
        )
    factors = []
    for own in marginals.surrogates:
        inputs = own.encode(questions)
        with threads_for(len(questions)):
            covariance = own.covariance(inputs, inputs)
            half = cholesky(0.5 * (covariance + covariance.T))
        factors.append(own.scale * half.numpy())
    scales = np.array([abs(own.scale) for own in marginals.surrogates])
    with torch.no_grad():
        stated = marginals(questions)
    return JointPosterior(
        questions=questions,
        stated=stated,
        factors=tuple(factors),
        steps=RESOLUTION * scales,
    )
