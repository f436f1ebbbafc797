"""Plots of a comparison of models on rows that they did not see.

Shapes: `q` rows.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray
from scipy.special import ndtri

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
from labwm.evaluation.forecasts import Forecasts, joined
from labwm.evaluation.honesty_plots import LEVELS, honest_band
from labwm.evaluation.predict import Comparison

Floats = NDArray[np.float64]

SHOWN = 250
"""Rows drawn with their intervals; more hide each other."""
N_BINS = 8


def write_plots(found: Comparison, folder: Path) -> list[Path]:
    """Draw calibration, predictions and errors of each kind of split into a folder.

    Predictions and errors are those of the first model that was named.
    """
    folder.mkdir(parents=True, exist_ok=True)
    first = next(iter(found.said))[0]
    written = []
    for at in dict.fromkeys(at for _, at in found.said):
        by_model = {
            name: joined(parts)
            for (name, own), parts in found.said.items()
            if own == at
        }
        label = Path(at).stem
        plots = {
            "calibration": calibration(by_model, at),
            "predicted_vs_measured": predicted(
                first, found.said[first, at][0], found, at
            ),
            "error_against_support": error_against_support(
                first, by_model[first], found, at
            ),
        }
        for name, image in plots.items():
            path = folder / f"{name}_{label}.png"
            path.write_bytes(image)
            written.append(path)
    return written


def calibration(by_model: dict[str, Forecasts], at: str) -> bytes:
    """Draw the share inside each central interval against its stated probability."""
    figure, (axes,) = panels()
    axes.plot([0, 1], [0, 1], color=GREY, lw=1)
    n = len(next(iter(by_model.values())))
    low, high = honest_band(n)
    axes.fill_between(
        LEVELS, low, high, color=GREY, alpha=0.25, label=f"honest, n = {n} (95 %)"
    )
    for colour, (name, said) in zip(CYCLE, by_model.items(), strict=False):
        needed = np.abs(2 * said.cdf - 1)
        shares = [float(np.mean(needed <= level)) for level in LEVELS]
        axes.plot(LEVELS, shares, "-o", ms=4, color=colour, label=name)
    axes.set_xlabel("stated probability of the central interval")
    axes.set_ylabel("share of measured values inside")
    axes.set_xlim(0, 1)
    axes.set_ylim(-0.02, 1.02)
    axes.legend(loc="upper left")
    title(axes, f"Calibration on rows that were not seen, split {at}")
    return png(figure)


def predicted(name: str, said: Forecasts, found: Comparison, at: str) -> bytes:
    """Draw predictions of one split with their 90 % intervals against what was seen."""
    figure, (axes,) = panels()
    rows = np.random.default_rng(0).permutation(len(said))[:SHOWN]
    shown = said.take(np.sort(rows))
    span = [float(min(shown.y.min(), shown.low.min())),
            float(max(shown.y.max(), shown.high.max()))]  # fmt: skip
    axes.plot(span, span, color=GREY, lw=1, zorder=1)
    for inside, colour, label in ((True, BLUE, "inside"), (False, RED, "outside")):
        part = shown.take(np.flatnonzero(shown.is_inside == inside))
        if len(part):
            below = np.maximum(part.mean - part.low, 0.0)
            above = np.maximum(part.high - part.mean, 0.0)
            axes.errorbar(
                part.y, part.mean, yerr=np.stack([below, above]), fmt="o", ms=3.5,
                lw=0.8, alpha=0.7, color=colour, label=f"{label} ({len(part)})",
            )  # fmt: skip
    label = with_unit(found.readout, found.unit)
    axes.set_xlabel(f"measured {label}")
    axes.set_ylabel(f"predicted {label}, 90 % interval")
    axes.legend(loc="upper left")
    which = "" if len(shown) == len(said) else f"; {len(shown)} of {len(said)} rows"
    title(axes, f"{name} on one split {at}: predicted against measured{which}")
    return png(figure)


def error_against_support(
    name: str, said: Forecasts, found: Comparison, at: str
) -> bytes:
    """Draw errors against support, with what the model says that they are."""
    figure, (axes,) = panels()
    error = np.abs(said.y - said.mean)
    has_support = bool(np.isfinite(said.support).all())
    place = said.support if has_support else said.sd
    axes.plot(place, error, ".", ms=3, alpha=0.35, color=GREY, label="one row")
    bins = np.array_split(np.argsort(place, kind="stable"), min(N_BINS, len(said)))
    middle = [float(np.median(place[rows])) for rows in bins]
    _median(axes, middle, [error[rows] for rows in bins], BLUE, "measured")
    half = _half_widths(said)
    _median(axes, middle, [half[rows] for rows in bins], RED, "stated")
    axes.set_ylim(0, max(float(np.quantile(error, 0.99)), 1e-12))
    axes.set_xlim(left=float(np.quantile(place, 0.01)))
    axes.set_xlabel(
        "support: share of the prior variance that data removed"
        if has_support
        else f"stated standard deviation of {with_unit(found.readout, found.unit)}"
    )
    axes.set_ylabel(f"distance from the mean, {with_unit(found.readout, found.unit)}")
    axes.legend(loc="upper right")
    title(axes, f"{name} on the split {at}: error against support, all rows")
    return png(figure)


def _half_widths(said: Forecasts) -> Floats:
    # Half the 90 % interval, brought to the half that a normal would have at 50 %.
    return 0.5 * (said.high - said.low) * float(ndtri(0.75) / ndtri(0.95))


def _median(
    axes: Axes, middle: list[float], parts: Sequence[Floats], colour: str, label: str
) -> None:
    axes.plot(
        middle, [float(np.median(part)) for part in parts], "-o", ms=5, color=colour,
        label=f"median {label}",
    )  # fmt: skip
