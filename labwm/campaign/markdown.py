"""Markdown that Prefect's pages show as it is meant: text as text, images inside."""

import base64
import io
from typing import Final

from labwm.errors import MoleculeError
from labwm.schema import Conditions

MOLECULE_SIZE: Final = (150, 110)
COLOURS: Final = 64
"""Colours of a plot's palette: a third of the bytes, and no eye sees it."""


def conditions(row: Conditions) -> str:
    """Return conditions on one line of a table."""
    return ", ".join(
        f"{name} {_code(value) if isinstance(value, str) else f'{value:.4g}'}"
        for name, value in row.items()
    )


def text(words: str) -> str:
    """Return what somebody wrote as text: no HTML, link, image or code of theirs."""
    words = words.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    for sign, shown in (("\\", "\\\\"), ("`", "\\`"), ("](", "]\\(")):
        words = words.replace(sign, shown)
    return _row(words)


def image(meaning: str, png: bytes) -> str:
    """Return a plot as an image inside the text, with few colours."""
    from PIL import Image

    buffer = io.BytesIO()
    with Image.open(io.BytesIO(png)) as drawn:
        few = drawn.convert("RGB").quantize(COLOURS, Image.Quantize.MAXCOVERAGE)
        few.save(buffer, "PNG", optimize=True)
    data = base64.b64encode(buffer.getvalue()).decode()
    return f"![{meaning}](data:image/png;base64,{data})"


def molecule(smiles: str) -> str:
    """Return a drawn molecule; as text where it cannot be drawn."""
    from labwm.chem.draw import svg

    try:
        drawn = svg(smiles, width=MOLECULE_SIZE[0], height=MOLECULE_SIZE[1])
    except MoleculeError:  # a level that only its name describes
        return text(smiles)
    # Prefect's pages strip raw SVG and show it as an image.
    data = base64.b64encode(drawn.encode()).decode()
    return f"![molecule](data:image/svg+xml;base64,{data})"


def _code(words: str) -> str:
    # A backtick would end the code: such a name is shown as text.
    return text(words) if "`" in words else f"`{_row(words)}`"


def _row(words: str) -> str:
    return words.replace("|", "\\|").replace("\n", " ")
