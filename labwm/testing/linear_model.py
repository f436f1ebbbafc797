"""A world model small enough to be known exactly: Bayesian linear regression."""

import hashlib
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

import labwm
from labwm.schema import CalibrationMap, ModelCard, Prediction, Protocol
from labwm.space.questions import Observations, Questions

Floats = NDArray[np.float64]


def fit_linear(
    observations: Observations, protocol: Protocol, seed: int = 0
) -> "LinearModel":
    """Return the posterior of a line with a wide prior and noise of known size.

    The numeric conditions are the features. It has no hyperparameters to fit.
    """
    del seed  # nothing in it is random
    m = len(protocol.readout_names)
    names = [n for n, c in observations.questions.columns.items() if c.dtype != object]
    d = len(names) + 1
    empty = LinearModel(
        protocol=protocol,
        names=tuple(names),
        precision=np.eye(d) * 1e-4,
        moment=np.zeros((d, m)),
        noise_sd=1.0,
        n_rows=0,
    )
    return empty.condition_on(observations)


@dataclass(frozen=True)
class LinearModel:
    """A `WorldModel`: `y = w . x + noise` in each readout, `w` Gaussian."""

    protocol: Protocol
    names: tuple[str, ...]
    precision: Floats
    moment: Floats
    noise_sd: float
    n_rows: int

    @property
    def card(self) -> ModelCard:
        """Say what it is."""
        return ModelCard(
            recipe="linear",
            labwm_version=labwm.__version__,
            protocol_name=self.protocol.name,
            protocol_version=self.protocol.version,
            readouts=self.protocol.readout_names,
            units=tuple(readout.unit for readout in self.protocol.readouts),
            n_rows=self.n_rows,
            data_sha256="0" * 64,
        )

    @property
    def weights(self) -> Floats:
        """Posterior mean of the weights, `d x m`."""
        return np.asarray(np.linalg.solve(self.precision, self.moment), dtype=float)

    def features(self, questions: Questions) -> Floats:
        """Return the numeric conditions and a one, `q x d`."""
        columns = [np.asarray(questions.columns[n], float) for n in self.names]
        return np.column_stack([np.ones(len(questions)), *columns])

    def predict(self, questions: Questions) -> Prediction:
        """Predict the outcome of measuring each question once, noise included."""
        x = self.features(questions)
        location = x @ self.weights
        sd = np.sqrt(np.sum(x * np.linalg.solve(self.precision, x.T).T, axis=1))
        return Prediction(
            readouts=self.protocol.readout_names,
            units=self.card.units,
            location=location,
            epistemic=np.broadcast_to(sd[:, None], location.shape).copy(),
            aleatoric=np.full(location.shape, self.noise_sd),
            calibration=(CalibrationMap(),) * location.shape[1],
            is_vacuous=np.zeros(location.shape, dtype=bool),
        )

    def draw_world(self, seed: int) -> "LinearWorld":
        """Draw the weights once."""
        rng = np.random.default_rng(seed)
        factor = np.linalg.cholesky(np.linalg.inv(self.precision))
        weights = self.weights + factor @ rng.standard_normal(self.moment.shape)
        return LinearWorld(self, weights, seed)

    def condition_on(self, observations: Observations) -> "LinearModel":
        """Return the posterior after more rows; rows with a missing value are left."""
        x, y = self.features(observations.questions), observations.values
        is_whole = np.all(np.isfinite(y), axis=1)
        x, y = x[is_whole] / self.noise_sd, y[is_whole] / self.noise_sd
        return replace(
            self,
            precision=self.precision + x.T @ x,
            moment=self.moment + x.T @ y,
            n_rows=self.n_rows + len(x),
        )

    def support(self, questions: Questions) -> Floats:
        """Return 1 everywhere."""
        return np.ones(len(questions))


@dataclass(frozen=True)
class LinearWorld:
    """A `World`: one draw of the weights, and noise keyed by question and replicate."""

    model: LinearModel
    weights: Floats
    seed: int

    @property
    def readouts(self) -> tuple[str, ...]:
        """Names of the readouts."""
        return self.model.protocol.readout_names

    def truth(self, questions: Questions) -> Floats:
        """Return the drawn line."""
        return self.model.features(questions) @ self.weights

    def outcome(self, questions: Questions, replicate: NDArray[np.int64]) -> Floats:
        """Measure each question once."""
        noise = [
            self._noise(key, int(number))
            for key, number in zip(questions.keys(), replicate, strict=True)
        ]
        return self.truth(questions) + self.model.noise_sd * np.array(noise)

    def _noise(self, key: bytes, number: int) -> Floats:
        digest = hashlib.sha256(f"{self.seed}/{number}/".encode() + key).digest()
        rng = np.random.default_rng(int.from_bytes(digest[:8]))
        return rng.standard_normal(len(self.readouts))
