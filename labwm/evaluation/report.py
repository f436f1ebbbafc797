"""A campaign's report: a folder of PNGs and one HTML page that stands alone."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import jinja2
import numpy as np
from markupsafe import Markup

from labwm.evaluation.campaign_progress import CampaignProgress, progress_of
from labwm.evaluation.campaign_record import (
    CampaignRecord,
    outcomes_of,
    stated_before,
)
from labwm.evaluation.honesty_plots import (
    before_after_plot,
    calibration_plot,
    noise_plot,
)
from labwm.evaluation.plate_tables import plate_table
from labwm.evaluation.progress_plots import front_plot, progress_plot
from labwm.evaluation.report_tables import (
    asked_rows,
    best_cards,
    coverage_rows,
    failure_rows,
    headline,
    molecules_png,
    provenance_rows,
    round_tables,
)
from labwm.space.questions import observations_from

PAGE = "report.html"


@dataclass(frozen=True)
class ReportFiles:
    """What a report consists of.

    Attributes:
        page: HTML with every image inside.
        images: PNG bytes by name, without ending.
    """

    page: str
    images: Mapping[str, bytes]

    def write(self, folder: Path) -> Path:
        """Write the page and the images into a folder and return the page's path.

        Raises:
            OSError: If the folder cannot be written.
        """
        folder.mkdir(parents=True, exist_ok=True)
        for name, image in self.images.items():
            (folder / f"{name}.png").write_bytes(image)
        path = folder / PAGE
        path.write_text(self.page, encoding="utf-8")
        return path


def make_report(record: CampaignRecord) -> ReportFiles:
    """Draw and write down a campaign; pure: the same record gives the same bytes."""
    outcomes = outcomes_of(record)
    progress = progress_of(record, outcomes)
    stated = stated_before(record)
    images = {
        "progress": progress_plot(
            progress.reached,
            label=progress.label,
            rounds=outcomes.rounds,
            expected=progress.expected,
            band=progress.band,
            goal=progress.goal,
        )
    }
    has_front = len(record.protocol.objectives) > 1
    if has_front:
        images["front"] = front_plot(record.protocol, outcomes, pool=progress.pool)
    if stated is not None:
        images["before_after"] = before_after_plot(stated)
        images["calibration"] = calibration_plot(stated)
    noise = _noise_images(record)
    images |= noise
    best = best_cards(record, outcomes)
    if (molecules := molecules_png(best)) is not None:
        images["best_molecules"] = molecules
    page = _template().render(
        name=record.name,
        title=record.protocol.title or record.protocol.name,
        headline=headline(record, outcomes, progress, stated),
        asked=asked_rows(record),
        progress_note=_progress_note(record, progress),
        has_front=has_front,
        best=best,
        coverage=coverage_rows(stated) if stated is not None else [],
        failures=failure_rows(outcomes),
        has_noise=bool(noise),
        noise=list(noise),
        rounds=round_tables(record),
        readouts=list(record.protocol.readout_names),
        plates=[plate_table(plate) for plate in record.plates],
        provenance=provenance_rows(record),
        figure=lambda name, text: _figure(images[name], text),
    )
    return ReportFiles(page, images)


def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("labwm.evaluation"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
    )
    return environment.get_template("report.html.j2")


def _figure(image: bytes, text: str) -> Markup:
    data = base64.b64encode(image).decode()
    return Markup(
        '<div class="figure"><img alt="{}" src="data:image/png;base64,{}"></div>'
    ).format(text, data)


def _progress_note(record: CampaignRecord, progress: CampaignProgress) -> str:
    if record.table is None:
        why = f" ({record.no_table})" if record.no_table else ""
        return (
            f"No table of the whole pool is known{why}, so random search is not drawn."
        )
    if progress.expected is None:
        return (
            f"{record.table_name} holds too few numbers to compute what random search "
            "reaches, so it is not drawn."
        )
    return (
        f"Random search's expectation and band are computed from {record.table_name}: "
        f"{len(record.table)} measurements of the pool, none of which the campaign saw."
    )


def _noise_images(record: CampaignRecord) -> dict[str, bytes]:
    images: dict[str, bytes] = {}
    groups = _replicates(record)
    for j, readout in enumerate(record.protocol.readouts):
        values = [group[~np.isnan(group[:, j]), j] for group in groups]
        repeated = [column for column in values if len(column) > 1]
        if repeated:
            images[f"noise_{readout.name}"] = noise_plot(
                repeated, name=readout.name, unit=readout.unit
            )
    return images


def _replicates(record: CampaignRecord) -> list[np.ndarray]:
    return [
        observations_from(record.protocol, experiment.measurements).values
        for experiment in record.experiments
        if experiment.measurements
    ]
