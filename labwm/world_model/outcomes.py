"""Which experiments succeeded. Torch-free.

Shapes: `n` rows.
"""

import numpy as np
from numpy.typing import NDArray

from labwm.schema import Status
from labwm.space.questions import Observations


def success_of(observations: Observations) -> NDArray[np.float64]:
    """Return 1 where an experiment gave a value, 0 where it failed, NaN where neither.

    It failed if any readout has the status `failed`; a limit such as `<5` is a value.
    """
    failed = np.any(observations.statuses == Status.FAILED, axis=1)
    valued = np.any(~np.isnan(observations.values), axis=1)
    return np.where(failed, 0.0, np.where(valued, 1.0, np.nan))
