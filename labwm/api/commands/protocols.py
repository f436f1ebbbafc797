"""`labwm protocol init|validate|show|list|schema`."""

import json as text_json
import re
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from labwm.api.terminal import Json, lines, out, side, table, write_json
from labwm.errors import ConflictError, InvalidInputError
from labwm.schema import Protocol
from labwm.schema.parameters import (
    CategoricalParameter,
    ContinuousParameter,
    DiscreteParameter,
    MixtureParameter,
    MoleculeParameter,
)
from labwm.schema.parameters import (
    Parameter as Varied,
)

Columns = Annotated[list[str], Parameter(negative=(), consume_multiple=True)]


def init(
    file: Path,
    *,
    target: Columns,
    minimise: Columns = [],  # noqa: B006 cyclopts reads it, nobody changes it
    name: str | None = None,
    output: Path | None = None,
) -> None:
    """Guess a first protocol from a table; each guess comes with its reason.

    Args:
        file: Table of experiments, one per row: CSV or Excel.
        target: Columns that were measured.
        minimise: Targets of which less is better.
        name: Name of the protocol; the table's when not given.
        output: File to write; printed when not given.
    """
    from labwm.data.catalogue import load_table
    from labwm.data.init_protocol import init_protocol
    from labwm.data.protocol_text import protocol_text

    if output is not None and output.exists():
        raise ConflictError(
            f"A protocol is written to a new file; {output} exists. Name another, or "
            "remove it first."
        )
    protocol, guesses = init_protocol(
        load_table(file),
        target=target,
        minimise=minimise,
        name=name or _protocol_name(file),
    )
    text = protocol_text(protocol, guesses)
    shown = [(guess.about, guess.taken_as, guess.reason) for guess in guesses]
    if output is None:
        out.print(text, markup=False, end="")
        return
    output.write_text(text, encoding="utf-8")
    table("column", "taken as", "because", rows=shown)
    out.print(f"Wrote {output}. Read it and correct what is wrong.", markup=False)
    side.print(f"Then: labwm protocol validate {output}", markup=False)


def validate(file: str) -> None:
    """Check a protocol; every broken rule is listed with its line.

    Args:
        file: Protocol file, or the name of a shipped protocol.
    """
    protocol = _load(file)
    lines([f"{protocol.name} version {protocol.version} is valid."])


def show(name: str, *, json: Json = None) -> None:
    """Show what may be varied, what is observed, and what is wanted.

    Args:
        name: Name of a shipped protocol, or a protocol file.
    """
    protocol = _load(name)
    write_json(json, protocol)
    lab = protocol.lab
    lines(
        [
            f"{protocol.name} version {protocol.version}: {protocol.title}",
            f"lab {lab.adapter}, {lab.batch_size} experiments per batch; sha256 "
            f"{protocol.digest()}",
        ]
    )
    table(
        *("parameter", "kind", "unit", "values"),
        rows=[(p.name, p.kind, p.unit, _values(p)) for p in protocol.parameters],
    )
    table(
        *("readout", "unit", "kind", "replicates"),
        rows=[(r.name, r.unit, r.kind, r.replicates) for r in protocol.readouts],
    )
    table(
        *("objective", "goal", "target"),
        rows=[(o.readout, o.goal, o.target) for o in protocol.objectives],
    )
    if protocol.constraints:
        lines(f"constraint: {c.kind}" for c in protocol.constraints)


def list_all() -> None:
    """List the protocols that ship with labwm."""
    from labwm.data.protocols import list_protocols

    rows = [(name, _load(name).title) for name in list_protocols()]
    table("protocol", "title", rows=rows)


def schema(*, json: Json = None) -> None:
    """Print the JSON schema that editors complete and check protocol files with."""
    from labwm.schema import protocol_schema

    text = text_json.dumps(protocol_schema(), indent=1)
    if json is None:
        out.print(text, markup=False)
    write_json(json, text.encode())


def _load(name: str) -> Protocol:
    from labwm.data.protocols import load_protocol

    return load_protocol(name)


def _protocol_name(file: Path) -> str:
    name = re.sub(r"[^A-Za-z0-9_-]+", "_", file.stem).strip("_-")
    if not name or not name[0].isalpha():
        raise InvalidInputError(
            f"A protocol's name starts with a letter; got {file.stem!r} from the "
            "table's name. Give one with --name."
        )
    return name[:64]


def _values(parameter: Varied) -> str:
    if isinstance(parameter, ContinuousParameter):
        low, high = parameter.bounds
        return f"{low:g} to {high:g}"
    if isinstance(parameter, DiscreteParameter):
        return _some([f"{level:g}" for level in parameter.levels])
    if isinstance(parameter, CategoricalParameter) and parameter.levels:
        return _some(list(parameter.levels))
    if isinstance(parameter, MoleculeParameter) and parameter.smiles:
        return _some(list(parameter.smiles))
    if isinstance(parameter, MixtureParameter):
        return " + ".join(parameter.parts)
    return "from the table"


def _some(levels: list[str], n: int = 4) -> str:
    more = f", … ({len(levels)} in all)" if len(levels) > n else ""
    return ", ".join(levels[:n]) + more
