"""Tasks of procedures to practise on: from a log at hand, or the one that ships."""

from collections.abc import Sequence

from labwm.data.procedures import (
    SHIPPED,
    episodes_of,
    molecules_of,
    read_procedures,
    references_of,
)
from labwm.errors import NotEnoughDataError
from labwm.labs.procedure_lab import ProcedureLab
from labwm.schema.procedure import Episode
from labwm.settings import shipped
from labwm.virtual_lab.procedure_env import ProcedureEnv, ProcedureTask
from labwm.virtual_lab.procedure_sources import LabSource, WorldSource
from labwm.world_model.fit_procedures import fit_procedures
from labwm.world_model.procedures import ProcedureModel

_N_LEARNT = 40
_N_PRACTISED = 20


def virtual_task(
    model: ProcedureModel, molecules: Sequence[str], *, budget_seconds: float = 1.0
) -> ProcedureTask:
    """Return the task of finding gaps in worlds drawn from the model."""
    return ProcedureTask(
        WorldSource(model),
        tuple(molecules),
        budget_seconds=budget_seconds,
        error_scale=model.prior_error,
    )


def real_task(
    model: ProcedureModel,
    episodes: Sequence[Episode],
    *,
    budget_seconds: float = 1.0,
    timeout_seconds: float = 60.0,
) -> ProcedureTask:
    """Return the same task in the real lab, for logged molecules with a reference.

    Raises:
        NotEnoughDataError: If no molecule has a reference.
    """
    references = references_of(episodes)
    if not references:
        raise NotEnoughDataError(
            "A task in the lab needs molecules with a reference; got none in "
            f"{len(episodes)} episodes. Log references."
        )
    source = LabSource(ProcedureLab(timeout_seconds), references, model.prior_error)
    return ProcedureTask(
        source,
        tuple(references),
        budget_seconds=budget_seconds,
        error_scale=model.prior_error,
    )


def shipped_procedure_task() -> ProcedureTask:
    """Return a virtual task on molecules of the log that ships; learning takes seconds.

    The molecules that are practised on are none of those learnt from.
    """
    model, practised = _shipped()
    return virtual_task(model, molecules_of(practised))


def shipped_lab_task() -> ProcedureTask:
    """Return the same task in the real lab."""
    model, practised = _shipped()
    return real_task(model, practised)


def procedure_env(
    task: ProcedureTask | None = None, render_mode: None = None
) -> ProcedureEnv:
    """Return the environment of a task; of a virtual one that ships by default."""
    own = shipped_procedure_task() if task is None else task
    return ProcedureEnv(own, render_mode)


def procedure_lab_env(
    task: ProcedureTask | None = None, render_mode: None = None
) -> ProcedureEnv:
    """Return the environment of a task; of one in the real lab by default."""
    own = shipped_lab_task() if task is None else task
    return ProcedureEnv(own, render_mode)


def _shipped() -> tuple[ProcedureModel, tuple[Episode, ...]]:
    episodes = read_procedures(shipped(SHIPPED))
    everyone = molecules_of(episodes)
    learnt = episodes_of(episodes, everyone[:_N_LEARNT])
    model = fit_procedures(learnt, references_of(learnt))
    practised = everyone[_N_LEARNT : _N_LEARNT + _N_PRACTISED]
    return model, episodes_of(episodes, practised)
