"""A log of procedures and a model learnt from it, for tests of several rooms."""

from functools import cache

from labwm.data.procedures import (
    SHIPPED,
    episodes_of,
    molecules_of,
    read_procedures,
    references_of,
)
from labwm.schema.procedure import Episode
from labwm.settings import shipped
from labwm.world_model.fit_procedures import fit_procedures
from labwm.world_model.procedures import ProcedureModel

N_LEARNT = 25


@cache
def log() -> tuple[Episode, ...]:
    """The first 40 molecules of the log that ships."""
    episodes = read_procedures(shipped(SHIPPED))
    return episodes_of(episodes, molecules_of(episodes)[:40])


@cache
def model() -> ProcedureModel:
    """A model of the first 25 of them."""
    learnt = episodes_of(log(), molecules_of(log())[:N_LEARNT])
    return fit_procedures(learnt, references_of(learnt))


def unseen() -> tuple[str, ...]:
    """The molecules of the log that the model did not see."""
    return molecules_of(log())[N_LEARNT:]
