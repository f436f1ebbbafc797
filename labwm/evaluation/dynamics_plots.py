"""Plots of curves that a model did not see: what it said after their first quarter.

Shapes: `t` times.
"""

from pathlib import Path
from typing import Final

import numpy as np
from matplotlib.axes import Axes

from labwm.evaluation.canvas import BLUE, GREY, ORANGE, RED, grid, png, with_unit
from labwm.evaluation.dynamics import QUARTER, DynamicsComparison, Shown
from labwm.space.curves import Reads
from labwm.world_model.dynamics import CurveForecast
from labwm.world_model.dynamics.families import best_by_aic
from labwm.world_model.dynamics.left_out import n_seen

N_SHOWN: Final = 6
N_TIMES: Final = 160
N_DRAWS: Final = 3


def write_dynamics_plots(found: DynamicsComparison, folder: Path) -> list[Path]:
    """Draw forecasts of curves of the first split; nothing without the model."""
    if found.shown is None:
        return []
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "curves.png"
    path.write_bytes(forecast_curves(found.shown))
    return [path]


def forecast_curves(shown: Shown) -> bytes:
    """Draw six curves from the best to the worst forecast of the end."""
    name = shown.asked.readouts[0]
    reads = shown.asked.reads(name)
    forecasts = [
        forecast.condition_on(own.until(n_seen(own.time, QUARTER)))
        for forecast, own in zip(
            shown.model.forecasts(shown.asked.questions), reads, strict=True
        )
    ]
    errors = [
        abs(float(forecast.predict(own.time[-1:]).mean[0, 0] - own.value[-1]))
        for forecast, own in zip(forecasts, reads, strict=True)
    ]
    n = min(N_SHOWN, len(reads))
    ranks = np.linspace(0, len(reads) - 1, n).round().astype(int)
    figure, axes = grid(2, 3)
    card = shown.model.card
    for panel, rank in zip(axes, ranks, strict=False):
        i = int(np.argsort(errors, kind="stable")[rank])
        _curve(panel, forecasts[i], reads[i])
        panel.set_title(f"error {rank + 1} of {len(reads)}", loc="left", fontsize=11)
    for panel in axes[n:]:
        panel.set_axis_off()
    for panel in axes[-3:]:
        panel.set_xlabel(with_unit("time", card.time_unit))
    for panel in axes[::3]:
        panel.set_ylabel(with_unit(name, card.unit))
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, fontsize=10)
    title_of = f"Forecast after the first quarter, best to worst; base: {card.base}"
    figure.suptitle(title_of, x=0.01, ha="left", fontsize=13)
    return png(figure)


def _curve(panel: Axes, forecast: CurveForecast, reads: Reads) -> None:
    times = np.linspace(reads.time[0], reads.time[-1], N_TIMES)
    said = forecast.predict(times)
    for level, alpha in ((0.9, 0.2), (0.5, 0.3)):
        low, high = said.interval(level)
        panel.fill_between(
            times, low[:, 0], high[:, 0], color=BLUE, alpha=alpha, lw=0,
            label=f"{level:.0%} interval",
        )  # fmt: skip
    panel.plot(times, said.quantile(0.5)[:, 0], color=BLUE, label="median")
    for seed in range(N_DRAWS):
        label = "drawn curves" if seed == 0 else None
        panel.plot(
            times, forecast.draw(seed).truth(times), color=GREY, lw=0.7, label=label
        )
    seen = forecast.reads
    later = times[times >= seen.time[-1]]
    fit = best_by_aic(seen, float(forecast.process.knots.at[-1])).at(later)
    span = np.ptp(
        [*reads.value, *said.interval(0.9)[0][:, 0], *said.interval(0.9)[1][:, 0]]
    )
    fit = np.clip(fit, reads.value.min() - span, reads.value.max() + span)
    panel.plot(later, fit, "--", color=ORANGE, lw=1.2, label="best parametric fit")
    n = len(seen)
    panel.plot(
        reads.time[n:], reads.value[n:], ".", ms=4, color="black", label="not seen"
    )
    panel.plot(seen.time, seen.value, "o", ms=4, color=RED, label="seen")
