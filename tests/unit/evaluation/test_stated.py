"""What was predicted before is read with the calibration of its own model."""

import numpy as np
import pytest

from labwm.errors import InvalidInputError
from labwm.evaluation.campaign_record import (
    CampaignRecord,
    ReportedExperiment,
    stated_before,
)
from labwm.schema import (
    CalibrationMap,
    Measurement,
    Origin,
    PredictedReadout,
    Protocol,
    Value,
    parse_protocol,
    prediction_of,
)


@pytest.fixture
def protocol() -> Protocol:
    return parse_protocol(
        "name: p\nversion: 1\n"
        "parameters: [{name: x, kind: continuous, bounds: [0, 1]}]\n"
        "readouts: [{name: y, unit: percent}]\n"
        "objectives: [{readout: y, goal: maximise}]\n"
    )


def predicted(tail: float) -> PredictedReadout:
    """A standard normal stretched by `tail`."""
    half = 1.6448536269514722 * tail
    return PredictedReadout(
        location=0.0,
        epistemic=1.0,
        aleatoric=0.0,
        calibration=CalibrationMap(tail=tail),
        mean=0.0,
        sd=tail,
        low90=-half,
        high90=half,
        unit="percent",
    )


def test_each_prediction_keeps_the_interval_that_was_stored(protocol: Protocol):
    experiments = tuple(
        ReportedExperiment(
            round=i,
            conditions={"x": 0.5},
            reason="to test",
            policy="random",
            prediction={"y": predicted(tail)},
            measurements=(
                Measurement(
                    conditions={"x": 0.5},
                    readouts={"y": Value(value=2.0)},
                    origin=Origin.REPLAYED,
                ),
            ),
        )
        for i, tail in enumerate((1.0, 2.0))
    )
    stated = stated_before(CampaignRecord("c", protocol, experiments, budget=2))
    assert stated is not None
    low, high = stated.interval(0.9)
    np.testing.assert_allclose(high[:, 0], [1.6448536, 3.2897073], rtol=1e-6)
    np.testing.assert_allclose(low, -high)
    assert stated.is_inside(0.9)[:, 0].tolist() == [0.0, 1.0]


def test_predictions_of_different_models_are_not_read_as_one():
    with pytest.raises(InvalidInputError, match="one calibration"):
        prediction_of([{"y": predicted(1.0)}, {"y": predicted(2.0)}])
