"""Tables that back-tests run on."""

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from labwm.schema import Measurement, Origin, Protocol, Status, Value

PAINT = {
    "name": "paint",
    "version": 1,
    "parameters": [
        {"name": "resin", "kind": "categorical", "levels": ["a", "b", "c", "d"]},
        {"name": "solids", "kind": "continuous", "bounds": [0, 1]},
    ],
    "readouts": [{"name": "gloss"}, {"name": "price", "unit": "EUR"}],
    "objectives": [{"readout": "gloss", "goal": "maximise"}],
}


@pytest.fixture(scope="session")
def paint() -> Protocol:
    return Protocol.model_validate(PAINT)


@pytest.fixture(scope="session")
def paint_two(paint: Protocol) -> Protocol:
    objectives = [
        {"readout": "gloss", "goal": "maximise"},
        {"readout": "price", "goal": "minimise"},
    ]
    return Protocol.model_validate(PAINT | {"objectives": objectives})


@pytest.fixture(scope="session")
def paint_table() -> list[Measurement]:
    rng = np.random.default_rng(0)
    table = []
    for i in range(60):
        resin, solids = "abcd"[i % 4], float(rng.random())
        gloss = 40 + 10 * (i % 4) - 60 * (solids - 0.6) ** 2 + rng.normal()
        price = 5 + 3 * (i % 4) + 10 * solids
        table.append(paint_row(resin, solids, gloss, price))
    return table


@pytest.fixture(name="paint_row")
def paint_row_fixture() -> Callable[..., Measurement]:
    return paint_row


def paint_row(resin, solids, gloss, price, *, replicate=0) -> Measurement:
    values = {
        "gloss": Value(status=Status.FAILED, reason="cracked")
        if gloss is None
        else Value(value=gloss),
        "price": Value(value=price),
    }
    return Measurement(
        conditions={"resin": resin, "solids": solids},
        readouts=values,
        origin=Origin.IMPORTED,
        replicate=replicate,
    )


@pytest.fixture
def direct_arylation_yields(mirror: Path) -> np.ndarray:
    (path,) = mirror.glob("emdgroup/baybe/*/benchmarks/data/direct_arylation/data.csv")
    with path.open(encoding="utf-8-sig", newline="") as file:
        return np.array([float(row["yield"]) for row in csv.DictReader(file)])


@pytest.fixture(scope="session")
def library_table() -> tuple[Protocol, list[Measurement]]:
    """Forty molecules, their number of atoms, and a little noise."""
    from tests.unit.world_model.assays import MOLECULES, library

    rng = np.random.default_rng(1)
    return library(), [
        Measurement(
            conditions={"molecule": smiles},
            readouts={"size": Value(value=sum(c.isalpha() for c in smiles) + noise)},
            origin=Origin.IMPORTED,
        )
        for smiles, noise in zip(
            MOLECULES, 0.2 * rng.normal(size=len(MOLECULES)), strict=True
        )
    ]
