"""A task prior as two files, JSON and safetensors: data only, nothing that runs."""

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from safetensors import SafetensorError
from safetensors.torch import load, save

from labwm.errors import (
    DuplicateError,
    IntegrityError,
    InvalidInputError,
    UnavailableError,
)
from labwm.schema import canonical_json
from labwm.world_model.tasks.card import TaskCard
from labwm.world_model.tasks.items import ITEM_KINDS
from labwm.world_model.tasks.network import Shape, TaskNetwork
from labwm.world_model.tasks.prior import TaskPrior

FORMAT: Final = 1
PRIOR, ARRAYS = "task_prior.json", "arrays.safetensors"


def save_prior(prior: TaskPrior, folder: Path) -> str:
    """Write a prior into a folder that holds none, and return its sha256.

    Weights are written in half precision, in which `learn_tasks` leaves them.

    Raises:
        DuplicateError: If the folder holds a prior already.
    """
    refuse_full(folder)
    weights = prior.network.state_dict()
    packed = save({name: tensor.half() for name, tensor in weights.items()})
    content: dict[str, Any] = {
        "format": FORMAT,
        "kind": prior.kind,
        "location": prior.location,
        "scale": prior.scale,
        "shape": prior.network.shape.to_json(),
        "card": asdict(prior.card),
        "arrays_sha256": hashlib.sha256(packed).hexdigest(),
    }
    sha256 = hashlib.sha256(canonical_json(content)).hexdigest()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / ARRAYS).write_bytes(packed)
    # The file that says that there is a prior comes last: a cut-off leaves none.
    (folder / PRIOR).write_bytes(canonical_json({**content, "sha256": sha256}))
    return sha256


def refuse_full(folder: Path) -> None:
    """Refuse a folder that holds a prior already.

    Raises:
        DuplicateError: If it does.
    """
    if (folder / PRIOR).exists():
        raise DuplicateError(
            f"A folder holds one task prior; {folder.name!r} has one already. Choose "
            "another folder: a saved prior is never overwritten."
        )


def load_prior(folder: Path) -> TaskPrior:
    """Read a prior; its predictions are those of the one that was saved.

    Raises:
        UnavailableError: If a file is absent.
        IntegrityError: If the content is not what was saved.
        InvalidInputError: If another version of the format was saved.
    """
    content = _content(folder)
    packed = _read(folder / ARRAYS)
    if hashlib.sha256(packed).hexdigest() != content["arrays_sha256"]:
        raise IntegrityError(
            f"The arrays of a task prior are those that were saved; {ARRAYS} in "
            f"{folder.name!r} has another sha256. Learn the prior again."
        )
    try:
        shape = content["shape"]
        network = TaskNetwork(
            Shape(
                int(shape["hidden"]), int(shape["features"]), int(shape["kinds"]),
                float(shape["dropout"]),
            ),
            seed=0,
        )  # fmt: skip
        weights = {name: tensor.float() for name, tensor in load(packed).items()}
        network.load_state_dict(weights)
        card = {**content["card"], "notes": tuple(content["card"]["notes"])}
        if content["kind"] not in ITEM_KINDS:
            raise ValueError(content["kind"])
        return TaskPrior(
            network.eval(), content["kind"], float(content["location"]),
            float(content["scale"]), TaskCard(**card),
        )  # fmt: skip
    except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise IntegrityError(
            f"A saved task prior holds every part of it; reading it gave {error!r}. "
            "Learn the prior again."
        ) from error


def _content(folder: Path) -> dict[str, Any]:
    try:
        content = json.loads(_read(folder / PRIOR))
        stated = content.pop("sha256")
        version = content["format"]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise IntegrityError(
            f"{PRIOR} is JSON with format and sha256; got {error!r}. Learn the prior "
            "again."
        ) from error
    if version != FORMAT:
        raise InvalidInputError(
            f"This labwm reads format {FORMAT} of task priors; got {version!r}. Learn "
            "the prior again."
        )
    if hashlib.sha256(canonical_json(content)).hexdigest() != stated:
        raise IntegrityError(
            f"{PRIOR} is what was saved; its sha256 is another. Learn the prior again."
        )
    return content


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UnavailableError(
            f"A task prior is the files {PRIOR} and {ARRAYS}; {path.name} cannot be "
            f"read: {error.strerror}. Check the folder."
        ) from error
