"""A model of curves: what a curve will do, from its conditions and its first reads.

Shapes: `q` questions, `t` times, `G` knots.
"""

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from labwm.errors import InvalidInputError
from labwm.schema import Prediction
from labwm.space.curves import NO_READS, Reads
from labwm.space.questions import Questions
from labwm.world_model.contract import World
from labwm.world_model.dynamics.expectation import Expectation, Roughness
from labwm.world_model.dynamics.process import Process, root_of
from labwm.world_model.dynamics.stretch import Stretch
from labwm.world_model.world import keyed_normals

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class CurveCard:
    """What a model of curves is and learnt from.

    Attributes:
        readout: Which one it predicts.
        unit: Of the readout.
        time_unit: Of the time.
        n_curves, n_conditions, n_reads: What it learnt from.
        base: `mean curve`, or the name of the parametric family.
        scores: Loss of forecasts of curves that were left out, by base; less is better.
        rough: What curves do beyond their principal functions.
        n_shapes: Principal functions.
        data_sha256: Digest of the curves.
        notes: What else a reader should know.
    """

    readout: str
    unit: str | None
    time_unit: str | None
    n_curves: int
    n_conditions: int
    n_reads: int
    base: str
    scores: dict[str, float]
    rough: Roughness
    n_shapes: int
    data_sha256: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Calibrations:
    """What intervals need, learnt from forecasts of curves that were left out.

    Attributes:
        unread: Before a curve's first read.
        read: After some.
    """

    unread: Stretch
    read: Stretch


@dataclass(frozen=True)
class CurveModel:
    """A posterior over curves of one readout.

    Attributes:
        card: What it is and learnt from.
        expectation: Curves by their conditions.
        calibrations: Of the marginals.
        distances: Squared distance per read of each curve learnt from, from what the
            others expect of it, ascending.
    """

    card: CurveCard
    expectation: Expectation = field(repr=False)
    calibrations: Calibrations = field(repr=False)
    distances: Floats = field(repr=False)

    def forecasts(self, questions: Questions) -> list["CurveForecast"]:
        """Return what is expected of a curve at each question's conditions.

        Raises:
            SpaceError: If a condition that the protocol declares is absent.
        """
        keys = questions.keys()
        return [
            CurveForecast(self, key, own := prior.process(self.card.rough), own)
            for key, prior in zip(keys, self.expectation.of(questions), strict=True)
        ]

    def draw_world(self, seed: int) -> "CurveWorld":
        """Draw one world: a curve for all conditions and replicates, consistently."""
        return CurveWorld(self, seed, self.expectation.model.draw_world(seed))

    def support(self, questions: Questions) -> Floats:
        """Return how close conditions are to those learnt from, in [0, 1], `q`."""
        return self.expectation.model.support(questions)


@dataclass(frozen=True)
class CurveForecast:
    """One curve: before its first read, or given some of them.

    Attributes:
        model: That it comes from.
        key: Of its conditions.
        prior: Before any read.
        process: Given the reads.
        reads: That were taken.
    """

    model: CurveModel = field(repr=False)
    key: bytes
    prior: Process = field(repr=False)
    process: Process = field(repr=False)
    reads: Reads = NO_READS

    def condition_on(self, reads: Reads) -> "CurveForecast":
        """Return the forecast after all of these reads, earlier ones not counted."""
        return replace(self, process=self.prior.after(reads), reads=reads)

    def predict(self, times: ArrayLike) -> Prediction:
        """Predict a read at each time, `t x 1`, noise included.

        Beyond the last time that was learnt from, a curve stays where it is and the
        prediction is vacuous.

        Raises:
            InvalidInputError: If a time is negative or no number.
        """
        time = np.asarray(times, dtype=float).reshape(-1)
        if len(bad := time[~(np.isfinite(time) & (time >= 0.0))]):
            raise InvalidInputError(
                f"A curve is asked about at times of 0 or more; got {bad[0]:g}. Count "
                "from its start."
            )
        mean, variance = self.process.at(time)
        card, knots, stretch = self.model.card, self.process.knots, self._stretch
        last = self.reads.time[-1] if len(self.reads) else knots.at[0]
        factor = stretch.at((time - last) / knots.span)
        end = knots.at[-1]
        return Prediction(
            readouts=(card.readout,),
            units=(card.unit,),
            location=mean[:, None],
            epistemic=(factor * np.sqrt(variance))[:, None],
            aleatoric=(factor * np.sqrt(self.process.noise))[:, None],
            calibration=(stretch.calibration,),
            is_vacuous=(time > end * (1.0 + 1e-9))[:, None],
        )

    def draw(self, seed: int) -> "DrawnCurve":
        """Draw one curve; its reads follow what `predict` states."""
        rows = np.arange(len(self.process.knots))
        keys = [self.key] * len(rows)
        normal = keyed_normals(keys, f"curve|{seed}", rows)
        return DrawnCurve(self, seed, self.process.draw(normal[None])[0])

    def surprise(self, reads: Reads) -> "Surprise":
        """Return how odd reads are, all together, for a curve at these conditions.

        They are compared with what was expected before any of them.
        """
        distance = self.prior.distance(reads) / len(reads)
        known = self.model.distances
        n_above = len(known) - int(np.searchsorted(known, distance))
        return Surprise(distance, (1 + n_above) / (1 + len(known)))

    @property
    def _stretch(self) -> Stretch:
        maps = self.model.calibrations
        return maps.read if len(self.reads) else maps.unread


