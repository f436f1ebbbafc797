"""Draw molecules for reports."""

from collections.abc import Sequence

from rdkit import Chem
from rdkit.Chem import rdDepictor
from rdkit.Chem.Draw import rdMolDraw2D

from labwm.chem.molecule import parse
from labwm.errors import InvalidInputError


def svg(smiles: str, *, legend: str = "", width: int = 250, height: int = 200) -> str:
    """Return a drawing as an SVG document without an XML declaration.

    Raises:
        MoleculeError: If `smiles` is not a molecule.
    """
    drawer = rdMolDraw2D.MolDraw2DSVG(width, height)
    drawer.DrawMolecule(_drawable(smiles), legend=legend)
    drawer.FinishDrawing()
    text = drawer.GetDrawingText()
    # Inside HTML an XML declaration is an error.
    return text[text.index("<svg") :]


def grid_png(
    smiles: Sequence[str],
    legends: Sequence[str],
    *,
    n_columns: int = 4,
    cell: tuple[int, int] = (280, 220),
) -> bytes:
    """Return a PNG image with one labelled molecule per cell, row by row.

    Args:
        smiles: At least one molecule.
        legends: One line under each molecule.
        n_columns: Cells in a row.
        cell: Width and height of a cell in pixels.

    Raises:
        InvalidInputError: If there is no molecule, or not one legend for each.
        MoleculeError: If one of `smiles` is not a molecule.
    """
    if not smiles or len(smiles) != len(legends) or n_columns < 1:
        raise InvalidInputError(
            "A grid needs at least one molecule, one legend for each and a column; got "
            f"{len(smiles)} molecules, {len(legends)} legends, {n_columns} columns. "
            "Pass an empty legend where none is wanted."
        )
    width, height = cell
    n_columns = min(n_columns, len(smiles))
    n_rows = -(-len(smiles) // n_columns)
    drawer = rdMolDraw2D.MolDraw2DCairo(
        width * n_columns, height * n_rows, width, height
    )
    drawer.DrawMolecules([_drawable(s) for s in smiles], legends=list(legends))
    drawer.FinishDrawing()
    return drawer.GetDrawingText()


def _drawable(smiles: str) -> Chem.Mol:
    molecule = rdMolDraw2D.PrepareMolForDrawing(parse(smiles))
    rdDepictor.StraightenDepiction(molecule)
    return molecule
