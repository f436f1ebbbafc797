"""Left-out scores of a fitted readout for its model card.

Shapes: `v` values.
"""

import numpy as np

from labwm import scores
from labwm.schema import CalibrationMap, Metric, Prediction, Readout
from labwm.world_model.leave_one_out import LeftOut

N_LEVELS = 100


def left_out_metrics(
    readout: Readout, left_out: LeftOut, calibration: CalibrationMap
) -> tuple[Metric, ...]:
    """Score the calibrated left-out predictions, replicates one by one.

    The calibration saw every row, and past `cross_fit.MAX_ROWS` so did the
    hyperparameters: a back-test scores what was not seen.
    """
    prediction = as_prediction(readout, left_out, calibration)
    y = left_out.values
    mean = prediction.mean[:, 0]
    low, high = prediction.interval(0.9)
    cdf = prediction.cdf(y[:, None])[:, 0]

    def quantile(level: float) -> np.ndarray:
        return prediction.quantile(level)[:, 0]

    log_density = prediction.log_density(y[:, None])[:, 0]
    crps = scores.crps(y, quantile, n_levels=N_LEVELS)
    is_inside = (low[:, 0] <= y) & (y <= high[:, 0])
    squares = _mean_interval((y - mean) ** 2)
    intervals = {
        "nlpd": _mean_interval(-log_density),
        "crps": _mean_interval(crps),
        "coverage90": scores.share_interval(int(is_inside.sum()), len(y)),
        "rmse": (squares[0] ** 0.5, squares[1] ** 0.5),
    }
    values = {
        "nlpd": scores.nlpd(log_density),
        "crps": float(np.mean(crps)),
        "coverage90": scores.coverage(y, low[:, 0], high[:, 0]),
        "rmse": scores.rmse(y, mean),
        "r2": scores.r2(y, mean),
        "miscalibration_area": scores.miscalibration_area(cdf),
    }
    return tuple(
        Metric(
            readout=readout.name,
            name=name,
            value=value,
            low=low,
            high=high,
            n=len(y),
            how=left_out.how,
        )
        for name, value in values.items()
        for low, high in [intervals.get(name, (None, None))]
        if np.isfinite(value)
    )


def _mean_interval(values: np.ndarray) -> tuple[float, float]:
    """Return the 95 % interval of a mean, from the scatter of its values.

    Values that share a model depend on each other: it is the narrower for that.
    """
    half = 1.96 * float(np.std(values)) / len(values) ** 0.5
    mean = float(np.mean(values))
    is_square = bool(np.all(values >= 0))
    return max(mean - half, 0.0) if is_square else mean - half, mean + half


def as_prediction(
    readout: Readout, left_out: LeftOut, calibration: CalibrationMap
) -> Prediction:
    """Return the left-out predictions as one prediction of `v` questions."""
    return Prediction(
        readouts=(readout.name,),
        units=(readout.unit,),
        location=left_out.location[:, None],
        epistemic=left_out.epistemic[:, None],
        aleatoric=left_out.aleatoric[:, None],
        calibration=(calibration,),
        is_vacuous=np.zeros((len(left_out.values), 1), dtype=bool),
    )
