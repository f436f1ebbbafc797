"""What a report is made from: everything that a campaign did, in plain records."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from labwm.errors import InvalidInputError
from labwm.evaluation.plate_tables import ReportedPlate
from labwm.schema import (
    Conditions,
    Measurement,
    PredictedReadout,
    Prediction,
    Protocol,
    Status,
    prediction_of,
)
from labwm.space.questions import observations_from
from labwm.world_model.reward import utilities

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ReportedExperiment:
    """One proposal and what became of it.

    Attributes:
        round: From 0.
        conditions: What was asked for.
        reason: Why, in a sentence.
        policy: Who chose it.
        label: Name that people know it by.
        prediction: What was stated before, by readout; None where nothing was.
        measurements: Replicates that came back; none while it is pending.
    """

    round: int
    conditions: Conditions
    reason: str
    policy: str
    label: str | None = None
    prediction: Mapping[str, PredictedReadout] | None = None
    measurements: tuple[Measurement, ...] = ()


@dataclass(frozen=True)
class CampaignRecord:
    """A campaign as its report tells it.

    Attributes:
        name: Of the campaign.
        protocol: What an experiment is and what it is wanted for.
        experiments: In the order proposed.
        budget: Experiments allowed.
        asked: What was asked for, as pairs of name and value.
        provenance: Hashes, versions and times, as pairs of name and value.
        table: Measurements of the whole pool, where they are known from elsewhere:
            what random search would have found is computed from it.
        table_name: Where the table comes from.
        no_table: Why there is none.
        outlook: What was left to gain when the last round was proposed, as a sentence.
        plates: Those that were sent, where the protocol declares one.
    """

    name: str
    protocol: Protocol
    experiments: tuple[ReportedExperiment, ...]
    budget: int
    asked: Mapping[str, str] = field(default_factory=dict)
    provenance: Mapping[str, str] = field(default_factory=dict)
    table: Sequence[Measurement] | None = None
    table_name: str = ""
    no_table: str = ""
    outlook: str = ""
    plates: Sequence[ReportedPlate] = ()

    def __post_init__(self) -> None:
        if not any(experiment.measurements for experiment in self.experiments):
            raise InvalidInputError(
                "A report needs at least one experiment with a result; got "
                f"{len(self.experiments)} proposals of {self.name!r} without any. "
                "Advance the campaign first."
            )


@dataclass(frozen=True)
class Outcomes:
    """Results of a campaign as arrays, one row per experiment with a result.

    Shapes: `t` experiments, `m` readouts, `k` objectives.

    Attributes:
        experiments: Length `t`.
        values: Mean over replicates, `t x m`; NaN where there is no number.
        utilities: `t x k`.
        rounds: Length `t`.
    """

    experiments: tuple[ReportedExperiment, ...]
    values: Floats
    utilities: Floats
    rounds: NDArray[np.int64]

    @property
    def failures(self) -> list[tuple[ReportedExperiment, str]]:
        """Experiments that gave no number for some objective, with the reason."""
        missing = np.asarray(np.isnan(self.utilities).any(axis=1))
        return [
            (experiment, _why(experiment))
            for experiment, is_missing in zip(self.experiments, missing, strict=True)
            if is_missing
        ]


def outcomes_of(record: CampaignRecord) -> Outcomes:
    """Put a campaign's results into arrays, in the order proposed."""
    done = tuple(e for e in record.experiments if e.measurements)
    names = record.protocol.readout_names
    values = np.full((len(done), len(names)), np.nan)
    for i, experiment in enumerate(done):
        observed = observations_from(record.protocol, experiment.measurements)
        for j in range(len(names)):
            column = observed.values[:, j]
            if not np.all(np.isnan(column)):
                values[i, j] = float(np.nanmean(column))
    return Outcomes(
        done,
        values,
        utilities(record.protocol, values),
        np.array([experiment.round for experiment in done], dtype=np.int64),
    )


@dataclass(frozen=True)
class Stated:
    """What was predicted before, beside what was then measured.

    Each row was predicted by the model of its own round, with its own calibration.
    Shapes: `p` predicted measurements, `m` readouts.

    Attributes:
        predictions: Length `p`, one question each.
        values: `p x m`, one replicate each; NaN where there was no number.
        rounds: Length `p`.
    """

    predictions: tuple[Prediction, ...]
    values: Floats
    rounds: NDArray[np.int64]

    @property
    def readouts(self) -> tuple[str, ...]:
        """Names of the readouts, length `m`."""
        return self.predictions[0].readouts

    @property
    def units(self) -> tuple[str | None, ...]:
        """Units of the readouts, length `m`."""
        return self.predictions[0].units

    @property
    def mean(self) -> Floats:
        """Predicted means, `p x m`."""
        return np.concatenate([prediction.mean for prediction in self.predictions])

    def interval(self, level: float) -> tuple[Floats, Floats]:
        """Return the ends of the central intervals, `p x m` each."""
        ends = [prediction.interval(level) for prediction in self.predictions]
        return (
            np.concatenate([low for low, _ in ends]),
            np.concatenate([high for _, high in ends]),
        )

    def is_inside(self, level: float) -> Floats:
        """Tell which values lie in the central interval: 1, 0 or NaN, `p x m`."""
        low, high = self.interval(level)
        inside = (low <= self.values) & (self.values <= high)
        return np.where(np.isnan(self.values), np.nan, inside)


def stated_before(record: CampaignRecord) -> Stated | None:
    """Pair each stored prediction with the first replicate; None if there are none.

    The first replicate alone: a prediction is of one measurement, and the scatter of
    further ones is no independent evidence about it.
    """
    told = [e for e in record.experiments if e.prediction and e.measurements]
    if not told:
        return None
    first = [experiment.measurements[0] for experiment in told]
    observed = observations_from(record.protocol, first)
    values = np.where(observed.censoring == 0, observed.values, np.nan)
    predictions = tuple(prediction_of([dict(e.prediction or {})]) for e in told)
    names = record.protocol.readout_names
    order = [names.index(name) for name in predictions[0].readouts]
    rounds = np.array([e.round for e in told], dtype=np.int64)
    return Stated(predictions, values[:, order], rounds)


def _why(experiment: ReportedExperiment) -> str:
    reasons: list[str] = []
    for measurement in experiment.measurements:
        for name, value in measurement.readouts.items():
            if value.value is None:
                reasons.append(f"{name}: {value.reason or _words(value.status)}")
    return "; ".join(dict.fromkeys(reasons)) or "no value"


def _words(status: Status) -> str:
    return str(status).replace("_", " ")
