"""What a model expects: marginal distributions in natural units.

Shapes: `q` questions, `m` readouts, `p` probabilities, `k` knots.

A marginal is `location + scale * g(Z)` with `Z` standard normal and `g` a strictly
increasing piecewise linear map, linear beyond its outermost knots: mean, quantile,
cdf and log density all come from this one definition.
"""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import Field, model_validator

from labwm.errors import InvalidInputError
from labwm.schema.record import Record
from labwm.schema.stock import is_none

Floats = NDArray[np.float64]


class CalibrationMap(Record):
    """Strictly increasing map from standard normal to calibrated scores.

    Beyond the outermost knots it goes on as a line of the slope `tail`: tails are
    Gaussian with `tail` times the stated scale.
    """

    z: tuple[float, ...] = (0.0,)
    r: tuple[float, ...] = (0.0,)
    tail: float = Field(default=1.0, gt=0)

    @model_validator(mode="after")
    def _is_strictly_increasing(self) -> "CalibrationMap":
        if len(self.z) != len(self.r) or not self.z:
            raise ValueError(
                f"a calibration map needs as many z as r, at least one; got "
                f"{len(self.z)} and {len(self.r)}"
            )
        if np.any(np.diff(self.z) <= 0) or np.any(np.diff(self.r) <= 0):
            raise ValueError("a calibration map must increase strictly in z and r")
        return self

    def forward(self, z: ArrayLike) -> Floats:
        """Map standard normal scores to calibrated scores, any shape."""
        return _piecewise(np.asarray(z, float), self.z, self.r, self.tail)

    def inverse(self, r: ArrayLike) -> Floats:
        """Map calibrated scores back to standard normal scores, any shape."""
        return _piecewise(np.asarray(r, float), self.r, self.z, 1.0 / self.tail)

    def slope(self, z: ArrayLike) -> Floats:
        """Return the derivative of `forward`; at a knot, that of the piece above."""
        z = np.asarray(z, float)
        slopes = np.concatenate(
            [[self.tail], np.diff(self.r) / np.diff(self.z), [self.tail]]
        )
        return slopes[np.searchsorted(np.asarray(self.z), z, side="right")]

    def moments(self) -> tuple[float, float]:
        """Return mean and standard deviation of `g(Z)`."""
        return _moments(self.z, self.r, self.tail)


@functools.lru_cache(maxsize=256)
def _moments(
    z: tuple[float, ...], r: tuple[float, ...], tail: float
) -> tuple[float, float]:
    # On each piece g is a line, so E[g] and E[g**2] are sums of truncated normal
    # moments: closed form, no quadrature error.
    from scipy.special import ndtr

    edges = np.concatenate([[-np.inf], z, [np.inf]])
    slopes = np.concatenate([[tail], np.diff(r) / np.diff(z), [tail]])
    anchors = np.concatenate([[0], np.arange(len(z))]).astype(int)
    offset = np.asarray(r)[anchors] - slopes * np.asarray(z)[anchors]
    mass = np.diff(ndtr(edges))
    density = np.exp(-0.5 * edges**2) / np.sqrt(2 * np.pi)
    first = -np.diff(density)
    finite = np.where(np.isfinite(edges), edges, 0.0)
    second = mass - np.diff(finite * density)
    mean = np.sum(offset * mass + slopes * first)
    square = np.sum(offset**2 * mass + 2 * offset * slopes * first + slopes**2 * second)
    return float(mean), float(np.sqrt(square - mean**2))


def _piecewise(
    x: Floats, knots: Sequence[float], values: Sequence[float], tail: float
) -> Floats:
    xs, ys = np.asarray(knots, float), np.asarray(values, float)
    inside = np.interp(x, xs, ys)
    below = np.minimum(x - xs[0], 0.0) * tail
    above = np.maximum(x - xs[-1], 0.0) * tail
    return inside + below + above


class PredictedReadout(Record):
    """One marginal of a prediction as a record: enough to score it later, exactly."""

    location: float
    epistemic: float = Field(ge=0)
    aleatoric: float = Field(ge=0)
    calibration: CalibrationMap = CalibrationMap()
    mean: float
    sd: float = Field(ge=0)
    low90: float
    high90: float
    unit: str | None = None
    is_vacuous: bool = False
    chance: float | None = Field(default=None, ge=0, le=1, exclude_if=is_none)
    """Probability of a pass, of a pass/fail readout: then that is its distribution.

    Left out where there is none: predictions of before it keep their digest."""


