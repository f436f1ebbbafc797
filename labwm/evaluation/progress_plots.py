"""Plots of one campaign's progress, against random search where that is known.

Shapes: `t` experiments, `k` objectives.
"""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from labwm.evaluation.campaign_record import Outcomes
from labwm.evaluation.canvas import (
    BLUE,
    GREY,
    ORANGE,
    RED,
    panels,
    png,
    title,
    with_unit,
)
from labwm.schema import Goal, Objective, Protocol
from labwm.world_model.hypervolume import is_on_front

Floats = NDArray[np.float64]


def progress_plot(
    reached: Floats,
    *,
    label: str,
    rounds: NDArray[np.int64],
    expected: Floats | None = None,
    band: tuple[Floats, Floats] | None = None,
    goal: float | None = None,
) -> bytes:
    """Draw what a campaign reached against what random search would have.

    Args:
        reached: After each experiment, length `t`.
        label: Of the vertical axis, with its unit.
        rounds: Of each experiment, length `t`; rounds are told apart by shading.
        expected: Random's exact expectation, at least `t` long.
        band: Lower and upper end of random's central 90 %.
        goal: What measuring the whole pool would reach.
    """
    figure, (axes,) = panels()
    draw_progress(
        axes,
        reached,
        label=label,
        rounds=rounds,
        expected=expected,
        band=band,
        goal=goal,
    )
    return png(figure)


def draw_progress(  # noqa: PLR0913 see `progress_plot`
    axes: Axes,
    reached: Floats,
    *,
    label: str,
    rounds: NDArray[np.int64],
    expected: Floats | None = None,
    band: tuple[Floats, Floats] | None = None,
    goal: float | None = None,
) -> None:
    """Draw progress into axes; see `progress_plot`."""
    t = len(reached)
    x = np.arange(1, t + 1)
    _shade_rounds(axes, rounds)
    if band is not None:
        low, high = (side[:t] for side in band)
        axes.fill_between(
            x, low, high, color=GREY, alpha=0.2, label="random search, central 90 %"
        )
    if expected is not None:
        axes.plot(x, expected[:t], color=GREY, ls="--", label="random search, expected")
    if goal is not None:
        axes.axhline(goal, color=ORANGE, lw=1.2, label="whole pool")
    axes.step(x, reached, where="post", color=BLUE, lw=2.4, label="this campaign")
    axes.plot(x[-1], reached[-1], "o", color=BLUE)
    axes.set_xlabel("experiments (shading: rounds)")
    axes.set_ylabel(label)
    axes.set_xlim(0.5, t + 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(loc="best")
    title(
        axes, "Progress against random search" if expected is not None else "Progress"
    )


def front_plot(
    protocol: Protocol, outcomes: Outcomes, *, pool: Floats | None = None
) -> bytes:
    """Draw the first two objectives, coloured by round, and the front.

    Args:
        protocol: Names and units; two objectives at least.
        outcomes: What was measured.
        pool: Utilities of the whole pool, `N x k`, where they are known.
    """
    figure, (axes,) = panels(height=5.8)
    objectives = protocol.objectives[:2]
    # As people read them: distances and costs fall, yields rise.
    signs = np.array([1.0 if o.goal is Goal.MAXIMISE else -1.0 for o in objectives])
    if pool is not None:
        x, y = (signs * pool[:, :2]).T
        axes.plot(x, y, ".", color=GREY, alpha=0.35, ms=4, label="pool")
    x, y = (signs * outcomes.utilities[:, :2]).T
    points = axes.scatter(
        x,
        y,
        c=outcomes.rounds + 1,
        cmap="viridis",
        s=46,
        edgecolor="white",
        linewidth=0.6,
        zorder=3,
        label="measured",
    )
    front = np.flatnonzero(is_on_front(outcomes.utilities[:, :2]))
    front = front[np.argsort(x[front])]
    axes.plot(
        x[front], y[front], "o-", color=RED, mfc="none", ms=11, zorder=4, label="front"
    )
    bar = figure.colorbar(points, ax=axes, pad=0.01)
    bar.set_label("round")
    bar.locator = MaxNLocator(integer=True)
    bar.update_ticks()
    axes.set_xlabel(_axis_label(protocol, objectives[0]))
    axes.set_ylabel(_axis_label(protocol, objectives[1]))
    axes.legend(loc="best")
    title(axes, "Objectives: what was measured, and the front")
    return png(figure)


def _shade_rounds(axes: Axes, rounds: NDArray[np.int64]) -> None:
    for number in np.unique(rounds)[1::2]:
        index = np.flatnonzero(rounds == number)
        axes.axvspan(index[0] + 0.5, index[-1] + 1.5, color=GREY, alpha=0.09, lw=0)


def _axis_label(protocol: Protocol, objective: Objective) -> str:
    readout = protocol.readout(objective.readout)
    label = with_unit(readout.name, readout.unit)
    match objective.goal:
        case Goal.MAXIMISE:
            return f"{label}, higher is better"
        case Goal.MINIMISE:
            return f"{label}, lower is better"
        case Goal.MATCH:
            return f"distance of {label} from {objective.target:g}, lower is better"
