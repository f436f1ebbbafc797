"""What a model said of rows that it did not see, beside what was measured.

Shapes: `q` rows asked about, `d` features.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from labwm import scores
from labwm.evaluation.baselines import Marginal

Floats = NDArray[np.float64]

LEVEL = 0.9
N_LEVELS = 200


@dataclass(frozen=True)
class Forecasts:
    """Predictive distributions where they meet what was measured, length `q` each.

    Attributes:
        y: Measured.
        mean: Of the predictive distribution.
        sd: Of the predictive distribution.
        low: Lower end of the central 90 % interval.
        high: Upper end of it.
        log_density: At `y`.
        cdf: At `y`.
        crps: Of each row.
        expected_loss: Negative log density that the model itself expects.
        support: Closeness to the data, in [0, 1]; NaN where the model states none.
        is_vacuous: Does the model say that it knows no more than its prior?
        features: `q x d`, where the rows lie; for slabs.
    """

    y: Floats
    mean: Floats
    sd: Floats
    low: Floats
    high: Floats
    log_density: Floats
    cdf: Floats
    crps: Floats
    expected_loss: Floats
    support: Floats
    is_vacuous: NDArray[np.bool_]
    features: Floats

    def __len__(self) -> int:
        return len(self.y)

    @property
    def is_inside(self) -> NDArray[np.bool_]:
        """Did the central 90 % interval hold what was measured?"""
        return np.asarray((self.low <= self.y) & (self.y <= self.high))

    def take(self, rows: NDArray[np.int64]) -> "Forecasts":
        """Return some of the rows."""
        return Forecasts(*(getattr(self, f.name)[rows] for f in fields(self)))


def joined(parts: Sequence[Forecasts]) -> Forecasts:
    """Return the rows of several splits, one after another."""
    return Forecasts(
        *(
            np.concatenate([getattr(part, f.name) for part in parts])
            for f in fields(Forecasts)
        )
    )


def forecasts_of(y: Floats, marginal: Marginal, features: Floats) -> Forecasts:
    """Evaluate predictive distributions at what was measured."""
    low, high = (marginal.quantile((1 + side * LEVEL) / 2) for side in (-1, 1))
    return Forecasts(
        y=y,
        mean=marginal.mean,
        sd=marginal.sd,
        low=low,
        high=high,
        log_density=marginal.log_density(y),
        cdf=marginal.cdf(y),
        crps=scores.crps(y, marginal.quantile, n_levels=N_LEVELS),
        expected_loss=_expected_loss(marginal),
        support=np.full(len(y), np.nan) if marginal.support is None
        else marginal.support,
        is_vacuous=np.zeros(len(y), dtype=bool) if marginal.is_vacuous is None
        else marginal.is_vacuous,
        features=features,
    )  # fmt: skip


def scored(said: Forecasts, y_train: Floats) -> dict[str, float]:
    """Return every score of one split, by the metric's name."""
    y, sd = said.y, float(y_train.std(ddof=1))
    nlpd = scores.nlpd(said.log_density)
    errors = np.abs(y - said.mean)
    return {
        "rmse": scores.rmse(y, said.mean),
        "mae": scores.mae(y, said.mean),
        "r2": scores.r2(y, said.mean),
        "spearman": scores.spearman(y, said.mean),
        "nlpd": nlpd,
        "nlpd_standardised": nlpd - np.log(sd) if sd > 0 else np.nan,
        "nlpd_expected": float(np.mean(said.expected_loss)),
        "msll": scores.msll(said.log_density, y, y_train) if sd > 0 else np.nan,
        "crps": float(np.mean(said.crps)),
        "crpss": scores.crpss(said.crps, y, y_train),
        "coverage90": scores.coverage(y, said.low, said.high),
        "width90": float(np.mean(said.high - said.low)),
        "interval_score90": float(
            np.mean(scores.interval_score(y, said.low, said.high, level=LEVEL))
        ),
        "vacuous_share": float(np.mean(said.is_vacuous)),
        "sharpness": scores.sharpness(said.sd),
        "dispersion": scores.dispersion(said.sd),
        "miscalibration_area": scores.miscalibration_area(said.cdf),
        "pit_distance": scores.pit_distance(said.cdf),
        "ence": scores.ence(y, said.mean, said.sd),
        "error_sd_spearman": scores.spearman(errors, said.sd),
        "error_sd_spearman_expected": _expected_rank_correlation(said.sd),
    }


def pooled(splits: Sequence[Forecasts]) -> dict[str, float]:
    """Return the scores that need many rows, of all splits' rows together."""
    said = joined(splits)
    found = {
        "pooled_coverage90": float(np.mean(said.is_inside)),
        "pooled_miscalibration_area": scores.miscalibration_area(said.cdf),
        "pooled_worst_slab_coverage90": scores.worst_slab_coverage(
            said.features, said.is_inside
        ),
        "pooled_adversarial_miscalibration": scores.adversarial_miscalibration(
            said.cdf
        ),
    }
    for name, rows in _by_support(said.support):
        found[f"pooled_coverage90_{name}_support"] = (
            float(np.mean(said.is_inside[rows])) if len(rows) else np.nan
        )
    return found


def _by_support(support: Floats) -> list[tuple[str, NDArray[np.int64]]]:
    order = np.argsort(support, kind="stable")[: int(np.sum(~np.isnan(support)))]
    low, middle, high = np.array_split(order, 3)
    return [("low", low), ("middle", middle), ("high", high)]


def _expected_loss(marginal: Marginal) -> Floats:
    # E[-log p(Y)] of Y drawn from the prediction itself, by the midpoint rule.
    levels = (np.arange(40) + 0.5) / 40
    losses = [-marginal.log_density(marginal.quantile(float(p))) for p in levels]
    return np.mean(losses, axis=0)


def _expected_rank_correlation(sd: Floats, *, n_draws: int = 50) -> float:
    # Rasmussen et al., J. Cheminf. 15, 121 (2023): what an honest model would get.
    rng = np.random.default_rng(0)
    drawn = [scores.spearman(sd * np.abs(rng.normal(size=len(sd))), sd)
             for _ in range(n_draws)]  # fmt: skip
    return float(np.mean(drawn))
