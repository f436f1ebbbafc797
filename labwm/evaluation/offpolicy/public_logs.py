"""Two public logs on the table `direct_arylation`: chemists at a game, and a program.

Reference:
    Shields et al., Nature 590, 89 (2021): 50 chemists chose experiments of the table,
    and so did 50 runs of Bayesian optimisation in batches of five.
"""

import csv
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

import numpy as np

from labwm.chem.molecule import canonical
from labwm.data.catalogue import fetch, load_table
from labwm.data.measurements import labels_from_table
from labwm.errors import TableError
from labwm.evaluation.lookup import Lookup
from labwm.evaluation.offpolicy.behaviour_log import BehaviourLog, log_from
from labwm.space.questions import questions_from

TABLE: Final = "direct_arylation"
GAME, RUNS = "direct_arylation_game", "direct_arylation_bo_runs"

NAMES: Final[Mapping[str, Mapping[str, str]]] = {
    "base": {
        "KOAc": "Potassium acetate",
        "KOPiv": "Potassium pivalate",
        "CsOAc": "Cesium acetate",
        "CsOPiv": "Cesium pivalate",
    },
    "ligand": {
        "GorlosPhos HBF4": "1268824-69-6",
        "tBPh-CPhos": "(t-Bu)PhCPhos",
        "X-Phos": "XPhos",
        "CgMe-PPh": "SCHEMBL15068049",
        "P(fur)3": "P(2-furyl)3",
        "PPhtBu2": "Di-tert-butylphenylphosphine",
        "PCy3 HBF4": "Tricyclohexylphosphine",
        "PPh2Me": "Methyldiphenylphosphine",
        "PPhMe2": "Me2PPh",
    },
    "solvent": {"BuOAc": "Butyl Ester", "BuCN": "Butyornitrile"},
}
"""What the game calls the table's molecules; other names are the same in both."""


def game_log(lookup: Lookup) -> BehaviourLog:
    """Return what the chemists chose, with every yield checked against the table.

    Raises:
        TableError: If the table is not the one that the game was played on.
    """
    row_of = {key: i for i, key in enumerate(lookup.pool.keys())}
    smiles = _smiles_of(lookup)
    found: list[tuple[int, int, int | None]] = []
    for player, record in enumerate(_records(fetch(GAME)[0])):
        for order in range(100):
            if not (said := record.get(f"yield_{order + 1}")):
                break
            conditions: dict[str, float | str] = {
                "temperature": float(record[f"temp_{order + 1}"]),
                "concentration": float(record[f"conc_{order + 1}"]),
            }
            for name, known in smiles.items():
                called = record[f"{name}_{order + 1}"]
                conditions[name] = known[NAMES[name].get(called, called)]
            (key,) = questions_from(lookup.protocol, [conditions]).keys()
            row = row_of.get(key)
            if row is None or abs(lookup.truth[row, 0] - float(said)) > 0.01:
                raise TableError(
                    f"The game's log fits the table {TABLE!r} alone; its experiment "
                    f"{order + 1} of player {player + 1} gave {said}, the data at hand "
                    "say otherwise. Give that table, or another log."
                )
            found.append((player, order, row))
    return log_from(GAME, found)


def runs_log(lookup: Lookup) -> BehaviourLog:
    """Return what the program chose: the published file holds its yields only.

    An experiment is identified where one row of the table alone has its yield; others
    (ties, most of them of yield 0) are counted as unknown and left out.

    Raises:
        TableError: If a yield is not of the table.
    """
    yields = np.round(lookup.truth[:, 0], 4)
    values, first, counts = np.unique(yields, return_index=True, return_counts=True)
    row_of = {float(v): int(i) for v, i in zip(values, first, strict=True)}
    is_single = dict(zip(values.tolist(), (counts == 1).tolist(), strict=True))
    found: list[tuple[int, int, int | None]] = []
    for run, record in enumerate(_records(fetch(RUNS)[0])):
        for order in range(100):
            value = round(float(record[str(order)]), 4)
            if value not in row_of:
                raise TableError(
                    f"The runs' log fits the table {TABLE!r} alone; its yield {value} "
                    "is none of the data at hand. Give that table, or another log."
                )
            found.append((run, order, row_of[value] if is_single[value] else None))
    return log_from(RUNS, found)


PUBLIC: Final[Mapping[str, Callable[[Lookup], BehaviourLog]]] = {
    GAME: game_log,
    RUNS: runs_log,
}


def _smiles_of(lookup: Lookup) -> dict[str, dict[str, str]]:
    """Return the pool's SMILES of each name, by parameter."""
    labels = labels_from_table(load_table(TABLE), lookup.protocol)
    found: dict[str, dict[str, str]] = {}
    for name in NAMES:
        if name not in labels or name not in lookup.pool.columns:
            raise TableError(
                f"The game's log needs the protocol {TABLE!r} with its labels; got "
                f"{lookup.protocol.name!r}. Give that protocol."
            )
        written = {canonical(str(s)): str(s) for s in lookup.pool.columns[name]}
        found[name] = {
            label: written[canonical(smiles)] for smiles, label in labels[name].items()
        }
    return found


def _records(path: Path) -> Iterator[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        yield from csv.DictReader(file)
