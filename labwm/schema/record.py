"""The base of every record that crosses a process boundary: frozen, strict, hashed."""

import hashlib
import json
import re
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema


class Record(BaseModel):
    """A frozen value; unknown keys are refused, NaN is not a value."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, protected_namespaces=()
    )

    def canonical_json(self) -> bytes:
        """Return the record as JSON with sorted keys and no spaces: one byte form."""
        return canonical_json(self.model_dump(mode="json"))

    def digest(self) -> str:
        """Return the sha256 of `canonical_json`, in hexadecimal."""
        return hashlib.sha256(self.canonical_json()).hexdigest()


def canonical_json(value: Any) -> bytes:
    """Return JSON with sorted keys, no spaces and no NaN: equal values, equal bytes."""
    return json.dumps(
        value,
        sort_keys=True,
        separators=(",", ":"),
        ensure_ascii=False,
        allow_nan=False,
    ).encode()


def sha256_of(value: Any) -> str:
    """Return the sha256 of a JSON value's canonical form, in hexadecimal."""
    return hashlib.sha256(canonical_json(value)).hexdigest()


_SECONDS = {"s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"\s*([0-9]*\.?[0-9]+)\s*(s|min|h|d)\s*")


def _seconds(value: object) -> object:
    if not isinstance(value, str):
        return value
    if not (match := _DURATION.fullmatch(value)):
        raise ValueError(
            f"a duration is a number and one of s, min, h, d; got {value!r}. "
            "Write for example '30 min'"
        )
    return float(match[1]) * _SECONDS[match[2]]


Seconds = Annotated[
    float,
    Field(ge=0),
    BeforeValidator(_seconds),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "minimum": 0},
                {"type": "string", "pattern": r"^\s*[0-9]*\.?[0-9]+\s*(s|min|h|d)\s*$"},
            ]
        }
    ),
]
"""A duration in seconds; a file may say `30 min`."""

Name = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,63}$")]
"""A name that is safe in a path, a URL and a column header."""

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
"""A sha256 in hexadecimal."""

Scalar = float | str
"""One condition of an experiment: a number, a level, or a SMILES."""
