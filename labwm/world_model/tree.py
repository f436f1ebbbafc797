"""The parts of a model as JSON and named arrays, and back, without any code in files.

Only the classes listed here are built again, only from their own fields; numbers stay
bit for bit what they were, and so does the order of an array in memory, on which the
last digit of a matrix product depends.
"""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Final, TypeVar

import numpy as np
import torch
from torch import Tensor

from labwm.errors import IntegrityError
from labwm.schema import CalibrationMap, ModelCard, Record, Scale, Status
from labwm.space.questions import Observations, Questions
from labwm.world_model.classifier import Classifier
from labwm.world_model.columns import (
    MoleculeEncoder,
    NamesEncoder,
    NumberEncoder,
    ReadoutColumn,
    TimeEncoder,
)
from labwm.world_model.embedding import KernelPca, Standardiser
from labwm.world_model.encoding import Encoder
from labwm.world_model.full_scale import FullScaleSurrogate
from labwm.world_model.gaussian_process import GaussianProcessModel
from labwm.world_model.inputs import Counts, Inputs
from labwm.world_model.kernel import Kernel, Term
from labwm.world_model.spread import Spread
from labwm.world_model.surrogate import Surrogate

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]
Arrays = dict[str, np.ndarray]
PartT = TypeVar("PartT")

PARTS: Final[dict[str, type]] = {
    part.__name__: part
    for part in (
        GaussianProcessModel, Surrogate, Encoder, Kernel, Term, Inputs, Counts,
        NumberEncoder, NamesEncoder, MoleculeEncoder, TimeEncoder, KernelPca,
        Standardiser, Observations, Questions, FullScaleSurrogate, Spread,
        Classifier, ReadoutColumn,
    )
}  # fmt: skip
RECORDS: Final[dict[str, type[Record]]] = {
    part.__name__: part for part in (ModelCard, CalibrationMap)
}
WORDS: Final[dict[str, type[Scale] | type[Status]]] = {
    part.__name__: part for part in (Scale, Status)
}


def to_tree(value: object, arrays: Arrays) -> Json:
    """Return a part as JSON; its numbers go to `arrays`, under new names."""
    match value:
        case Scale() | Status():
            return {"word": type(value).__name__, "value": str(value)}
        case None | bool() | int() | float() | str():
            return value
        case bytes():
            return {"bytes": value.hex()}
        case tuple():
            return [to_tree(item, arrays) for item in value]
        case Mapping():
            pairs: list[Json] = [[str(k), to_tree(v, arrays)] for k, v in value.items()]
            return {"mapping": pairs}
        case Tensor():
            return {"tensor": _kept(value.numpy(), arrays)}
        case np.ndarray():
            return _array_tree(value, arrays)
        case _:
            return _object_tree(value, arrays)


def _array_tree(value: np.ndarray, arrays: Arrays) -> Json:
    if value.dtype != object:
        return {"array": _kept(value, arrays)}
    items = [to_tree(item, arrays) for item in value.ravel()]
    return {"objects": items, "shape": list(value.shape)}


def _kept(array: np.ndarray, arrays: Arrays) -> Json:
    name = f"array{len(arrays)}"
    by_column = array.flags.f_contiguous and not array.flags.c_contiguous
    arrays[name] = np.ascontiguousarray(array.T if by_column else array)
    return {"name": name, "by_column": by_column}


def _object_tree(value: object, arrays: Arrays) -> Json:
    name = type(value).__name__
    if isinstance(value, Record) and name in RECORDS:
        return {"record": name, "value": value.model_dump(mode="json")}
    if not is_dataclass(value) or PARTS.get(name) is not type(value):
        raise TypeError(f"a model holds known parts only; got {name}")
    own = {f.name: to_tree(getattr(value, f.name), arrays) for f in fields(value)}
    return {"part": name, "fields": own}


def from_tree(tree: Json, arrays: Mapping[str, np.ndarray]) -> object:
    """Return the part that `to_tree` wrote.

    Raises:
        IntegrityError: If it names anything that a model does not hold.
    """
    match tree:
        case list():
            return tuple(from_tree(item, arrays) for item in tree)
        case {"part": str(name), "fields": dict(own)}:
            found = {k: from_tree(v, arrays) for k, v in own.items()}
            return _known(PARTS, name)(**found)
        case {"record": str(name), "value": value}:
            return _known(RECORDS, name).model_validate(value)
        case {"word": str(name), "value": value}:
            return _known(WORDS, name)(value)
        case {"mapping": list(pairs)}:
            return {str(k): from_tree(v, arrays) for k, v in map(_pair, pairs)}
        case dict():
            return _leaf(tree, arrays)
        case _:
            return tree


def _leaf(tree: dict[str, Json], arrays: Mapping[str, np.ndarray]) -> object:
    match tree:
        case {"bytes": str(text)}:
            return bytes.fromhex(text)
        case {"tensor": dict(kept)}:
            return torch.from_numpy(_restored(kept, arrays))
        case {"array": dict(kept)}:
            return _restored(kept, arrays)
        case {"objects": list(items), "shape": list(shape)}:
            flat = np.empty(len(items), dtype=object)
            flat[:] = [from_tree(item, arrays) for item in items]
            return flat.reshape([int(str(n)) for n in shape])
        case _:
            raise IntegrityError(
                "A saved model is written in the words of `labwm.world_model.tree`; "
                f"got {sorted(tree)}. Save the model again."
            )


def _restored(kept: dict[str, Json], arrays: Mapping[str, np.ndarray]) -> np.ndarray:
    array = arrays[str(kept["name"])].copy()
    return array.T if kept["by_column"] else array


def _known(known: Mapping[str, PartT], name: str) -> PartT:
    if name not in known:
        raise IntegrityError(
            f"A saved model holds parts of {', '.join(known)}; got {name!r}. Save the "
            "model again."
        )
    return known[name]


def _pair(pair: Json) -> tuple[Json, Json]:
    if not isinstance(pair, list) or len(pair) != 2:
        raise IntegrityError(
            f"A mapping is saved as pairs; got {pair!r}. Save the model again."
        )
    return pair[0], pair[1]
