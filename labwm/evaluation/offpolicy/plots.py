"""Estimated values beside true ones, and how often intervals hold by support."""

from collections.abc import Sequence

import numpy as np

from labwm.evaluation.canvas import CYCLE, GREY, panels, png, title, with_unit
from labwm.evaluation.offpolicy.judged import Judged, by_support
from labwm.evaluation.prediction_powered import LEVEL
from labwm.scores import share_interval


def values_plot(judged: Sequence[Judged], *, unit: str | None) -> bytes:
    """Draw what each estimator said of each policy, one panel per source of the log."""
    sources = list(dict.fromkeys(one.source for one in judged))
    figure, all_axes = panels(len(sources), height=4.8)
    for source, axes in zip(sources, all_axes, strict=True):
        own = [one for one in judged if one.source == source]
        for i, name in enumerate(dict.fromkeys(one.estimator for one in own)):
            part = [one for one in own if one.estimator == name]
            axes.plot(
                [one.truth for one in part],
                [one.estimate.value for one in part],
                "osD^"[i % 4],
                color=CYCLE[i],
                ms=3.5,
                alpha=0.55,
                label=name.replace("_", " "),
            )
        truths = [one.truth for one in own]
        ends = [min(truths), max(truths)]
        axes.plot(ends, ends, color=GREY, ls="--", lw=1)
        axes.set_xlabel("true mean")
        title(axes, f"learnt from {source.replace('_', ' ')}", width=26)
    all_axes[0].set_ylabel(with_unit("estimated mean", unit))
    handles, labels = all_axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4)
    return png(figure)


def support_plot(judged: Sequence[Judged]) -> bytes:
    """Draw the share of 90 % intervals that held, by closeness to the log."""
    figure, (axes,) = panels()
    names = list(dict.fromkeys(one.estimator for one in judged))
    offsets = np.linspace(-0.015, 0.015, len(names))
    for i, (name, offset) in enumerate(zip(names, offsets, strict=True)):
        centres, shares = [], []
        for part in by_support([one for one in judged if one.estimator == name]):
            stated = [one for one in part if not one.estimate.is_vacuous]
            if not stated:
                continue
            n_inside = sum(one.estimate.covers(one.truth) for one in stated)
            x = float(np.mean([one.support for one in part])) + offset
            low, high = share_interval(n_inside, len(stated))
            axes.vlines(x, low, high, color=CYCLE[i], lw=1.6)
            centres.append(x)
            shares.append(n_inside / len(stated))
        axes.plot(centres, shares, "o-", color=CYCLE[i], label=name.replace("_", " "))
    axes.axhline(LEVEL, color=GREY, ls="--", lw=1)
    axes.set_ylim(0, 1.03)
    axes.set_xlabel("support of the judged policy: share of prior variance removed")
    axes.set_ylabel("share of 90 % intervals that held")
    axes.legend(loc="lower right")
    title(axes, "Coverage by support; vacuous intervals are left out")
    return png(figure)
