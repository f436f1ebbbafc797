"""Plots of honesty: what was predicted before against what was measured after.

Shapes: `p` predicted measurements, `m` readouts.
"""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from labwm.evaluation.campaign_record import Stated
from labwm.evaluation.canvas import (
    BLUE,
    CYCLE,
    GREY,
    RED,
    panels,
    png,
    title,
    with_unit,
)
from labwm.scores import share_interval

Floats = NDArray[np.float64]
LEVELS = np.linspace(0.05, 0.95, 19)


def coverage(is_inside: Floats) -> tuple[float, float, float, int]:
    """Return share, its 95 % interval, and number; NaN is left out."""
    known = is_inside[~np.isnan(is_inside)]
    n = len(known)
    if n == 0:
        return np.nan, np.nan, np.nan, 0
    hits = int(known.sum())
    return hits / n, *share_interval(hits, n), n


def before_after_plot(stated: Stated) -> bytes:
    """Draw each prediction with its 90 % interval against what was measured after."""
    names = stated.readouts
    figure, grid = panels(len(names), height=5.4 if len(names) == 1 else 4.9)
    for j, axes in enumerate(grid):
        draw_before_after(axes, stated, j, width=88 // len(names))
    return png(figure)


def draw_before_after(axes: Axes, stated: Stated, j: int, *, width: int) -> None:
    """Draw the predictions of readout `j` against what was measured into axes.

    Args:
        axes: Where to draw.
        stated: What was predicted before.
        j: Of the readout.
        width: Letters of the title's lines.
    """
    low, high = stated.interval(0.9)
    inside = stated.is_inside(0.9)
    share, _, _, n = coverage(inside[:, j])
    _draw_intervals(axes, stated, low[:, j], high[:, j], inside[:, j], j)
    label = with_unit(stated.readouts[j], stated.units[j])
    axes.set_xlabel(f"measured {label}")
    axes.set_ylabel(f"predicted {label}")
    axes.legend(loc="upper left", fontsize=10)
    title(
        axes,
        f"{round(share * n)} of {n} measured values inside their 90 % interval"
        if n
        else "nothing measured yet",
        width=width,
    )


def calibration_plot(stated: Stated) -> bytes:
    """Draw the share of values inside each central interval against its level.

    The grey band holds 95 % of honest models with as many values.
    """
    figure, (axes,) = panels()
    draw_calibration(axes, stated)
    title(axes, "Calibration of predictions made before measuring")
    return png(figure)


def draw_calibration(axes: Axes, stated: Stated) -> None:
    """Draw calibration into axes; see `calibration_plot`."""
    axes.plot([0, 1], [0, 1], color=GREY, lw=1)
    for j, name in enumerate(stated.readouts):
        n = int(np.sum(~np.isnan(stated.values[:, j])))
        if n == 0:
            continue
        shares = [float(np.nanmean(stated.is_inside(level)[:, j])) for level in LEVELS]
        if j == 0:
            low, high = honest_band(n)
            axes.fill_between(
                LEVELS,
                low,
                high,
                color=GREY,
                alpha=0.2,
                label=f"honest, n = {n} (95 %)",
            )
        axes.plot(LEVELS, shares, "-o", ms=4, color=CYCLE[j], label=f"{name}, n = {n}")
    axes.set_xlabel("stated probability of the central interval")
    axes.set_ylabel("share of measured values inside")
    axes.set_xlim(0, 1)
    axes.set_ylim(-0.02, 1.02)
    axes.legend(loc="upper left")


def honest_band(n: int, level: float = 0.95) -> tuple[Floats, Floats]:
    """Return where the share of `n` values lies for an honest model, at `LEVELS`."""
    from scipy.stats import binom

    tail = (1 - level) / 2
    low, high = (np.asarray(binom.ppf(p, n, LEVELS), float) for p in (tail, 1 - tail))
    return low / n, high / n


def noise_plot(groups: Sequence[Floats], *, name: str, unit: str | None) -> bytes:
    """Draw the deviation of each replicate from the mean of its conditions.

    Args:
        groups: Replicates of one readout, one array per conditions, two values or more.
        name: Of the readout.
        unit: Of the readout.
    """
    figure, (axes,) = panels()
    squares = 0.0
    freedom = 0
    for group in groups:
        mean = float(np.mean(group))
        axes.plot(np.full(len(group), mean), group - mean, "o", color=BLUE, alpha=0.55)
        squares += float(np.sum((group - mean) ** 2))
        freedom += len(group) - 1
    sd = np.sqrt(squares / freedom)
    for side in (-1, 1):
        axes.axhline(side * sd, color=GREY, ls="--", lw=1)
    axes.axhline(0, color=GREY, lw=1)
    label = with_unit(name, unit)
    axes.set_xlabel(f"mean of the replicates, {label}")
    axes.set_ylabel(f"replicate − mean, {label}")
    title(
        axes,
        f"Replicate noise of {name}: standard deviation {sd:.3g}"
        f"{' ' + unit if unit else ''} over {len(groups)} conditions (dashed)",
    )
    return png(figure)


def _draw_intervals(
    axes: Axes, stated: Stated, low: Floats, high: Floats, inside: Floats, j: int
) -> None:
    measured, middle = stated.values[:, j], stated.mean[:, j]
    known = np.asarray(~np.isnan(measured))
    ends = np.concatenate([low[known], high[known], measured[known]])
    if len(ends):
        span = [float(ends.min()), float(ends.max())]
        axes.plot(span, span, color=GREY, lw=1, zorder=1)
    for value, colour, marker, label in (
        (1.0, BLUE, "o", "inside its interval"),
        (0.0, RED, "D", "outside"),
    ):
        rows = known & (inside == value)
        if rows.any():
            below = np.maximum(middle[rows] - low[rows], 0.0)
            above = np.maximum(high[rows] - middle[rows], 0.0)
            axes.errorbar(
                measured[rows],
                middle[rows],
                yerr=np.stack([below, above]),
                fmt=marker,
                color=colour,
                ms=5,
                lw=1,
                alpha=0.8,
                label=f"{label} ({int(rows.sum())})",
            )
