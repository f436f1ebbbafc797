"""What a model card says in words.

Shapes: `v` values.
"""

import numpy as np

from labwm.schema import Readout
from labwm.schema.readouts import ReadoutKind
from labwm.world_model.classifier import Classifier
from labwm.world_model.training import Rows


def notes_of_readout(
    readout: Readout, rows: Rows, *, slope: float, gain: float | None
) -> list[str]:
    """Say what is particular about one readout.

    Args:
        readout: As the protocol declares it.
        rows: What it gave.
        slope: How its noise follows its mean.
        gain: Left-out log density per value that the other readouts gave, if they do.
    """
    name, n_limits = readout.name, int(rows.is_censored.sum())
    notes = []
    if n_limits:
        notes.append(
            f"{name}: {n_limits} values are limits; they count as such through "
            "expectation propagation, with hyperparameters, calibration and "
            "scores from the uncensored values alone."
        )
    if gain is not None:
        notes.append(
            f"{name}: the other readouts tell about it, which gains "
            f"{gain:.3f} nats of left-out log density per value."
        )
    if slope:
        notes.append(
            f"{name}: noise follows the mean; its variance changes by a factor of "
            f"{np.exp(slope):.2g} per standard deviation of the values."
        )
    if np.ptp(rows.values) == 0.0:
        notes.append(f"{name}: every value is equal; the scale is a guess.")
    if readout.kind == ReadoutKind.PASS_FAIL:
        notes.append(f"{name}: 1 is a pass and 0 a fail; its chance is predicted.")
    return notes


def notes_of_model(success: Classifier, is_warm: bool) -> list[str]:
    """Say what failed and where the search for hyperparameters began."""
    notes = []
    if success.n_no:
        how = (
            "where they fail is learnt from the conditions, which saves "
            f"{success.gain:.3f} nats of left-out log loss per experiment"
            if success.surrogate is not None
            else "the conditions do not tell where, so each succeeds with the same "
            f"probability, {success.rate:.3f}"
        )
        notes.append(f"{success.n_no} experiments failed; {how}.")
    if is_warm:
        notes.append("Hyperparameters were sought from those of an earlier model.")
    return notes
