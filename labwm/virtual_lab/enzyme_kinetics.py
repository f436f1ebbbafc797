"""A task on declared kinetics: an enzyme that hot makes faster, and loses sooner.

Times are in minutes, concentrations in umol/L. Nothing is learnt: it is there at once.
"""

from itertools import product
from typing import Final

from labwm.schema import Conditions, Protocol
from labwm.space.questions import questions_from
from labwm.virtual_lab.kinetics_env import KineticsEnv
from labwm.virtual_lab.kinetics_task import KineticsTask
from labwm.world_model.dynamics.mechanism import (
    Constant,
    MassAction,
    Mechanism,
    MichaelisMenten,
    Reaction,
)

SUBSTRATES: Final = (10.0, 25.0, 50.0, 100.0, 200.0)
TEMPERATURES: Final = (25.0, 30.0, 35.0, 40.0, 45.0, 50.0)
END: Final = 15.0
ABSORBANCE_PER_PRODUCT: Final = 0.01


def enzyme_mechanism() -> Mechanism:
    """Return Michaelis and Menten's kinetics with an enzyme that unfolds when hot."""
    turns_over = MichaelisMenten("enzyme", "substrate", Constant(60.0, 40.0), 40.0)
    unfolds = MassAction(Constant(0.01, 160.0))
    return Mechanism(
        reactions=(
            Reaction({"substrate": 1}, {"product": 1}, turns_over),
            Reaction({"enzyme": 1}, {"unfolded": 1}, unfolds),
        ),
        start={"substrate": "substrate", "enzyme": 0.05},
        observed={"absorbance": {"product": ABSORBANCE_PER_PRODUCT}},
        noise_sd={"absorbance": 0.005},
        temperature="temperature",
    )


def enzyme_protocol() -> Protocol:
    """Return what an experiment is: a progress curve at a substrate and temperature."""
    axis = {"name": "time", "unit": "min"}
    return Protocol.model_validate(
        {
            "name": "enzyme_kinetics",
            "version": 1,
            "title": "Progress curves of an enzyme that heat unfolds",
            "parameters": [
                {
                    "name": "substrate",
                    "kind": "discrete",
                    "unit": "umol/L",
                    "levels": list(SUBSTRATES),
                },
                {
                    "name": "temperature",
                    "kind": "discrete",
                    "unit": "degC",
                    "levels": list(TEMPERATURES),
                },
            ],
            "readouts": [{"name": "absorbance", "kind": "curve", "over": axis}],
            "objectives": [{"readout": "absorbance", "goal": "maximise"}],
            "costs": {"per_experiment": {"amount": 5.0, "currency": "EUR"}},
        }
    )


def enzyme_task() -> KineticsTask:
    """Return the task: find what turns over most, in few reads and little time."""
    protocol = enzyme_protocol()
    rows: list[Conditions] = [
        {"substrate": s, "temperature": t} for s, t in product(SUBSTRATES, TEMPERATURES)
    ]
    return KineticsTask(
        protocol=protocol,
        pool=questions_from(protocol, rows),
        mechanism=enzyme_mechanism(),
        end=END,
        waits=(1.0, 3.0, END),
        setup=2.0,
        n_reads=24,
        time_limit=120.0,
        read_price=1.0,
    )


def kinetics_env(
    task: KineticsTask | None = None, render_mode: None = None
) -> KineticsEnv:
    """Return the environment of a task; of `enzyme_task` when none is given."""
    return KineticsEnv(enzyme_task() if task is None else task, render_mode)
