"""A world: one function drawn from the posterior, and measurements made in it.

Shapes: `q` questions, `m` readouts, `n` rows learnt from.

The posterior draw is pathwise (Matheron): a prior draw, corrected by what it and the
data differ by. Every random number is keyed by the seed and the question, none by the
order of calls.

Reference:
    Wilson et al., Pathwise Conditioning of Gaussian Processes, JMLR 22 (2021) 105.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri
from torch import Tensor

from labwm.schema import Prediction
from labwm.space.questions import Questions
from labwm.world_model.full_scale import FullScaleSurrogate
from labwm.world_model.full_scale_draw import FullScalePath, draw_full_scale
from labwm.world_model.linear_algebra import threads_for
from labwm.world_model.marginals import Marginals
from labwm.world_model.prior_draw import PriorDraw, draw_prior
from labwm.world_model.surrogate import Surrogate, blocks

Floats = NDArray[np.float64]

RESOLUTION: Final = 1e-9
"""Values are rounded to this part of the readout's scale: matrix products of other
shapes differ in their last digits, and one question has one answer."""


@dataclass(frozen=True)
class Path:
    """One readout's latent function in standardised units."""

    surrogate: Surrogate
    prior: PriorDraw
    correction: Tensor

    def __call__(self, questions: Questions) -> tuple[Floats, Floats]:
        """Return the function and a measurement's noise sd, length `q` each."""
        own = self.surrogate
        inputs = own.encode(questions)
        empty = torch.empty(0, dtype=torch.float64)
        parts, means = [empty], [empty]
        with threads_for(len(self.correction)):
            for part in blocks(inputs):
                cross = own.kernel.matrix(part, own.inputs)
                parts.append(self.prior(part) + cross @ self.correction)
                means.append(cross @ own.weights)
        drawn = own.location + own.scale * torch.cat(parts).numpy()
        noise = own.noise_at(torch.cat(means)).sqrt().numpy()
        return drawn, abs(own.scale) * noise


def draw_path(
    surrogate: Surrogate | FullScaleSurrogate,
    keys: Sequence[bytes],
    seed: int,
    j: int,
) -> Path | FullScalePath:
    """Draw the function of readout `j`; `keys` name the rows learnt from."""
    normals = keyed_normals(keys, f"learnt|{seed}|{j}", _occurrences(keys))
    if isinstance(surrogate, FullScaleSurrogate):
        return draw_full_scale(surrogate, normals, (seed, j))
    noise = torch.from_numpy(normals)
    with threads_for(len(keys)):
        prior = draw_prior(surrogate.kernel, surrogate.inputs, (seed, j))
        simulated = prior(surrogate.inputs) + surrogate.noise.sqrt() * noise
        missing = (surrogate.targets - simulated)[:, None]
        correction = torch.cholesky_solve(missing, surrogate.factor)[:, 0]
    return Path(surrogate, prior, correction)


@dataclass(frozen=True)
class PassDraw:
    """One drawn pass/fail readout: a latent path, or one chance for all.

    Attributes:
        path: Latent function; unit noise above zero is a pass.
        chance: Probability of a pass where there is no path.
    """

    path: Path | FullScalePath | None
    chance: float

    def truth(self, questions: Questions) -> Floats:
        """Return the probability of a pass in this world, length `q`."""
        if self.path is None:
            return np.full(len(questions), self.chance)
        return ndtr(self.path(questions)[0])

    def outcome(self, questions: Questions, noise: Floats) -> Floats:
        """Return 1 for a pass and 0 for a fail, length `q`, given standard normals."""
        latent = (
            np.full(len(questions), ndtri(self.chance))
            if self.path is None
            else self.path(questions)[0]
        )
        return (latent + noise > 0.0).astype(float)


@dataclass(frozen=True)
class GaussianProcessWorld:
    """One world; its outcomes follow what `predict` states.

    Attributes:
        seed: Names the world.
        paths: Latent function of each readout, length `m`.
        predict: The posterior that the world was drawn from.
        passes: Draws of the readouts that are pass/fail, by their place.
    """

    seed: int
    paths: tuple[Path | FullScalePath, ...]
    predict: Marginals
    passes: Mapping[int, PassDraw]

    @property
    def readouts(self) -> tuple[str, ...]:
        """Names of the readouts, length `m`."""
        return self.predict.readouts

    def truth(self, questions: Questions) -> Floats:
        """Return the drawn function without replicate noise, `q x m`."""
        values = self._calibrated(self.predict(questions), self._latent(questions)[0])
        for j, own in self.passes.items():
            values[:, j] = own.truth(questions)
        return values

    def outcome(self, questions: Questions, replicate: NDArray[np.int64]) -> Floats:
        """Measure each question once in this world, `q x m`.

        Args:
            questions: `q` rows.
            replicate: Replicate number of each row, length `q`.
        """
        latent, noise_sd = self._latent(questions)
        keys = keys_of(questions)
        for j in range(len(self.paths)):
            noise = keyed_normals(keys, f"measured|{self.seed}|{j}", replicate)
            latent[:, j] += noise_sd[:, j] * noise
        values = self._calibrated(self.predict(questions), latent)
        for j, own in self.passes.items():
            noise = keyed_normals(keys, f"passed|{self.seed}|{j}", replicate)
            values[:, j] = own.outcome(questions, noise)
        return values

    def _latent(self, questions: Questions) -> tuple[Floats, Floats]:
        drawn = [path(questions) for path in self.paths]
        values, noises = zip(*drawn, strict=True)
        return np.stack(values, axis=1), np.stack(noises, axis=1)

    def _calibrated(self, stated: Prediction, latent: Floats) -> Floats:
        # The same monotone map as the marginal: y = location + scale * g(z).
        z = (latent - stated.location) / stated.scale
        values = np.stack(
            [g.forward(z[:, j]) for j, g in enumerate(stated.calibration)], axis=1
        )
        steps = RESOLUTION * np.array(
            [abs(path.surrogate.scale) for path in self.paths]
        )
        return np.round((stated.location + stated.scale * values) / steps) * steps


def keys_of(questions: Questions) -> list[bytes]:
    """Return one canonical byte string per row, its time included."""
    keys = questions.keys()
    if questions.time is None:
        return keys
    return [
        key + b"@" + np.float64(t).tobytes()
        for key, t in zip(keys, questions.time, strict=True)
    ]


def keyed_normals(
    keys: Sequence[bytes], salt: str, number: Sequence[int] | NDArray[np.int64]
) -> Floats:
    """Return standard normals that depend on salt, key and number alone."""
    own = salt_of(salt)
    return normals_from(
        digest_of(k, own, int(i)) for k, i in zip(keys, number, strict=True)
    )


@lru_cache(maxsize=8192)
def salt_of(text: str) -> bytes:
    """Return what `digest_of` mixes in for a purpose, such as one world's noise."""
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


def digest_of(key: bytes, salt: bytes, number: int) -> bytes:
    """Return eight bytes that depend on key, salt and number alone."""
    counted = number.to_bytes(8, "little")
    return hashlib.blake2b(key, digest_size=8, key=salt, salt=counted).digest()


def normals_from(digests: Iterable[bytes]) -> Floats:
    """Return one standard normal per digest of eight bytes."""
    bits = np.frombuffer(b"".join(digests), dtype="<u8") >> np.uint64(11)
    return ndtri((bits.astype(float) + 0.5) / 2.0**53)


def _occurrences(keys: Sequence[bytes]) -> list[int]:
    met: Counter[bytes] = Counter()
    numbers = []
    for key in keys:
        numbers.append(met[key])
        met[key] += 1
    return numbers
