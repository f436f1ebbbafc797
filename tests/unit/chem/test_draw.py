"""Drawings for reports."""

from xml.etree import ElementTree

import pytest

from labwm.chem.draw import grid_png, svg
from labwm.errors import InvalidInputError, MoleculeError

PNG = b"\x89PNG\r\n\x1a\n"


def size_of(png: bytes) -> tuple[int, int]:
    return int.from_bytes(png[16:20]), int.from_bytes(png[20:24])


def test_an_svg_is_well_formed_and_of_the_asked_size():
    drawing = ElementTree.fromstring(svg("c1ccccc1O", width=300, height=240))
    assert drawing.tag.endswith("svg")
    assert (drawing.get("width"), drawing.get("height")) == ("300px", "240px")


def test_a_grid_has_one_cell_for_each_molecule():
    png = grid_png(["CCO"] * 5, ["a"] * 5, n_columns=3, cell=(100, 80))
    assert png.startswith(PNG)
    assert size_of(png) == (300, 160)


def test_fewer_molecules_than_columns_leave_no_empty_column():
    assert size_of(grid_png(["CCO"], [""], n_columns=4, cell=(100, 80))) == (100, 80)


def test_a_legend_is_missing():
    with pytest.raises(InvalidInputError, match="2 molecules, 1 legends"):
        grid_png(["CCO", "CCN"], ["a"])


def test_nothing_to_draw_is_refused():
    with pytest.raises(InvalidInputError, match="0 molecules"):
        grid_png([], [])


def test_what_is_no_molecule_is_refused():
    with pytest.raises(MoleculeError):
        svg("C1CC")
