"""Enumerate a library of donor-bridge-acceptor molecules from building blocks.

`python -m labwm.chem.library FOLDER` reads `FOLDER/blocks.yaml` and writes
`FOLDER/library.csv`; equal blocks give an equal file, byte for byte.
"""

import argparse
import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import yaml
from rdkit import Chem

from labwm.chem.molecule import parse
from labwm.errors import InvalidInputError, MoleculeError, UnavailableError, suggest

OPEN = "*"
COLUMNS = ("smiles", "name", "donor", "bridge", "acceptor")


@dataclass(frozen=True)
class Block:
    """A building block whose open bonds `*` stand at the ends of its SMILES."""

    name: str
    smiles: str
    """`…*` for a donor, `*…*` for a bridge, `*…` for an acceptor; empty for the bridge
    that joins donor and acceptor directly."""
    tags: frozenset[str] = frozenset()

    def answers_to(self, word: str) -> bool:
        """Tell whether `word` is this block's name or one of its tags."""
        return word == self.name or word in self.tags


@dataclass(frozen=True)
class Exclusion:
    """Drops the molecules whose blocks match every field that is not empty."""

    reason: str
    donor: str = ""
    bridge: str = ""
    acceptor: str = ""

    def covers(self, donor: Block, bridge: Block, acceptor: Block) -> bool:
        """Tell whether this rule drops the molecule made of these three blocks."""
        pairs = ((self.donor, donor), (self.bridge, bridge), (self.acceptor, acceptor))
        return all(not word or block.answers_to(word) for word, block in pairs)


@dataclass(frozen=True)
class Blocks:
    """What a library is made of."""

    donors: tuple[Block, ...]
    bridges: tuple[Block, ...]
    acceptors: tuple[Block, ...]
    exclusions: tuple[Exclusion, ...]
    max_atoms: int
    """Largest molecule kept, hydrogens included."""


@dataclass(frozen=True)
class LibraryMolecule:
    """One member of a library: its canonical SMILES and its three blocks' names."""

    smiles: str
    name: str
    donor: str
    bridge: str
    acceptor: str


def read_blocks(path: Path) -> Blocks:
    """Read building blocks from YAML.

    Raises:
        UnavailableError: If there is no such file.
        InvalidInputError: If a key is missing or unknown, or a name comes twice.
        MoleculeError: If a block is no molecule with the open bonds of its kind.
    """
    if not path.is_file():
        raise UnavailableError(
            f"A library is made from a file of building blocks; got {path}, which "
            "does not exist. Name the folder that holds blocks.yaml."
        )
    try:
        written = yaml.safe_load(path.read_text(encoding="utf-8"))
        blocks = Blocks(
            donors=_blocks_of(written["donors"], "donor"),
            bridges=_blocks_of(written["bridges"], "bridge"),
            acceptors=_blocks_of(written["acceptors"], "acceptor"),
            exclusions=tuple(Exclusion(**rule) for rule in written["exclusions"]),
            max_atoms=int(written["max_atoms"]),
        )
    except (KeyError, TypeError, ValueError, yaml.YAMLError) as error:
        raise InvalidInputError(
            "Building blocks are donors, bridges, acceptors, exclusions and max_atoms; "
            f"got {path} ({type(error).__name__}: {error}). Compare it with "
            "protocols/xtb_dyes/blocks.yaml."
        ) from error
    _refuse_unknown_words(blocks)
    return blocks


def enumerate_donor_acceptor(blocks: Blocks) -> list[LibraryMolecule]:
    """Join every donor, bridge and acceptor that no rule excludes.

    The order is that of the blocks; of two ways to write one molecule the first stays.
    """
    library: dict[str, LibraryMolecule] = {}
    for donor, bridge, acceptor in _allowed(blocks):
        molecule = _joined(donor, bridge, acceptor)
        if Chem.AddHs(molecule).GetNumAtoms() > blocks.max_atoms:
            continue
        smiles = Chem.MolToSmiles(molecule)
        names = (donor.name, bridge.name, acceptor.name)
        library.setdefault(smiles, LibraryMolecule(smiles, " | ".join(names), *names))
    return list(library.values())


def as_csv(library: Sequence[LibraryMolecule]) -> str:
    """Return the library as CSV text with the columns `COLUMNS`."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows((m.smiles, m.name, m.donor, m.bridge, m.acceptor) for m in library)
    return text.getvalue()


def _allowed(blocks: Blocks) -> Iterator[tuple[Block, Block, Block]]:
    for trio in product(blocks.donors, blocks.bridges, blocks.acceptors):
        if not any(rule.covers(*trio) for rule in blocks.exclusions):
            yield trio


def _joined(donor: Block, bridge: Block, acceptor: Block) -> Chem.Mol:
    """Write the blocks one after another; molecules are joined as text.

    `Chem.molzip` loses the stereochemistry of some double bonds beside a new bond.
    """
    smiles = donor.smiles.removesuffix(OPEN)
    for block in (bridge, acceptor):
        following = block.smiles.removeprefix(OPEN).removesuffix(OPEN)
        # Two neighbouring double bonds share the direction of the bond between them.
        if smiles.endswith("/"):
            following = following.removeprefix("/")
        smiles += following
    return parse(smiles)


def _blocks_of(rows: list[dict], kind: str) -> tuple[Block, ...]:
    blocks = tuple(
        Block(row["name"], row.get("smiles", ""), frozenset(row.get("tags", ())))
        for row in rows
    )
    names = [block.name for block in blocks]
    if len(set(names)) < len(names):
        raise ValueError(f"a block's name comes twice among {names}")
    for block in blocks:
        _check_open_bonds(block, kind)
    return blocks


def _check_open_bonds(block: Block, kind: str) -> None:
    if kind == "bridge" and not block.smiles:
        return
    begins, ends = kind != "donor", kind != "acceptor"
    found = (block.smiles.startswith(OPEN), block.smiles.endswith(OPEN))
    n_open = sum(atom.GetAtomicNum() == 0 for atom in parse(block.smiles).GetAtoms())
    if found != (begins, ends) or n_open != begins + ends:
        raise MoleculeError(
            "A donor's SMILES ends with its one open bond *, an acceptor's begins with "
            f"it, a bridge's does both; got {kind} {block.name!r} ({block.smiles!r}). "
            "Write the atom that bears the open bond last or first."
        )


def _refuse_unknown_words(blocks: Blocks) -> None:
    for rule in blocks.exclusions:
        for kind, word, known in (
            ("donor", rule.donor, blocks.donors),
            ("bridge", rule.bridge, blocks.bridges),
            ("acceptor", rule.acceptor, blocks.acceptors),
        ):
            if word and not any(block.answers_to(word) for block in known):
                raise InvalidInputError(
                    f"An exclusion names blocks or tags that exist; got {kind} "
                    f"{word!r}. {suggest(word, _words(known))}"
                )


def _words(blocks: Sequence[Block]) -> set[str]:
    return {word for block in blocks for word in (block.name, *block.tags)}


def main() -> None:
    """Write `library.csv` beside the `blocks.yaml` of the named folder."""
    parser = argparse.ArgumentParser(prog="python -m labwm.chem.library")
    parser.add_argument("folder", type=Path, help="folder that holds blocks.yaml")
    folder = parser.parse_args().folder
    library = enumerate_donor_acceptor(read_blocks(folder / "blocks.yaml"))
    (folder / "library.csv").write_text(as_csv(library), encoding="utf-8", newline="")


if __name__ == "__main__":
    main()
