"""`labwm bench predict|feedback`: models on rows that they did not see."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from labwm.api.commands.bench_parts import cell, material, progress_bar, teller
from labwm.api.terminal import Json, out, refuse_unwritable, table, write_json

if TYPE_CHECKING:
    from labwm.evaluation.table import BenchTable

Models = Annotated[
    list[str],
    Parameter(name="--model", negative=(), help="Model to compare; repeatable."),
]
Tables = Annotated[
    list[str],
    Parameter(
        name="--data",
        negative=(),
        help="Catalogue name or table, its protocol after an @; repeatable.",
    ),
]
_SCORES = (
    ("rmse", "mae", "r2", "spearman"),
    ("nlpd", "nlpd_standardised", "msll", "crps", "crpss"),
    ("coverage90", "interval_score90", "miscalibration_area", "ence", "sharpness"),
    ("pooled_coverage90", "pooled_miscalibration_area",
     "pooled_miscalibration_area_honest", "pooled_worst_slab_coverage90",
     "worst_nlpd_excess"),
    ("nlpd_with_limits", "limit_share", "noise_sd_ratio", "noise_sd_spearman"),
    ("success_brier", "success_base_rate_brier", "success_log_loss",
     "success_base_rate_log_loss", "success_calibration_error"),
    ("error_sd_spearman", "error_sd_spearman_expected", "vacuous_share", "seconds",
     "peak_mb"),
    ("rmse_exponent", "crps_exponent"),
)  # fmt: skip


def predict(  # noqa: PLR0913 one argument per flag
    *,
    data: str,
    protocol: str | None = None,
    model: Models = ["default", "tanimoto_gp", "random_forest", "mean"],  # noqa: B006
    split: str = "random",
    by: str | None = None,
    readout: str | None = None,
    seeds: int = 10,
    plots: Path | None = None,
    json: Json = None,
) -> None:
    """Score models on rows that they did not see.

    Args:
        data: Catalogue name or table.
        protocol: Name or file; the catalogue's protocol of the data when not given.
        split: random, scaffold, time, group, replicates (one of each condition is
            learnt from), sizes (nested parts of 100, 316, 1,000, … rows, and the power
            of the rows that the error falls by), or a file with the columns row, fold,
            role.
        by: Parameter that a scaffold, time or group split goes by; a time split without
            one takes the order of the table.
        readout: Which one is scored; that of the first objective when not given.
        seeds: Splits to draw; a file has its own folds.
        plots: Folder for calibration, predicted against measured, error against
            support.
    """
    refuse_unwritable(json)
    rules, measurements = material(data, protocol)
    from labwm.evaluation.predict import PredictSettings, compare

    wanted = PredictSettings(tuple(model), split, seeds, readout, by)
    with progress_bar() as shown:
        found = compare(rules, measurements, wanted, data=data, progress=teller(shown))
    write_json(json, found.table.to_json())
    _show(found.table)
    if plots is not None:
        from labwm.evaluation.predict_plots import write_plots

        for path in write_plots(found, plots):
            out.print(f"wrote {path}", markup=False)
    out.print(f"data sha256 {found.table.data_sha256}", markup=False)


def feedback(
    *,
    data: Tables,
    policy: str = "default",
    batch: int = 5,
    budget: int = 40,
    seeds: int = 10,
    json: Json = None,
) -> None:
    """Do 90 % intervals hold where a policy went because of what the model said?

    Args:
        policy: That chooses.
        batch: Experiments per round.
        budget: Experiments per campaign.
        seeds: Campaigns on each table.
    """
    refuse_unwritable(json)
    named = [one.partition("@") for one in data]
    tables = [(name, *material(name, own or None)) for name, _, own in named]
    from labwm.evaluation.backtest import Plan
    from labwm.evaluation.feedback import FeedbackSettings, bench_feedback

    wanted = FeedbackSettings(Plan(batch, budget), policy, seeds)
    with progress_bar() as shown:
        found = bench_feedback(tables, wanted, progress=teller(shown))
    write_json(json, found.to_json())
    by_place = {(row.name, row.at, row.metric): row for row in found.rows}
    names = list(dict.fromkeys(row.name for row in found.rows))
    places = list(dict.fromkeys(row.at for row in found.rows))
    for metric in ("coverage90", "vacuous_share", "width_ratio"):
        table(
            *("points", "n", *names),
            title=metric.replace("_", " "),
            rows=[
                (
                    str(at),
                    str(by_place[names[0], at, metric].n),
                    *(cell(by_place.get((name, at, metric))) for name in names),
                )
                for at in places
            ],
        )
    worst = [by_place[name, "all", "worst_round_coverage90"] for name in names]
    table(
        *("", *names), rows=[("worst round", *(cell(row) for row in worst))],
        title="coverage of the worst round",
    )  # fmt: skip


def _show(found: "BenchTable") -> None:
    by_name = {(row.name, row.at, row.metric): row for row in found.rows}
    names = list(dict.fromkeys((row.name, row.at) for row in found.rows))
    for scores in _SCORES:
        known = [s for s in scores if any((*name, s) in by_name for name in names)]
        if known:
            table(
                *("model", "split", *(s.replace("_", " ") for s in known)),
                title="mean [95 % interval]",
                rows=[
                    (*name, *(cell(by_name.get((*name, score))) for score in known))
                    for name in names
                ],
            )
