"""A small task with an exactly known model."""

import numpy as np

from labwm.schema import Measurement, Origin, Protocol, Status, Value
from labwm.space.questions import Observations, observations_from, questions_from
from labwm.testing.linear_model import fit_linear
from labwm.virtual_lab.campaign_task import CampaignTask

LEVELS = [float(x) for x in range(12)]


def protocol(**changes: object) -> Protocol:
    return Protocol.model_validate(
        {
            "name": "line",
            "version": 1,
            "parameters": [{"name": "x", "kind": "discrete", "levels": LEVELS}],
            "readouts": [{"name": "y", "unit": "g"}, {"name": "z"}],
            "objectives": [
                {"readout": "y", "goal": "maximise"},
                {"readout": "z", "goal": "minimise"},
            ],
            **changes,
        }
    )


def observations(n: int = 4, *, n_failed: int = 0) -> Observations:
    rng = np.random.default_rng(0)
    failed = Value(status=Status.FAILED, reason="spilled")
    rows = [
        Measurement(
            conditions={"x": x},
            readouts={
                "y": failed if i < n_failed else Value(value=x + rng.normal()),
                "z": failed if i < n_failed else Value(value=-2 * x + rng.normal()),
            },
            origin=Origin.MEASURED,
        )
        for i, x in enumerate(LEVELS[:n])
    ]
    return observations_from(protocol(), rows)


def task(**changes: object) -> CampaignTask:
    settings = {
        "protocol": protocol(),
        "pool": questions_from(protocol(), [{"x": x} for x in LEVELS]),
        "budget": 5,
        **changes,
    }
    model = fit_linear(observations(), settings["protocol"])
    return CampaignTask(model=model, **settings)
