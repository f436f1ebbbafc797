"""Write a guessed protocol as YAML that says why each guess was made."""

import json
from collections.abc import Sequence
from typing import Any

import yaml

from labwm.data.roles import Guess
from labwm.schema import MixtureParameter, Protocol


def protocol_text(protocol: Protocol, guesses: Sequence[Guess]) -> str:
    """Return the protocol as YAML, a comment for each guess; it reads back equal."""
    content = protocol.model_dump(mode="json", exclude_defaults=True)
    reasons = {guess.about: guess for guess in guesses}
    lines = [
        "# A first protocol, guessed from a table. Each comment says why; correct what "
        "is wrong.",
        f"name: {protocol.name}",
        f"version: {protocol.version}",
        f"title: {_flow(protocol.title)}",
        "parameters:",
    ]
    for parameter, record in zip(
        content["parameters"], protocol.parameters, strict=True
    ):
        columns = (
            record.parts if isinstance(record, MixtureParameter) else record.columns
        )
        lines += _item(parameter, [reasons[c] for c in columns if c in reasons])
    for guess in guesses:
        if guess.taken_as == "ignored":
            lines.append(f"  # not taken: {guess.about!r}: {guess.reason}")
    lines.append("readouts:")
    for readout, record in zip(content["readouts"], protocol.readouts, strict=True):
        told = [reasons[c] for c in (record.column or "", "replicates") if c in reasons]
        lines += _item(readout, told)
    lines.append("objectives:")
    for objective in content["objectives"]:
        about = f"goal of {objective['readout']}"
        lines += _item(objective, [reasons[about]] if about in reasons else [])
    lines.append(f"lab: {_flow(content['lab'])}")
    return "\n".join(lines) + "\n"


def _item(content: dict[str, Any], guesses: Sequence[Guess]) -> list[str]:
    comments = [
        f"  # {guess.about} is taken as {guess.taken_as}: {guess.reason}".replace(
            "\n", " "
        )
        for guess in guesses
    ]
    return [*comments, f"  - {_flow(content)}"]


def _flow(value: object) -> str:
    # PyYAML writes U+0085 as it is and reads it back as the end of a line.
    is_readable = "\x85" not in json.dumps(value, ensure_ascii=False)
    text = yaml.safe_dump(
        value,
        default_flow_style=True,
        sort_keys=False,
        allow_unicode=is_readable,
        width=float("inf"),
    )
    return text.strip().removesuffix("...").strip()
