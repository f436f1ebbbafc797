"""Bemis-Murcko scaffolds: ring systems and the chains that join them.

Reference:
    Bemis & Murcko, J. Med. Chem. 39 (1996) 2887.
"""

from collections.abc import Iterable

from rdkit import Chem
from rdkit.Chem.Scaffolds import MurckoScaffold

from labwm.chem.molecule import parse


def scaffolds(smiles: Iterable[str]) -> list[str]:
    """Return each molecule's scaffold as canonical SMILES, empty where it has no ring.

    Stereochemistry does not count; an absent molecule (empty text) has no scaffold.

    Raises:
        MoleculeError: If one of `smiles` is not a molecule.
    """
    known: dict[str, str] = {"": ""}
    found = []
    for written in smiles:
        if written not in known:
            core = MurckoScaffold.GetScaffoldForMol(parse(written))
            known[written] = Chem.MolToSmiles(core, isomericSmiles=False)
        found.append(known[written])
    return found
