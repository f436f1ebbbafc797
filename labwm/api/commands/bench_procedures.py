"""`labwm bench procedure-log|procedures`: procedures of several operations."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from labwm.api.commands.bench_parts import cell, material, progress_bar, teller
from labwm.api.terminal import Json, out, refuse_unwritable, side, table, write_json
from labwm.errors import ProtocolError
from labwm.schema import MoleculeParameter

Tables = Annotated[
    list[str],
    Parameter(
        name="--data",
        negative=(),
        help="Catalogue name or table, its protocol after an @; repeatable.",
    ),
]


def procedure_log(
    *,
    log: Path,
    data: Tables = ["freesolv", "esol"],  # noqa: B006 only read
    molecules: int = 310,
    heavy_atoms: int = 8,
    episodes: int = 2,
    seed: int = 0,
) -> None:
    """Do random operations on molecules in the lab of procedures, and log them.

    Args:
        log: File that is appended to, a line per episode; a run that stopped goes on.
        molecules: How many, drawn by their hashes.
        heavy_atoms: Most heavy atoms of a molecule.
        episodes: Random ones of each molecule, beside its reference.
        seed: Of the first random episode.
    """
    from labwm.evaluation.procedure_log import LogSettings, choose_molecules, make_log

    wanted = LogSettings(episodes, seed)
    written = [smiles for name in data for smiles in _smiles_of(name)]
    chosen, refused = choose_molecules(written, n=molecules, max_heavy=heavy_atoms)
    for smiles, reason in refused.items():
        side.print(f"left out {smiles}: {reason}", markup=False)
    with progress_bar() as shown:
        n_added = make_log(log, chosen, wanted, teller(shown))
    out.print(f"{log}: {n_added} episodes added, {len(chosen)} molecules", markup=False)


def _smiles_of(named: str) -> list[str]:
    name, _, own = named.partition("@")
    protocol, measurements = material(name, own or None)
    columns = [p.name for p in protocol.parameters if isinstance(p, MoleculeParameter)]
    if len(columns) != 1:
        raise ProtocolError(
            f"A log takes the one molecule of each row; got {columns} in protocol "
            f"{protocol.name!r}. Name a table with one."
        )
    return [str(one.conditions[columns[0]]) for one in measurements]


def procedures(  # noqa: PLR0913 one argument per flag
    *,
    log: Path | None = None,
    seed: int = 0,
    test_share: float = 0.3,
    particles: int = 60,
    plans: int = 40,
    cost_share: float = 0.45,
    json: Json = None,
) -> None:
    """Score the model of operations, and plans made in it, on unseen molecules.

    Args:
        log: Made by `labwm bench procedure-log`; the one that ships when not given.
        seed: Of the split by molecules.
        test_share: Share of the molecules that the model does not see.
        particles: Of each roll-out.
        plans: Unseen molecules on which plans are tried in the lab; 0 for none.
        cost_share: What a plan may be expected to cost, of the fixed recipe.
    """
    refuse_unwritable(json)
    from labwm.data.procedures import SHIPPED, read_procedures
    from labwm.evaluation.procedures import ProcedureSettings, bench_procedures
    from labwm.settings import shipped

    wanted = ProcedureSettings(seed, test_share, particles, plans, cost_share)
    path = shipped(SHIPPED) if log is None else log
    episodes = read_procedures(path)
    with progress_bar() as shown:
        found = bench_procedures(
            episodes, wanted, data=path.name, progress=teller(shown)
        )
    write_json(json, found.to_json())
    by_place = {(row.name, row.metric, row.at): row for row in found.rows}
    names = list(dict.fromkeys(row.name for row in found.rows))
    for metric in ("coverage90", "crps"):
        horizons = sorted({r.at for r in found.rows if r.metric == metric}, key=str)
        table(
            *("model", *(f"{at} operations" for at in horizons)),
            title=f"{metric}: mean [95 % interval over molecules]",
            rows=[
                (name, *(cell(by_place.get((name, metric, at))) for at in horizons))
                for name in names
                if any((name, metric, at) in by_place for at in horizons)
            ],
        )
    metrics = ("gap_error", "lab_seconds", "seconds_ratio", "planning_seconds")
    table(
        *("arm", *metrics),
        title="on the real lab: eV, processor seconds",
        rows=[
            (name, *(cell(by_place.get((name, metric, None))) for metric in metrics))
            for name in names
            if any((name, metric, None) in by_place for metric in metrics)
        ],
    )
    out.print(f"log sha256 {found.data_sha256}", markup=False)
