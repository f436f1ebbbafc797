"""Plates of a campaign as tables: what stood where, and how the controls came out."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from labwm.schema import Job, Measurement, Well

COLOURS = (
    "#c9ead6", "#fde3b0", "#e3d3f1", "#f9cfc9", "#bfd9f5", "#cfe8ea", "#e9e4c1",
    "#dfe3ea",
)  # fmt: skip
CONTROL_COLOURS = ("#b3261e", "#5d6b7c", "#7a4b9a", "#8a5a00", "#0d6b6b", "#333a44")


@dataclass(frozen=True)
class ReportedPlate:
    """One plate that was sent.

    Attributes:
        round: From 0.
        job: Exactly what was sent.
        results: By well, as far as they came.
    """

    round: int
    job: Job
    results: Mapping[str, Measurement]


def plate_table(plate: ReportedPlate) -> dict[str, object]:
    """Return one plate for the page: headings, coloured cells, controls."""
    grid = plate.job.plate
    if grid is None:
        return {}
    wells = {well.name: well for well in plate.job.wells}
    ids = [well.proposal_id for well in plate.job.wells if well.proposal_id]
    order = {name: i for i, name in enumerate(sorted(set(ids)))}
    controls = sorted({well.control for well in plate.job.wells if well.control})
    rows = [
        {
            "letter": grid.places[row].rstrip("0123456789"),
            "cells": [
                _cell(place, wells.get(place), order, controls, plate)
                for place in grid.places[row :: grid.rows]
            ],
        }
        for row in range(grid.rows)
    ]
    return {
        "number": plate.round + 1,
        "seed": grid.seed,
        "columns": list(range(1, grid.columns + 1)),
        "rows": rows,
        "controls": [_control(name, plate) for name in controls],
    }


def _cell(
    place: str,
    well: Well | None,
    order: Mapping[str, int],
    controls: list[str],
    plate: ReportedPlate,
) -> dict[str, str]:
    if well is None:
        return {"text": "", "title": f"{place}: empty", "back": "#fff", "ink": "#000"}
    came = plate.results.get(well.name)
    result = ", ".join(f"{k} {_shown(came, k)}" for k in came.readouts) if came else "–"
    if well.control is not None:
        back = CONTROL_COLOURS[controls.index(well.control) % len(CONTROL_COLOURS)]
        title = f"{place}: {well.control}: {result}"
        return {"text": well.control[:6], "title": title, "back": back, "ink": "#fff"}
    number = order[well.proposal_id or ""]
    title = f"{place}: experiment {number + 1}: {result}"
    back = COLOURS[number % len(COLOURS)]
    return {"text": str(number + 1), "title": title, "back": back, "ink": "#12202f"}


def _shown(measurement: Measurement, name: str) -> str:
    value = measurement.readouts[name]
    return str(value.status) if value.value is None else f"{value.value:.4g}"


def _control(name: str, plate: ReportedPlate) -> dict[str, object]:
    wells = {well.name for well in plate.job.wells if well.control == name}
    came = [result for well, result in plate.results.items() if well in wells]
    said: list[str] = []
    for readout in dict.fromkeys(key for one in came for key in one.readouts):
        found = [one.readouts.get(readout) for one in came]
        numbers = np.array([v.value for v in found if v and v.value is not None])
        if len(numbers):
            spread = f" ± {numbers.std(ddof=1):.2g}" if len(numbers) > 1 else ""
            said.append(
                f"{readout} {numbers.mean():.4g}{spread} of {len(numbers)} values"
            )
    return {
        "name": name,
        "n": len(wells),
        "n_came": len(came),
        "said": ", ".join(said) or "–",
    }
