"""Read a SMILES and name a molecule by its canonical SMILES."""

from rdkit import Chem, rdBase

from labwm.errors import MoleculeError

SHOWN_CHARACTERS = 120


def parse(smiles: str) -> Chem.Mol:
    """Return the sanitised molecule that `smiles` writes.

    Raises:
        MoleculeError: If `smiles` is empty, holds a space, or breaks a rule of SMILES
            or of valence; the message carries RDKit's reason.
    """
    if not smiles or smiles != smiles.strip() or any(c.isspace() for c in smiles):
        raise MoleculeError(
            f"A molecule is one SMILES without blanks; got {shown(smiles)}. "
            "Write one SMILES per value."
        )
    with rdBase.BlockLogs():
        molecule = Chem.MolFromSmiles(smiles)
    if molecule is None or molecule.GetNumAtoms() == 0:
        raise MoleculeError(
            f"A molecule must be a valid SMILES; got {shown(smiles)} "
            f"({reason_for(smiles)}). Correct its syntax or its valences."
        )
    return molecule


def canonical(smiles: str) -> str:
    """Return the canonical SMILES, the identity of a molecule as it was given.

    Nothing is removed: salts, charges and stereochemistry stay.

    Raises:
        MoleculeError: If `smiles` is not a valid molecule.
    """
    return Chem.MolToSmiles(parse(smiles))


def is_valid(smiles: str) -> bool:
    """Tell whether `smiles` writes a molecule."""
    try:
        parse(smiles)
    except MoleculeError:
        return False
    return True


def reason_for(smiles: str) -> str:
    """Return RDKit's reasons against `smiles`, in its words."""
    with rdBase.BlockLogs():
        unchecked = Chem.MolFromSmiles(smiles, sanitize=False)
        if unchecked is None:
            return "its syntax cannot be read"
        problems = Chem.DetectChemistryProblems(unchecked)
    return "; ".join(problem.Message() for problem in problems) or "no atoms"


def shown(smiles: str) -> str:
    """Return `smiles` quoted and cut to a length that fits a message."""
    if len(smiles) <= SHOWN_CHARACTERS:
        return repr(smiles)
    return f"{smiles[:SHOWN_CHARACTERS]!r}… ({len(smiles)} characters)"
