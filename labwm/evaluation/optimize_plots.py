"""Plots of back-tests: progress on one table, and scores over a family.

Shapes: `s` seeds, `t` experiments.
"""

from collections.abc import Mapping

import numpy as np

from labwm.evaluation.bootstrap import mean_interval
from labwm.evaluation.canvas import CYCLE, GREY, panels, png, title, with_unit
from labwm.evaluation.optimize import Played
from labwm.evaluation.progress import regret_areas


def campaigns_plot(played: Played, *, data: str) -> bytes:
    """Draw each policy's mean progress with its 95 % interval, and random's."""
    figure, (axes,) = panels()
    yardstick = played.yardstick
    sign = yardstick.sign
    for colour, (policy, traces) in zip(
        _colours(len(played.traces)), played.traces.items(), strict=True
    ):
        progress = sign * np.stack([yardstick.progress(t.rows) for t in traces])
        ends = np.array([mean_interval(column) for column in progress.T]).T
        x = np.arange(1, progress.shape[1] + 1)
        axes.plot(x, ends[0], color=colour, lw=2, label=policy)
        axes.fill_between(x, ends[1], ends[2], color=colour, alpha=0.18, lw=0)
    expected = sign * yardstick.random[: played.plan.budget]
    x = np.arange(1, len(expected) + 1)
    axes.plot(x, expected, color=GREY, ls="--", label="random, expected exactly")
    axes.axhline(sign * yardstick.goal, color=GREY, lw=0.8)
    axes.set_xlabel("experiments")
    if yardstick.has_one_objective:
        readout = played.protocol.readout(played.protocol.objectives[0].readout)
        axes.set_ylabel(f"best {with_unit(readout.name, readout.unit)}")
    else:
        axes.set_ylabel("share of the table's hypervolume")
    axes.legend(loc="best")
    n = len(next(iter(played.traces.values())))
    title(axes, f"{data}: mean of {n} campaigns with its 95 % interval")
    return png(figure)


def family_plot(played: Mapping[str, Played], *, name: str) -> bytes:
    """Draw each policy's regret area on each table; 1 is random's expectation."""
    figure, (axes,) = panels(height=2.1 + 0.42 * len(played))
    policies = list(next(iter(played.values())).traces)
    offsets = np.linspace(-0.25, 0.25, len(policies)) if len(policies) > 1 else [0.0]
    for colour, policy, offset in zip(
        _colours(len(policies)), policies, offsets, strict=True
    ):
        ends = np.array(
            [
                mean_interval(regret_areas(p.traces[policy], p.plan, p.yardstick))
                for p in played.values()
            ]
        ).T
        y = np.arange(len(played)) + offset
        axes.hlines(y, ends[1], ends[2], color=colour, lw=2)
        axes.plot(ends[0], y, "o", color=colour, label=policy)
    axes.axvline(1.0, color=GREY, ls="--", lw=1)
    axes.set_yticks(np.arange(len(played)), list(played))
    axes.set_ylim(len(played) - 0.5, -0.5)
    axes.set_xlim(left=0)
    axes.set_xlabel("regret area divided by random's expectation; smaller is better")
    figure.legend(loc="outside lower center", ncols=len(policies))
    title(axes, f"Family {name}: mean with 95 % interval over seeds")
    return png(figure)


def _colours(n: int) -> list[str]:
    return [CYCLE[i % len(CYCLE)] for i in range(n)]
