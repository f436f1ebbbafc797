"""Plot of practice: what each arm needs to the top 1 %, on every table."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from labwm.evaluation.bootstrap import mean_interval
from labwm.evaluation.canvas import CYCLE, GREY, panels, png, title
from labwm.evaluation.practise import Practised

_LABELS = {
    "default": "default optimisation",
    "picked": "picked in the virtual lab",
    "practised": "trained in the virtual lab",
    "scratch": "trained on real steps, counted",
    "mean_candidate": "mean candidate",
}


def practise_plot(found: Mapping[str, Practised]) -> bytes:
    """Draw mean real experiments to the top 1 % with 95 % intervals, by log."""
    names = [Path(name).stem for name in found]
    logs = list(next(iter(found.values())).outcomes)
    figure, axes = panels(len(logs), height=2.4 + 0.75 * len(found))
    offsets = np.linspace(-0.32, 0.32, len(_LABELS))
    for panel, n_log in zip(axes, logs, strict=True):
        needed = [one.needed(n_log) for one in found.values()]
        for colour, (arm, label), offset in zip(
            CYCLE, _LABELS.items(), offsets, strict=False
        ):
            ends = np.array([mean_interval(one[arm]) for one in needed]).T
            y = np.arange(len(found)) + offset
            panel.hlines(y, ends[1], ends[2], color=colour, lw=2)
            panel.plot(ends[0], y, "o", color=colour, label=label)
        most = max(one.most(n_log) for one in found.values()) + 1
        panel.axvline(most, color=GREY, ls="--", lw=1)
        panel.set_yticks(np.arange(len(found)), names if panel is axes[0] else [])
        panel.set_ylim(len(found) - 0.5, -0.5)
        panel.set_xlim(0, 1.03 * most)
        panel.set_xlabel("real experiments to the top 1 %")
        n = len(next(iter(found.values())).outcomes[n_log])
        title(panel, f"log of {n_log} rows, {n} seeds", width=44)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2)
    return png(figure)
