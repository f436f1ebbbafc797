"""A fitted model as two files, JSON and safetensors: data only, nothing that runs."""

import hashlib
import json
from pathlib import Path
from typing import Final

from safetensors import SafetensorError
from safetensors.numpy import load, save

import labwm
from labwm.errors import (
    DuplicateError,
    IntegrityError,
    InvalidInputError,
    UnavailableError,
)
from labwm.schema import canonical_json
from labwm.world_model.gaussian_process import GaussianProcessModel
from labwm.world_model.tree import Arrays, Json, from_tree, to_tree

FORMAT: Final = 1
MODEL, ARRAYS = "model.json", "arrays.safetensors"


def save_model(model: GaussianProcessModel, folder: Path) -> str:
    """Write a model into a folder that holds none, and return its sha256.

    The sha256 covers both files: hand it to `load_model` to know the model again.

    Raises:
        DuplicateError: If the folder holds a model already.
    """
    if (folder / MODEL).exists():
        raise DuplicateError(
            f"A folder holds one model; {folder.name!r} has one already. Choose "
            "another folder: a saved model is never overwritten."
        )
    arrays: Arrays = {}
    tree = to_tree(model, arrays)
    packed = save(arrays)
    content: dict[str, Json] = {
        "format": FORMAT,
        "labwm_version": labwm.__version__,
        "data_sha256": model.card.data_sha256,
        "arrays_sha256": hashlib.sha256(packed).hexdigest(),
        "model": tree,
    }
    sha256 = _sha256(content)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / ARRAYS).write_bytes(packed)
    # The file that says that there is a model comes last: a cut-off leaves none.
    (folder / MODEL).write_bytes(canonical_json({**content, "sha256": sha256}))
    return sha256


def load_model(folder: Path, *, sha256: str | None = None) -> GaussianProcessModel:
    """Read a model; on the machine that saved it its predictions are bit-equal.

    Args:
        folder: That `save_model` wrote.
        sha256: What `save_model` returned. Without it damage is noticed, but not
            somebody who rewrote the files and their hashes.

    Raises:
        UnavailableError: If a file is absent.
        IntegrityError: If the content is not what was saved.
        InvalidInputError: If another version of labwm saved it.
    """
    content = _read_content(folder)
    stated = content.pop("sha256", None)
    _require_version(content)
    packed = _read(folder / ARRAYS)
    _require_equal("the model", _sha256(content), stated)
    _require_equal("the arrays", _digest(packed), content.get("arrays_sha256"))
    if sha256 is not None:
        _require_equal("the model that was asked for", str(stated), sha256)
    try:
        model = from_tree(content.get("model"), load(packed))
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise IntegrityError(
            f"A saved model holds every part of it; reading it gave {error!r}. Fit "
            "and save the model again."
        ) from error
    if not isinstance(model, GaussianProcessModel):
        raise IntegrityError(
            f"A folder of a model holds a model; got {type(model).__name__}. Fit and "
            "save the model again."
        )
    measured = model.observations.digest()
    _require_equal("the data", measured, content.get("data_sha256"))
    _require_equal("the data on the card", measured, model.card.data_sha256)
    return model


def _sha256(content: dict[str, Json]) -> str:
    return _digest(canonical_json(content))


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UnavailableError(
            f"A saved model is the files {MODEL} and {ARRAYS}; {path.name} cannot be "
            f"read: {error.strerror}. Check the folder."
        ) from error


def _read_content(folder: Path) -> dict[str, Json]:
    data = _read(folder / MODEL)
    try:
        content = json.loads(data)
    except ValueError as error:
        raise IntegrityError(
            f"{MODEL} is JSON; got {error}. Fit and save the model again."
        ) from error
    if not isinstance(content, dict):
        raise IntegrityError(
            f"{MODEL} is one JSON object; got {type(content).__name__}. Fit and save "
            "the model again."
        )
    return content


def _require_version(content: dict[str, Json]) -> None:
    found = (content.get("format"), content.get("labwm_version"))
    if found != (FORMAT, labwm.__version__):
        raise InvalidInputError(
            "A model is loaded by the version that saved it; this is labwm "
            f"{labwm.__version__}, format {FORMAT}; got {found[1]}, format {found[0]}. "
            "Fit the model again from its data."
        )


def _require_equal(what: str, found: str, stated: Json) -> None:
    if found != stated:
        raise IntegrityError(
            f"A saved model is as it was saved; {what} has the sha256 {found}, stated "
            f"is {stated}. Restore the files, or fit and save the model again."
        )
