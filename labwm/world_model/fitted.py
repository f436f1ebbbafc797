"""A fitted readout, and the card of a model of several.

Shapes: `n` rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

import labwm
from labwm.schema import CalibrationMap, Metric, ModelCard, Protocol, Readout
from labwm.space.questions import Observations
from labwm.world_model.classifier import Classifier
from labwm.world_model.evidence_loss import Evidence
from labwm.world_model.full_scale import FullScaleSurrogate
from labwm.world_model.leave_one_out import LeftOut
from labwm.world_model.marginal_likelihood import Hyperparameters
from labwm.world_model.notes import notes_of_model, notes_of_readout
from labwm.world_model.report import left_out_metrics
from labwm.world_model.structure import Structure
from labwm.world_model.surrogate import Surrogate
from labwm.world_model.together import Together
from labwm.world_model.training import Rows


@dataclass(frozen=True)
class Candidate:
    """One structure, fitted to one readout."""

    structure: Structure
    surrogate: Surrogate | FullScaleSurrogate
    evidence: Evidence
    hyperparameters: Hyperparameters
    left_out: LeftOut
    order: NDArray[np.int64] | None = None

    @property
    def score(self) -> float:
        """Mean negative log density of left-out values; smaller is better."""
        return -float(self.left_out.log_density().mean())


@dataclass(frozen=True)
class Fitted:
    """The chosen structure of one readout, recalibrated."""

    readout: Readout
    rows: Rows
    chosen: Candidate
    scores: dict[str, float]
    unseen: LeftOut
    calibration: CalibrationMap
    is_split_identified: bool
    shared: Together | None = None
    passes: Classifier | None = None

    @property
    def surrogate(self) -> Surrogate | FullScaleSurrogate:
        """The posterior: of this readout alone, or of all readouts together."""
        return self.chosen.surrogate if self.shared is None else self.shared.surrogate

    @property
    def keys(self) -> tuple[bytes, ...]:
        """Names of the rows that the posterior holds, in its order."""
        if self.shared is not None:
            return self.shared.keys
        if self.chosen.order is None:
            return self.rows.key
        return tuple(self.rows.key[i] for i in self.chosen.order)

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """Left-out scores of the calibrated distribution."""
        return left_out_metrics(self.readout, self.unseen, self.calibration)


def card_of(
    observations: Observations,
    protocol: Protocol,
    fitted: Sequence[Fitted],
    *,
    recipe: str,
    success: Classifier,
    is_warm: bool,
) -> ModelCard:
    """Return what a model is, what it learnt from and how far it can be trusted."""
    n_failed = int(observations.is_failed.sum())
    return ModelCard(
        recipe=recipe,
        labwm_version=labwm.__version__,
        protocol_name=protocol.name,
        protocol_version=protocol.version,
        readouts=observations.readouts,
        units=tuple(one.readout.unit for one in fitted),
        n_rows=len(observations),
        n_failed=n_failed,
        data_sha256=observations.digest(),
        structure={one.readout.name: _in_words(one) for one in fitted},
        hyperparameters=_hyperparameters(fitted),
        metrics=tuple(metric for one in fitted for metric in one.metrics),
        is_split_identified=all(one.is_split_identified for one in fitted),
        notes=(*_own_notes(fitted), *notes_of_model(success, is_warm)),
    )


def _in_words(one: Fitted) -> str:
    scores = ", ".join(f"{name} {score:.3f}" for name, score in one.scores.items())
    return f"{one.chosen.structure.name} (left-out log loss: {scores})"


def _hyperparameters(fitted: Sequence[Fitted]) -> dict[str, float]:
    values: dict[str, float] = {}
    for one in fitted:
        kernel, scale = one.surrogate.kernel, abs(one.surrogate.scale)
        own = {
            "noise_sd": float(np.sqrt(one.surrogate.noise_variance)) * scale,
            "signal_sd": float(kernel.signal_variance.sqrt()) * scale,
        }
        own |= {f"weight_{i}": float(w) for i, w in enumerate(kernel.weights)}
        own |= {f"length_{i}": float(v) for i, v in enumerate(kernel.lengthscales)}
        values |= {f"{one.readout.name}.{name}": v for name, v in own.items()}
    return values


def _own_notes(fitted: Sequence[Fitted]) -> list[str]:
    return [
        note
        for one in fitted
        for note in notes_of_readout(
            one.readout,
            one.rows,
            slope=one.surrogate.noise_slope
            if isinstance(one.surrogate, Surrogate)
            else 0.0,
            gain=None if one.shared is None else one.shared.gain,
        )
    ]
