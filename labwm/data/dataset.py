"""Measurements as an xarray dataset, and back without loss.

Dims are `experiment` (distinct conditions, in order of first appearance) and
`replicate`. Each condition is a variable over `experiment`; each readout `y` becomes
`y` (the value), `y_limit` (the limit of a censored value) and `y_status` (codes that
its `flag_meanings` explain). Variables that start with `_` hold provenance.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from labwm import __version__
from labwm.data.layout import Layout, layout_of
from labwm.errors import InvalidInputError, NotEnoughDataError
from labwm.schema import (
    Conditions,
    Measurement,
    MixtureParameter,
    Origin,
    Protocol,
    Status,
    Value,
)
from labwm.space.questions import (
    questions_from,
    text_columns,
)

if TYPE_CHECKING:
    import xarray as xr

STATUSES = tuple(Status)
"""Status code k + 1 of a dataset is the k-th status; 0 is no observation."""
ORIGINS = tuple(Origin)
CENSORED = frozenset({Status.BELOW, Status.ABOVE})
GRID = ("experiment", "replicate")

_TEXTS: dict[str, Callable[[Measurement], str | None]] = {
    "_job_key": lambda m: m.job_key,
    "_well": lambda m: m.well,
    "_proposal_id": lambda m: m.proposal_id,
    "_raw_sha256": lambda m: m.raw_sha256,
    "_measured_at": lambda m: m.measured_at.isoformat() if m.measured_at else None,
}


def to_dataset(
    measurements: Sequence[Measurement],
    protocol: Protocol,
    *,
    source: str | None = None,
) -> "xr.Dataset":
    """Lay measurements out by experiment and replicate; nothing is left out.

    Raises:
        NotEnoughDataError: If there are none.
        InvalidInputError: If a parameter's name is that of a derived variable.
        SpaceError: If conditions name unknown parameters.
    """
    import xarray as xr

    if not measurements:
        raise NotEnoughDataError(
            "A dataset holds at least one measurement; got none. Import some first."
        )
    layout = layout_of(measurements)
    variables = _conditions(protocol, layout.conditions)
    for name in protocol.readout_names:
        _add(variables, _readout(protocol, name, measurements, layout))
    _add(variables, _provenance(measurements, layout))
    return xr.Dataset(variables, attrs=_attributes(measurements, protocol, source))


def measurements_of(dataset: "xr.Dataset") -> tuple[Measurement, ...]:
    """Return the measurements that `to_dataset` laid out, equal and in their order."""
    rows = dataset["_row"].values
    grids = {str(name): dataset[name].values for name in dataset.variables}
    texts = set(dataset.attrs["texts"])
    conditions = [
        _condition_row(dataset.attrs["conditions"], grids, texts, e)
        for e in range(rows.shape[0])
    ]
    ordered: dict[int, Measurement] = {}
    for e, r in np.argwhere(rows >= 0):
        ordered[int(rows[e, r])] = Measurement(
            conditions=conditions[e],
            readouts={
                name: value
                for name in dataset.attrs["readouts"]
                if (value := _value(grids, name, e, r)) is not None
            },
            origin=ORIGINS[int(grids["_origin"][e, r])],
            replicate=int(grids["_replicate"][e, r]),
            revision=int(grids["_revision"][e, r]),
            duration=_number(grids["_duration"][e, r]),
            job_key=_text(grids, "_job_key", e, r),
            well=_text(grids, "_well", e, r),
            proposal_id=_text(grids, "_proposal_id", e, r),
            raw_sha256=_text(grids, "_raw_sha256", e, r),
            measured_at=_time(_text(grids, "_measured_at", e, r)),
        )
    return tuple(ordered[i] for i in sorted(ordered))


def _conditions(protocol: Protocol, rows: Sequence[Conditions]) -> dict[str, Any]:
    units: dict[str, str | None] = {}
    for parameter in protocol.parameters:
        if isinstance(parameter, MixtureParameter):
            units |= dict.fromkeys(parameter.part_columns, "fraction")
        else:
            units[parameter.name] = parameter.unit
    columns = questions_from(protocol, rows).columns
    return {
        name: (("experiment",), column, _with_units({"role": "condition"}, units[name]))
        for name, column in columns.items()
    }


def _readout(
    protocol: Protocol, name: str, measurements: Sequence[Measurement], layout: Layout
) -> dict[str, Any]:
    values, limits = layout.grid(np.nan), layout.grid(np.nan)
    status = layout.grid(np.uint8(0))
    raw, reason = layout.texts(), layout.texts()
    for place, measurement in zip(layout.places, measurements, strict=True):
        if (cell := measurement.readouts.get(name)) is None:
            continue
        status[place] = STATUSES.index(cell.status) + 1
        if cell.value is not None:
            (limits if cell.status in CENSORED else values)[place] = cell.value
        raw[place], reason[place] = cell.raw or "", cell.reason or ""
    unit = protocol.readout(name).unit
    flags = {
        "role": "status",
        "flag_values": list(range(len(STATUSES) + 1)),
        "flag_meanings": " ".join(["absent", *STATUSES]),
    }
    found: dict[str, Any] = {
        name: (GRID, values, _with_units({"role": "readout"}, unit)),
        f"{name}_limit": (GRID, limits, _with_units({"role": "limit"}, unit)),
        f"{name}_status": (GRID, status, flags),
    }
    for suffix, texts in (("raw", raw), ("reason", reason)):
        if np.any(texts != ""):
            found[f"{name}_{suffix}"] = (GRID, texts, {"role": suffix})
    return found


def _provenance(measurements: Sequence[Measurement], layout: Layout) -> dict[str, Any]:
    row, origin = layout.grid(np.int64(-1)), layout.grid(np.uint8(255))
    replicate, revision = layout.grid(np.int64(-1)), layout.grid(np.int64(-1))
    duration = layout.grid(np.nan)
    texts = {name: layout.texts() for name in _TEXTS}
    for i, (place, measurement) in enumerate(
        zip(layout.places, measurements, strict=True)
    ):
        row[place] = i
        origin[place] = ORIGINS.index(measurement.origin)
        replicate[place], revision[place] = measurement.replicate, measurement.revision
        if measurement.duration is not None:
            duration[place] = measurement.duration
        for name, of in _TEXTS.items():
            texts[name][place] = of(measurement) or ""
    flags = {
        "flag_values": list(range(len(ORIGINS))),
        "flag_meanings": " ".join(ORIGINS),
    }
    found: dict[str, Any] = {
        "_row": (GRID, row, {"long_name": "order of the measurements, -1 is none"}),
        "_origin": (GRID, origin, flags),
        "_replicate": (GRID, replicate),
        "_revision": (GRID, revision),
        "_duration": (GRID, duration, {"units": "s"}),
    }
    return found | {
        name: (GRID, grid) for name, grid in texts.items() if np.any(grid != "")
    }


def _attributes(
    measurements: Sequence[Measurement], protocol: Protocol, source: str | None
) -> dict[str, Any]:
    sources = sorted({m.raw_sha256 for m in measurements if m.raw_sha256})
    return {
        "title": protocol.title,
        "protocol": protocol.name,
        "protocol_version": protocol.version,
        "protocol_sha256": protocol.digest(),
        "source": source or "",
        "source_sha256": sources,
        "labwm_version": __version__,
        "conditions": list(protocol.condition_names),
        "texts": sorted(text_columns(protocol)),
        "readouts": list(protocol.readout_names),
    }


def _add(variables: dict[str, Any], more: dict[str, Any]) -> None:
    for name, variable in more.items():
        if name in variables:
            raise InvalidInputError(
                f"A dataset derives the variable {name!r} from a readout; a parameter "
                "or readout of the protocol has that name. Rename it."
            )
        variables[name] = variable


def _with_units(attributes: dict[str, str], unit: str | None) -> dict[str, str]:
    return attributes | ({"units": unit} if unit else {})


def _condition_row(
    names: Sequence[str], grids: dict[str, NDArray[Any]], texts: set[str], e: int
) -> Conditions:
    row: Conditions = {}
    for name in names:
        value = grids[name][e]
        if name in texts:
            if value:
                row[name] = str(value)
        elif not np.isnan(value):
            row[name] = float(value)
    return row


def _value(grids: dict[str, NDArray[Any]], name: str, e: int, r: int) -> Value | None:
    code = int(grids[f"{name}_status"][e, r])
    if code == 0:
        return None
    status = STATUSES[code - 1]
    column = f"{name}_limit" if status in CENSORED else name
    return Value(
        value=_number(grids[column][e, r]),
        status=status,
        raw=_text(grids, f"{name}_raw", e, r),
        reason=_text(grids, f"{name}_reason", e, r),
    )


def _number(value: float | NDArray[Any]) -> float | None:
    return None if np.isnan(value) else float(value)


def _text(grids: dict[str, NDArray[Any]], name: str, e: int, r: int) -> str | None:
    return (str(grids[name][e, r]) or None) if name in grids else None


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
