"""Errors that are far larger in one region than in another.

A stationary process is as uncertain where nothing ever happens as where everything
does. Where left-out errors say that this is wrong, the posterior of `full_scale`, whose
deviations follow their neighbourhood, is fitted beside the exact one, and the one under
which left-out values are likelier is kept: record 13. Shapes: `n` rows, `v` values.
"""

from typing import Final

import numpy as np

from labwm.schema import Readout
from labwm.world_model.calibration import fit_calibration
from labwm.world_model.leave_one_out import LeftOut
from labwm.world_model.report import as_prediction

MIN_ROWS: Final = 1000
"""With fewer rows a neighbourhood tells less than all rows do."""
N_REGIONS: Final = 10
UNEVEN: Final = 3.0
"""Ratio of typical standardised errors of two regions; equal noise gives about 1.3."""
MARGIN: Final = 0.02
"""Nats per left-out value that the other posterior must gain."""


def is_uneven(left_out: LeftOut) -> bool:
    """Tell whether errors are far larger where some values are expected than others.

    Values are put into ten regions by what was expected; of the typical errors the
    second largest and the second smallest are compared.
    """
    errors = np.abs(left_out.residuals[np.argsort(left_out.location, kind="stable")])
    if len(errors) < MIN_ROWS:
        return False
    sizes = np.sort([np.sqrt(np.mean(e**2)) for e in np.array_split(errors, N_REGIONS)])
    return bool(sizes[-2] > UNEVEN * sizes[1])


def calibrated_loss(readout: Readout, left_out: LeftOut) -> float:
    """Return the mean negative log density of left-out values after calibration."""
    calibration = fit_calibration(left_out.residuals)
    stated = as_prediction(readout, left_out, calibration)
    return -float(stated.log_density(left_out.values[:, None]).mean())
