"""One picture of how a campaign stands: progress, predictions kept, honesty.

Shapes: `t` experiments with a result, `p` predicted measurements.
"""

import numpy as np
from matplotlib.axes import Axes

from labwm.evaluation.campaign_progress import CampaignProgress
from labwm.evaluation.campaign_record import Outcomes, Stated
from labwm.evaluation.canvas import ORANGE, one_over_two, panels, png, title
from labwm.evaluation.honesty_plots import draw_before_after, draw_calibration
from labwm.evaluation.progress_plots import draw_progress
from labwm.schema import Goal, Protocol

TITLE_WIDTH = 40


def round_plot(
    protocol: Protocol,
    outcomes: Outcomes,
    progress: CampaignProgress,
    stated: Stated | None,
) -> bytes:
    """Draw progress; and under it predicted against measured, and the calibration.

    With one objective to maximise or minimise, the 90 % interval that was stated for
    each experiment stands behind the progress.

    Args:
        protocol: Of the campaign.
        outcomes: What was measured.
        progress: How far that came.
        stated: What was predicted before; None in the first round.
    """
    figure, axes = panels() if stated is None else one_over_two()
    if stated is not None:
        _draw_stated(axes[0], protocol, outcomes)
        j = stated.readouts.index(protocol.objectives[0].readout)
        draw_before_after(axes[1], stated, j, width=TITLE_WIDTH)
        draw_calibration(axes[2], stated)
        title(axes[2], "Calibration so far", width=TITLE_WIDTH)
    draw_progress(
        axes[0],
        progress.reached,
        label=progress.label,
        rounds=outcomes.rounds,
        expected=progress.expected,
        band=progress.band,
        goal=progress.goal,
    )
    axes[0].legend(loc="lower right", fontsize=9, frameon=True, framealpha=0.7)
    return png(figure)


def _draw_stated(axes: Axes, protocol: Protocol, outcomes: Outcomes) -> None:
    objective = protocol.objectives[0]
    if len(protocol.objectives) > 1 or objective.goal is Goal.MATCH:
        return
    told = [
        (i + 1, e.prediction[objective.readout])
        for i, e in enumerate(outcomes.experiments)
        if e.prediction and objective.readout in e.prediction
    ]
    if not told:
        return
    x = np.array([place for place, _ in told])
    low = np.array([stated.low90 for _, stated in told])
    high = np.array([stated.high90 for _, stated in told])
    axes.vlines(
        x, low, high, color=ORANGE, lw=1.5, alpha=0.5, label="stated before, 90 %"
    )
    values = outcomes.values[:, protocol.readout_names.index(objective.readout)]
    axes.plot(
        np.arange(1, len(values) + 1), values, ".", color=ORANGE, label="measured"
    )
