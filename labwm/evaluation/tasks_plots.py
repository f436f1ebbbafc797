"""Draw what a task prior gains against the number of rows of the new assay."""

from pathlib import Path
from typing import Final

from labwm.evaluation.canvas import BLUE, GREY, panels, png, title
from labwm.evaluation.table import BenchTable
from labwm.evaluation.task_scores import PRIOR, SINGLE

_LABELS: Final = {
    "delta_auprc": "ΔAUPRC (above the share of actives)",
    "nlpd": "negative log predictive density",
}


def write_plot(found: BenchTable, folder: Path) -> Path:
    """Draw ΔAUPRC and NLPD of both arms, with 95 % intervals over assays."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "tasks.png"
    path.write_bytes(few_shot_curves(found))
    return path


def few_shot_curves(found: BenchTable) -> bytes:
    """Return the picture as PNG."""
    figure, axes = panels(2)
    for own, (metric, label) in zip(axes, _LABELS.items(), strict=True):
        for name, colour, shift in ((PRIOR, BLUE, 0.98), (SINGLE, GREY, 1.02)):
            rows = [
                row
                for row in found.rows
                if (row.name, row.metric) == (name, metric) and row.mean is not None
            ]
            x = [float(row.at or 0) * shift for row in rows]
            y = [row.mean or 0.0 for row in rows]
            low = [
                m - (row.low if row.low is not None else m)
                for m, row in zip(y, rows, strict=True)
            ]
            high = [
                (row.high if row.high is not None else m) - m
                for m, row in zip(y, rows, strict=True)
            ]
            own.errorbar(
                x, y, yerr=[low, high], fmt="-o", color=colour, capsize=3,
                label=name.replace("_", " "),
            )  # fmt: skip
        own.set_xscale("log", base=2)
        sizes = sorted({float(row.at) for row in found.rows if row.at is not None})
        own.set_xticks(sizes, [f"{size:g}" for size in sizes])
        own.minorticks_off()
        own.set_xlabel("rows of the new assay")
        own.set_ylabel(label)
    axes[0].legend(loc="upper left")
    n = found.settings["n_assays"]
    title(axes[0], f"{n} assays kept out", width=44)
    title(axes[1], "lower is better", width=44)
    return png(figure)
