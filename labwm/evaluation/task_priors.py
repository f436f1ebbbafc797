"""The prior that a bench asks: read, kept from before, or learnt now.

A prior belongs to the assays that it was learnt from: it is found again by their
sha256 and by how it was learnt.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import labwm
from labwm.data.assays import Assay, digest
from labwm.errors import LabwmError
from labwm.schema import canonical_json
from labwm.settings import cache_folder
from labwm.world_model.tasks.items import ItemKind
from labwm.world_model.tasks.learning import LearningSettings, learn_tasks
from labwm.world_model.tasks.prior import TaskPrior
from labwm.world_model.tasks.saving import load_prior, refuse_full, save_prior


def prior_of(
    assays: Sequence[Assay],
    *,
    kind: ItemKind = "molecule",
    settings: LearningSettings | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> tuple[TaskPrior, str]:
    """Return the prior of these assays and where it came from.

    It is the one in the cache, or learnt now and kept there.
    """
    settings = settings or LearningSettings()
    key = _key(digest(assays), kind, settings)
    folder = cache_folder() / "task_priors" / key
    try:
        return load_prior(folder), f"learnt before, {folder}"
    except LabwmError:
        pass
    prior = learn_tasks(assays, kind=kind, settings=settings, progress=progress)
    if not folder.exists():
        save_prior(prior, folder)
    return prior, f"learnt now, kept in {folder}"


def read_prior(folder: Path) -> tuple[TaskPrior, str]:
    """Return the prior of a folder and where it came from; see `load_prior`."""
    return load_prior(folder), f"read from {folder}"


def settings_for(epochs: int | None) -> LearningSettings:
    """Return the settings of so many epochs, the usual ones when None."""
    return LearningSettings() if epochs is None else LearningSettings(epochs=epochs)


def refuse_kept(folder: Path | None) -> None:
    """Refuse a folder that a prior cannot be kept in, before anything is learnt.

    Raises:
        DuplicateError: If it holds one already.
    """
    if folder is not None:
        refuse_full(folder)


def keep_prior(prior: TaskPrior, folder: Path) -> str:
    """Save a prior into a folder that holds none; see `save_prior`."""
    return save_prior(prior, folder)


def _key(data: str, kind: str, settings: LearningSettings) -> str:
    content = {"data": data, "kind": kind, "settings": asdict(settings)}
    content["version"] = labwm.__version__
    return hashlib.sha256(canonical_json(content)).hexdigest()[:32]
