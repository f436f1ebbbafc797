"""Virtual values beside real ones, policy by policy.

Reference:
    Li et al., arXiv 2405.05941 (2024), fig. 5: the same plot for robots.
"""

from matplotlib.axes import Axes

from labwm.evaluation.bootstrap import mean_interval
from labwm.evaluation.canvas import CYCLE, GREY, panels, png, title, with_unit
from labwm.evaluation.fidelity.bench import TableFidelity


def agreement_plot(found: TableFidelity) -> bytes:
    """Draw each policy's value in both labs with both 95 % intervals over seeds.

    Points on a rising line are ranked alike, on the dashed line also valued alike.
    """
    figure, (axes,) = panels(height=6.4)
    returns, report = found.returns, found.report
    ends: list[float] = []
    for i, policy in enumerate(returns.policies):
        x, x_low, x_high = mean_interval(returns.virtual[..., i].ravel())
        y, y_low, y_high = mean_interval(returns.real[..., i].ravel())
        colour = CYCLE[i % len(CYCLE)]
        marker = "osD^"[i // len(CYCLE) % 4]
        axes.hlines(y, x_low, x_high, color=colour, lw=1.6)
        axes.vlines(x, y_low, y_high, color=colour, lw=1.6)
        axes.plot(x, y, marker, color=colour, ms=8, label=policy)
        ends += [x, y]
    _diagonal(axes, min(ends), max(ends))
    what = "best so far, mean" if report.returned == "area" else "best at the end"
    axes.set_xlabel(f"in the virtual lab: {with_unit(what, found.unit)}")
    axes.set_ylabel("in the real table")
    figure.legend(loc="outside right center")
    r, violation = report.figure("pearson"), report.figure("mmrv")
    words = [
        f"{name} {one.value:.2f}"
        for name, one in (("r", r), ("MMRV", violation))
        if one is not None and one.value is not None
    ]
    title(
        axes,
        f"{report.data}, log {report.behaviour} of {report.n_log} rows: "
        + ", ".join(words),
        width=70,
    )
    return png(figure)


def _diagonal(axes: Axes, low: float, high: float) -> None:
    # Only where both labs pay about the same; else it would squeeze the points.
    x_low, x_high = axes.get_xlim()
    y_low, y_high = axes.get_ylim()
    first, last = max(x_low, y_low, low), min(x_high, y_high, high)
    if first < last:
        axes.plot([first, last], [first, last], color=GREY, ls="--", lw=1, zorder=0)
        axes.set_xlim(x_low, x_high)
        axes.set_ylim(y_low, y_high)