@dataclass(frozen=True)
class Prediction:
    """Marginal predictive distributions of measuring each question once.

    Attributes:
        readouts: Names, length `m`.
        units: UCUM-like unit of each readout, length `m`.
        location: Centre before calibration, `q x m`, in the readouts' units.
        epistemic: Standard deviation from not knowing the function, before
            calibration, `q x m`.
        aleatoric: Standard deviation of a replicate, before calibration, `q x m`.
        calibration: One map per readout, length `m`.
        is_vacuous: `q x m`; true where the model knows no more than its prior.
        is_split_identified: False where no replicates tell noise from ignorance.
        success: Probability that the experiment gives a value at all, length `q`; None
            where none is stated. The distributions are those of a success.
        chance: Probability of a pass, `q x m`, NaN for readouts that are numbers; None
            where all are. A pass/fail readout is 1 or 0: its quantiles, cdf and log
            probability come from its chance alone.
    """

    readouts: tuple[str, ...]
    units: tuple[str | None, ...]
    location: Floats
    epistemic: Floats
    aleatoric: Floats
    calibration: tuple[CalibrationMap, ...]
    is_vacuous: NDArray[np.bool_]
    is_split_identified: bool = False
    success: Floats | None = None
    chance: Floats | None = None

    def __post_init__(self) -> None:
        q, m = self.location.shape
        if self.chance is not None and self.chance.shape != (q, m):
            raise InvalidInputError(
                f"A chance is stated per question and readout, {q} x {m}; got the "
                f"shape {self.chance.shape}."
            )
        if self.success is not None and self.success.shape != (q,):
            raise InvalidInputError(
                f"A success probability is stated per question, {q} of them; got the "
                f"shape {self.success.shape}."
            )
        shapes = {
            "location": self.location.shape,
            "epistemic": self.epistemic.shape,
            "aleatoric": self.aleatoric.shape,
            "is_vacuous": self.is_vacuous.shape,
        }
        counts = (len(self.readouts), len(self.units), len(self.calibration))
        if set(shapes.values()) != {(q, m)} or set(counts) != {m}:
            raise InvalidInputError(
                f"The parts of a prediction share one shape q x m; got {shapes} and "
                f"{counts} names, units and maps. Pass arrays of one shape."
            )

    def __len__(self) -> int:
        return len(self.location)

    @property
    def scale(self) -> Floats:
        """Total standard deviation before calibration, `q x m`."""
        return np.hypot(self.epistemic, self.aleatoric)

    @property
    def mean(self) -> Floats:
        """Mean of the calibrated distribution, `q x m`."""
        return self._or_chance(
            self.location + self.scale * self._moments[0], lambda p: p
        )

    @property
    def sd(self) -> Floats:
        """Standard deviation of the calibrated distribution, `q x m`."""
        return self._or_chance(
            self.scale * self._moments[1], lambda p: np.sqrt(p * (1.0 - p))
        )

    def _or_chance(self, values: Floats, of: Callable[[Floats], Floats]) -> Floats:
        """Return `values`; of pass/fail readouts, a function of their chance."""
        if self.chance is None:
            return values
        return np.where(np.isnan(self.chance), values, of(self.chance))

    @property
    def epistemic_sd(self) -> Floats:
        """Part of `sd` that more measurements can remove, `q x m`."""
        return self.epistemic * self._moments[1]

    @property
    def aleatoric_sd(self) -> Floats:
        """Part of `sd` that replicates scatter by, `q x m`."""
        return self.aleatoric * self._moments[1]

    @property
    def _moments(self) -> Floats:
        return np.array([g.moments() for g in self.calibration]).reshape(-1, 2).T

    def quantile(self, probability: float) -> Floats:
        """Return the value below which the outcome stays with `probability`, `q x m`.

        Raises:
            InvalidInputError: If the probability is not strictly between 0 and 1.
        """
        if not 0 < probability < 1:
            raise InvalidInputError(
                f"A probability lies strictly between 0 and 1; got {probability}."
            )
        from scipy.special import ndtri

        z = float(ndtri(probability))
        values = self.location + self.scale * np.array(
            [float(g.forward(z)) for g in self.calibration]
        )
        return self._or_chance(values, lambda p: (probability > 1.0 - p).astype(float))

    def interval(self, level: float) -> tuple[Floats, Floats]:
        """Return the central interval that holds a share `level` of outcomes."""
        return self.quantile((1 - level) / 2), self.quantile((1 + level) / 2)

    def cdf(self, y: ArrayLike) -> Floats:
        """Return P(outcome <= y), `q x m`; `y` is `q x m`."""
        from scipy.special import ndtr

        values = np.asarray(y, float)

        def step(p: Floats) -> Floats:
            return np.where(values < 0.0, 0.0, np.where(values < 1.0, 1.0 - p, 1.0))

        return self._or_chance(ndtr(self._normal_score(y)), step)

    def log_density(self, y: ArrayLike) -> Floats:
        """Return the log density at `y`, `q x m`, per unit of the readout.

        Of a pass/fail readout it is the log probability of `y`.
        """
        z = self._normal_score(y)
        slope = np.stack(
            [g.slope(z[:, j]) for j, g in enumerate(self.calibration)], axis=1
        )
        values = np.asarray(y, float)

        def mass(p: Floats) -> Floats:
            with np.errstate(divide="ignore"):
                return np.log(np.where(values == 1.0, p, (values == 0.0) * (1.0 - p)))

        density = -0.5 * (z**2 + np.log(2 * np.pi)) - np.log(slope * self.scale)
        return self._or_chance(density, mass)

    def _normal_score(self, y: ArrayLike) -> Floats:
        r = (np.asarray(y, float) - self.location) / self.scale
        return np.stack(
            [g.inverse(r[:, j]) for j, g in enumerate(self.calibration)], axis=1
        )

    def take(self, rows: ArrayLike) -> "Prediction":
        """Return the prediction of some of the questions."""
        index = np.asarray(rows)
        return Prediction(
            readouts=self.readouts,
            units=self.units,
            location=self.location[index],
            epistemic=self.epistemic[index],
            aleatoric=self.aleatoric[index],
            calibration=self.calibration,
            is_vacuous=self.is_vacuous[index],
            is_split_identified=self.is_split_identified,
            success=None if self.success is None else self.success[index],
            chance=None if self.chance is None else self.chance[index],
        )

    def _chance_of(self, i: int, j: int) -> float | None:
        if self.chance is None or np.isnan(self.chance[i, j]):
            return None
        return float(self.chance[i, j])

    def records(self) -> list[dict[str, PredictedReadout]]:
        """Return one record per question, keyed by readout."""
        low, high = self.interval(0.9)
        mean, sd = self.mean, self.sd
        return [
            {
                name: PredictedReadout(
                    location=float(self.location[i, j]),
                    epistemic=float(self.epistemic[i, j]),
                    aleatoric=float(self.aleatoric[i, j]),
                    calibration=self.calibration[j],
                    mean=float(mean[i, j]),
                    sd=float(sd[i, j]),
                    low90=float(low[i, j]),
                    high90=float(high[i, j]),
                    unit=self.units[j],
                    is_vacuous=bool(self.is_vacuous[i, j]),
                    chance=self._chance_of(i, j),
                )
                for j, name in enumerate(self.readouts)
            }
            for i in range(len(self))
        ]


def prediction_of(records: Sequence[dict[str, PredictedReadout]]) -> Prediction:
    """Return the prediction that `Prediction.records` wrote.

    Raises:
        InvalidInputError: If there are none, they name different readouts, or they were
            calibrated differently: then they come from different models.
    """
    if not records or any(set(record) != set(records[0]) for record in records):
        raise InvalidInputError(
            "Stored predictions to be read together need the same readouts; got "
            f"{[sorted(record) for record in records[:3]]}."
        )
    names = tuple(records[0])
    for name in names:
        if len({record[name].calibration.digest() for record in records}) > 1:
            raise InvalidInputError(
                "Predictions of one model share one calibration; got several for "
                f"{name!r}. Read predictions of different models one by one."
            )

    def column(field: str) -> Floats:
        return np.array(
            [[getattr(record[name], field) for name in names] for record in records],
            dtype=float,
        )

    return Prediction(
        readouts=names,
        units=tuple(records[0][name].unit for name in names),
        location=column("location"),
        epistemic=column("epistemic"),
        aleatoric=column("aleatoric"),
        calibration=tuple(records[0][name].calibration for name in names),
        is_vacuous=column("is_vacuous").astype(bool),
        chance=None if np.isnan(chance := column("chance")).all() else chance,
    )
