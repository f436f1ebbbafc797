"""Draw what a task prior gains against the number of rows of the new assay."""

from pathlib import Path
from typing import Final

from matplotlib.axes import Axes

from labwm.evaluation.canvas import BLUE, GREY, RED, panels, png, title
from labwm.evaluation.table import BenchTable
from labwm.evaluation.task_scores import PRIOR, SINGLE

_GAINS: Final = (
    (PRIOR, "delta_auprc", BLUE, "task prior"),
    (SINGLE, "delta_auprc", GREY, "Tanimoto process alone"),
)
_SHARES: Final = (
    (PRIOR, "nlpd_win_share", BLUE, "prior's NLPD is lower"),
    (PRIOR, "negative_transfer_rate", RED, "prior's ΔAUPRC is lower"),
)


def write_plot(found: BenchTable, folder: Path) -> Path:
    """Draw ΔAUPRC of both arms and the shares won and lost into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "tasks.png"
    path.write_bytes(few_shot_curves(found))
    return path


def few_shot_curves(found: BenchTable) -> bytes:
    """Return the picture as PNG; intervals are 95 % over assays."""
    figure, axes = panels(2)
    for own, lines in zip(axes, (_GAINS, _SHARES), strict=True):
        for i, (name, metric, colour, label) in enumerate(lines):
            _line(own, found, (name, metric), (colour, label, 0.98 + 0.04 * i))
        own.set_xscale("log", base=2)
        sizes = sorted(
            {float(r.at) for r in found.rows if r.metric == "nlpd" and r.at is not None}
        )
        own.set_xticks(sizes, [f"{size:g}" for size in sizes])
        own.minorticks_off()
        own.set_xlabel("rows of the new assay")
        own.legend(loc="best", fontsize=10)
    axes[0].set_ylabel("ΔAUPRC (above the share of actives)")
    axes[1].set_ylabel("share of the assays")
    axes[1].set_ylim(-0.02, 1.02)
    title(axes[0], f"{found.settings['n_assays']} assays kept out", width=44)
    title(axes[1], "Won and lost", width=44)
    return png(figure)


def _line(
    axes: Axes, found: BenchTable, which: tuple[str, str], style: tuple[str, str, float]
) -> None:
    colour, label, shift = style
    rows = [
        (float(row.at or 0), row.mean, row.low, row.high)
        for row in found.rows
        if (row.name, row.metric) == which and row.mean is not None
    ]
    low = [mean - (mean if a is None else a) for _, mean, a, _ in rows]
    high = [(mean if b is None else b) - mean for _, mean, _, b in rows]
    axes.errorbar(
        [at * shift for at, *_ in rows],
        [mean for _, mean, *_ in rows],
        yerr=[low, high],
        fmt="-o",
        color=colour,
        capsize=3,
        label=label,
    )
