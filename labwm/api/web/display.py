"""How values look on a page: numbers, units, conditions, drawings."""

import base64
import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup, escape

from labwm import campaign
from labwm.errors import LabwmError
from labwm.schema import BatchInfo, Measurement, Protocol, Well
from labwm.schema.parameters import MoleculeParameter
from labwm.schema.record import Scalar

_UNITS = {"percent": "%", "degC": "°C", "dimensionless": ""}


def number(value: Scalar | None) -> str:
    """Show four significant digits; text as it is; nothing as a dash."""
    if value is None:
        return "–"
    return value if isinstance(value, str) else f"{value:.4g}"


def unit(name: str | None) -> str:
    """Show a unit after a number, with the space that belongs before it."""
    shown = _UNITS.get(name or "", name or "")
    return f"\u202f{shown}" if shown else ""


def percent(share: float) -> str:
    """Show a share between 0 and 1."""
    return f"{100 * share:.0f}\u202f%"


def readout(measurement: Measurement, name: str) -> str:
    """Show what one readout gave, its status where it is no plain number."""
    value = measurement.readouts.get(name)
    if value is None:
        return "–"
    signs = {"ok": "", "below": "<", "above": ">", "out_of_bounds": "⚠ "}
    if value.value is None or value.status not in signs:
        return value.status.replace("_", " ")
    return f"{signs[value.status]}{number(value.value)}"


def drawing(smiles: str) -> Markup:
    """Return a molecule as an image; as text where it cannot be drawn."""
    source = _drawn(smiles)
    if source is None:
        return Markup("<code>{}</code>").format(smiles)
    return Markup('<img class="molecule" alt="{0}" title="{0}" src="{1}">').format(
        smiles, source
    )


def condition(value: Scalar, name: str, protocol: Protocol) -> Markup:
    """Show one condition: drawn when the protocol says that it is a molecule."""
    for parameter in protocol.parameters:
        if parameter.name == name and isinstance(parameter, MoleculeParameter):
            return drawing(str(value))
    return escape(number(value))


@functools.lru_cache(maxsize=4096)
def _drawn(smiles: str) -> str | None:
    try:
        svg = campaign.drawing(smiles)
    except LabwmError:
        return None
    # As an image a drawing keeps its inline styles under a strict policy, and could
    # run no script if it held one.
    return f"data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()}"


def headings(protocol: Protocol) -> Mapping[str, str]:
    """Return the label of each condition, with its unit."""
    units = {parameter.name: parameter.unit for parameter in protocol.parameters}
    return {name: _heading(name, units.get(name)) for name in protocol.condition_names}


def _heading(name: str, unit_name: str | None) -> str:
    shown = unit(unit_name).strip()
    return name.replace("_", " ") + (f" [{shown}]" if shown else "")


@dataclass(frozen=True)
class Place:
    """One place of a plate as it is drawn."""

    name: str
    kind: str
    """Its colour: of an experiment, of one of the controls, or empty."""
    text: str
    title: str


def plate_rows(batch: BatchInfo) -> list[tuple[str, list[Place]]]:
    """Return a plate as a table: each row's letter and its places."""
    if batch.plate is None:
        return []
    wells = {well.name: well for well in batch.wells}
    order = {proposal.id: i + 1 for i, proposal in enumerate(batch.proposals)}
    controls = sorted({well.control for well in batch.wells if well.control})
    grid = batch.plate
    rows: list[tuple[str, list[Place]]] = []
    for row in range(grid.rows):
        names = grid.places[row :: grid.rows]
        cells = [_place(name, wells.get(name), order, controls) for name in names]
        rows.append((names[0].rstrip("0123456789"), cells))
    return rows


def _place(
    name: str, well: Well | None, order: Mapping[str, int], controls: list[str]
) -> Place:
    if well is None:
        return Place(name, "empty", "", f"{name}: empty")
    said = ", ".join(f"{k} {number(v)}" for k, v in well.conditions.items())
    if well.control is not None:
        kind = f"control c{controls.index(well.control) % 6}"
        return Place(name, kind, well.control[:6], f"{name}: {well.control}: {said}")
    place = order.get(well.proposal_id or "", 0)
    title = f"{name}: experiment {place}, replicate {well.replicate + 1}: {said}"
    return Place(name, f"experiment e{place % 8}", str(place), title)


FILTERS: dict[str, Callable[..., Any]] = {
    "number": number,
    "unit": unit,
    "percent": percent,
    "readout": readout,
    "drawing": drawing,
    "condition": condition,
    "headings": headings,
    "plate_rows": plate_rows,
}
