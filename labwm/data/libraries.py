"""Molecules that a protocol names by a file: a library, or building blocks."""

from dataclasses import dataclass
from pathlib import Path

from labwm.data.read import read_table
from labwm.data.table import Table
from labwm.errors import ProtocolError, UnavailableError
from labwm.schema import MoleculeParameter

SMILES_HEADERS = ("smiles", "SMILES", "Smiles", "canonical_smiles")


@dataclass(frozen=True)
class Library:
    """Distinct SMILES in the order of the file, with the names people know them by."""

    smiles: tuple[str, ...]
    labels: dict[str, str]


def read_library(parameter: MoleculeParameter, folder: Path, place: str) -> Library:
    """Read the molecules of a parameter that names a library or building blocks.

    Args:
        parameter: Names the file, relative to `folder`.
        folder: Folder of the protocol file.
        place: `file:line` of the key, for messages.

    Raises:
        ProtocolError: If the file is absent, or holds no such column or no molecule.
    """
    if parameter.building_blocks is not None:
        return _enumerated(parameter, folder, place)
    path = folder / (parameter.library or "")
    if not path.is_file():
        raise ProtocolError(
            f"{place}: the library of {parameter.name!r} is a file beside the "
            f"protocol; got {parameter.library!r}, and {path} is absent. Put it there."
        )
    if path.suffix.lower() == ".smi":
        return _smi(path, place)
    table = read_table(path)
    smiles = table.cells(_smiles_column(parameter, table, place))
    label = parameter.label_column
    labels = table.cells(label) if label and table.has(label) else ("",) * len(smiles)
    return _library(zip(smiles, labels, strict=True), place)


def _smiles_column(parameter: MoleculeParameter, table: Table, place: str) -> str:
    asked = parameter.smiles_column
    for column in (asked,) if asked else SMILES_HEADERS:
        if table.has(column):
            return column
    raise ProtocolError(
        f"{place}: a library has a column of SMILES; {table.source} has "
        f"{list(table.headers)[:8]}. Name it with smiles_column."
    )


def _smi(path: Path, place: str) -> Library:
    """Read lines of `SMILES name`."""
    lines = path.read_text(encoding="utf-8-sig").splitlines()
    split = [line.split(maxsplit=1) for line in lines if line.strip()]
    return _library(((s[0], s[1] if len(s) > 1 else "") for s in split), place)


def _library(pairs: object, place: str) -> Library:
    labels: dict[str, str] = {}
    for smiles, label in pairs:  # pyright: ignore[reportGeneralTypeIssues]
        if smiles.strip():
            labels.setdefault(smiles.strip(), label.strip())
    if not labels:
        raise ProtocolError(f"{place}: a library holds molecules; this one has none.")
    return Library(tuple(labels), {s: label for s, label in labels.items() if label})


def _enumerated(parameter: MoleculeParameter, folder: Path, place: str) -> Library:
    from labwm.chem.library import enumerate_donor_acceptor, read_blocks

    blocks = parameter.building_blocks
    if blocks is None:
        raise ProtocolError(f"{place}: {parameter.name!r} names no building blocks.")
    if blocks.rule != "donor_acceptor":
        raise ProtocolError(
            f"{place}: building blocks are joined by a rule that labwm knows; got "
            f"{blocks.rule!r}. Known: 'donor_acceptor'."
        )
    try:
        molecules = enumerate_donor_acceptor(read_blocks(folder / blocks.file))
    except UnavailableError as error:
        raise ProtocolError(f"{place}: {error}") from error
    return _library(((m.smiles, m.name) for m in molecules), place)
