"""Figures of one look, drawn without any global state, as PNG bytes.

Colours are Okabe and Ito's: told apart by colour-blind readers too.
"""

import io
import textwrap
from contextlib import AbstractContextManager

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

BLUE, ORANGE, GREEN, RED, GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#888888"
CYCLE = (BLUE, ORANGE, GREEN, "#CC79A7", "#56B4E9", RED)

WIDTH, HEIGHT, DPI = 9.0, 5.2, 100
_SIGNS = {"percent": "%", "degC": "°C", "kcal/mol": "kcal/mol"}


def panels(n: int = 1, *, height: float = HEIGHT) -> tuple[Figure, list[Axes]]:
    """Return a figure of 900 pixels' width with `n` panels beside each other."""
    with _style():
        figure = Figure(figsize=(WIDTH, height), dpi=DPI, layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots(1, n, squeeze=False)
    return figure, list(axes[0])


def grid(
    n_rows: int, n_columns: int, *, height: float = 1.25 * HEIGHT
) -> tuple[Figure, list[Axes]]:
    """Return a figure of 900 pixels' width with panels in rows, from left to right."""
    with _style():
        figure = Figure(figsize=(WIDTH, height), dpi=DPI, layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots(n_rows, n_columns, squeeze=False)
    return figure, list(axes.flat)


def one_over_two() -> tuple[Figure, list[Axes]]:
    """Return a figure of 900 pixels' width: one wide panel, and two under it.

    Places are written down: finding them takes longer than drawing all the rest.
    """
    with _style():
        figure = Figure(figsize=(WIDTH, 1.75 * HEIGHT), dpi=DPI)
        FigureCanvasAgg(figure)
        top = figure.add_subplot(2, 1, 1)
        axes = [top, figure.add_subplot(2, 2, 3), figure.add_subplot(2, 2, 4)]
        figure.subplots_adjust(
            left=0.09, right=0.98, bottom=0.07, top=0.95, hspace=0.32, wspace=0.25
        )
    return figure, axes


def png(figure: Figure) -> bytes:
    """Return the figure as PNG; the same figure gives the same bytes."""
    buffer = io.BytesIO()
    with _style():
        figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def _style() -> AbstractContextManager[None]:
    return rc_context(
        {
            "font.size": 12.0,
            "axes.titlesize": 13.0,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.grid": True,
            "grid.alpha": 0.25,
            "legend.frameon": False,
        }
    )


def title(axes: Axes, text: str, *, width: int = 88) -> None:
    """Set a title to the left, broken over lines of at most `width` letters."""
    axes.set_title(textwrap.fill(text, width), loc="left")


def with_unit(name: str, unit: str | None) -> str:
    """Return an axis label: the name with its unit.

    >>> with_unit("yield", "percent")
    'yield [%]'
    """
    words = name.replace("_", " ")
    return f"{words} [{_SIGNS.get(unit, unit)}]" if unit else words