@dataclass(frozen=True)
class Surprise:
    """How odd a curve is.

    Attributes:
        distance: Squared distance per read from what its conditions let expect, in
            stated variances; about 1 where the model is right.
        chance: Share of curves like those learnt from that are at least as odd: a
            conformal p-value, at least one part in their number.
    """

    distance: float
    chance: float


@dataclass(frozen=True)
class CurveWorld:
    """One consistent draw over all conditions; pure in (seed, conditions, replicate).

    Replicates of the same conditions share what depends on the conditions.

    Attributes:
        model: That it was drawn from.
        seed: Of the draw.
        scores: The drawn world of the curves' scores.
    """

    model: CurveModel = field(repr=False)
    seed: int
    scores: World = field(repr=False)

    def curves(
        self, questions: Questions, replicate: NDArray[np.int64]
    ) -> list["DrawnCurve"]:
        """Return the curve of each question's conditions, `q` of them.

        Args:
            questions: `q` rows.
            replicate: Replicate number of each row, length `q`.
        """
        own, rough = self.model.expectation, self.model.card.rough
        said = own.model.predict(questions)
        drawn = self.scores.outcome(questions, replicate)
        normal = ((drawn - said.location) / said.scale)[:, :-1]
        scores = normal @ root_of(own.shrunk_correlation).T
        beyond = root_of(own.knots.kernel(rough.length))
        knots = np.arange(len(own.knots))
        found = []
        keys = questions.keys()
        for i, prior in enumerate(own.of(questions)):
            process = prior.process(rough)
            forecast = CurveForecast(self.model, keys[i], process, process)
            salt = f"curve|{self.seed}|{int(replicate[i])}"
            loose = keyed_normals([forecast.key] * len(knots), salt, knots)
            values = prior.mean + own.principal.shapes @ (prior.spread * scores[i])
            values = values + np.sqrt(prior.level(rough)) * (beyond @ loose)
            found.append(DrawnCurve(forecast, self.seed, values))
        return found


@dataclass(frozen=True)
class DrawnCurve:
    """One curve drawn from a forecast: pure in (seed, conditions, time, replicate).

    Attributes:
        forecast: That it was drawn from.
        seed: Of the draw.
        values: Before calibration, at the knots, `G`.
    """

    forecast: CurveForecast = field(repr=False)
    seed: int
    values: Floats = field(repr=False)

    def truth(self, times: ArrayLike) -> Floats:
        """Return the drawn function without the noise of reads, `t`."""
        return self._calibrated(np.asarray(times, dtype=float).reshape(-1), 0.0)

    def outcome(self, times: ArrayLike, replicate: int = 0) -> Floats:
        """Read the curve at times, `t`: the same time and number give the same."""
        time = np.asarray(times, dtype=float).reshape(-1)
        keys = [self.forecast.key + b"@" + np.float64(at).tobytes() for at in time]
        normal = keyed_normals(keys, f"read|{self.seed}", [replicate] * len(time))
        return self._calibrated(time, np.sqrt(self.forecast.process.noise) * normal)

    def _calibrated(self, time: Floats, noise: float | Floats) -> Floats:
        # The same monotone map as the marginal: y = location + scale * g(z).
        said = self.forecast.predict(time)
        process = self.forecast.process
        mean, variance = process.at(time)
        latent = process.knots.weights(time) @ self.values + noise
        z = (latent - mean) / np.sqrt(variance + process.noise)
        return said.location[:, 0] + said.scale[:, 0] * said.calibration[0].forward(z)
