"""A round in Markdown, for Prefect's artifacts: what was tried, why, and what came."""

from typing import Final

from labwm.campaign.batches import Round, rounds_of
from labwm.campaign.books import Books, books
from labwm.campaign.markdown import conditions, image, molecule, text
from labwm.campaign.reporting import record_of
from labwm.campaign.situation import Situation, read_situation
from labwm.campaign.status import status
from labwm.errors import InvalidInputError
from labwm.schema import (
    CampaignStatus,
    Conditions,
    Measurement,
    MoleculeParameter,
    Proposal,
    StoredPrediction,
    Value,
)

MOST_DRAWINGS: Final = 16
"""Molecules that a note draws; each takes about 5 kB of Prefect's database."""


def round_note(campaign_id: str) -> str:
    """Describe how a campaign stands and its latest round.

    Raises:
        NotFoundError: If there is no such campaign.
    """
    store = books()
    situation = read_situation(store, campaign_id)
    now = status(campaign_id)
    past = rounds_of(store, campaign_id)
    lines = [
        *_head(now),
        *_budget(now, situation, past),
        *_outlook(now),
        *_best(now),
        *_plots(store, situation),
        *_calibration(now),
    ]
    if past:
        proposals = {p.id: p for p in store.ledger.proposals(campaign_id)}
        predictions = {p.id: p for p in store.ledger.predictions(campaign_id)}
        lines += _round(situation, past[-1], proposals, predictions)
    return "\n".join(lines) + "\n"


def _head(now: CampaignStatus) -> list[str]:
    row = now.summary
    return [
        f"# {text(row.title)}",
        "",
        f"Campaign **{row.campaign_id}** · {row.protocol} · lab {row.lab} · "
        f"{row.waits_for.value}",
        "",
        f"{row.n_measured} of {row.budget} experiments measured, {row.n_failed} "
        f"failed, {row.n_pending} pending. [Open the campaign]({now.link})",
        "",
        *_frozen(now),
    ]


def _frozen(now: CampaignStatus) -> list[str]:
    if now.frozen is None:
        return []
    return [f"**Frozen until a person looks**: {text(now.frozen)}.", ""]


def _budget(
    now: CampaignStatus, situation: Situation, past: tuple[Round, ...]
) -> list[str]:
    costs = situation.protocol.costs
    sent = [one for one in past if one.counts_as_spent and one.submission]
    amount = sum(
        costs.per_batch.amount + len(one.proposal_ids) * costs.per_experiment.amount
        for one in sent
    )
    currency = costs.per_experiment.currency or costs.per_batch.currency or ""
    price = f", {amount:,.4g} {currency} for {len(sent)} batches" if amount else ""
    return [
        f"**Budget** {situation.n_spent} of {now.summary.budget} experiments spent, "
        f"{situation.n_left} left{price}.",
        "",
    ]


def _outlook(now: CampaignStatus) -> list[str]:
    if now.outlook is None:
        return []
    return [f"**Before round {now.outlook.round}** {text(now.outlook.text())}", ""]


def _plots(store: Books, situation: Situation) -> list[str]:
    from labwm.evaluation.campaign_progress import progress_of
    from labwm.evaluation.campaign_record import outcomes_of, stated_before
    from labwm.evaluation.round_plot import round_plot

    try:
        record = record_of(store, situation)
    except InvalidInputError:  # nothing was measured yet
        return []
    outcomes = outcomes_of(record)
    drawn = round_plot(
        record.protocol, outcomes, progress_of(record, outcomes), stated_before(record)
    )
    return [image("progress, predictions and calibration", drawn), ""]


def _best(now: CampaignStatus) -> list[str]:
    if not now.best:
        return []
    rows = [
        f"| {best.readout} | {best.goal} | {best.value:.4g} {best.unit or ''} | "
        f"{conditions(best.conditions)} |"
        for best in now.best
    ]
    return ["| best of | goal | value | conditions |", "|---|---|---|---|", *rows, ""]


def _calibration(now: CampaignStatus) -> list[str]:
    rows = [
        f"| {row.readout} | {row.n_inside_90} of {row.n} | "
        f"{row.coverage_90:.2f} [{row.low:.2f}, {row.high:.2f}] |"
        for row in now.calibration
    ]
    if not rows:
        return ["No prediction was scored yet: the first round has no model.", ""]
    head = [
        "| predicted before | inside 90 % | coverage [95 % interval] |",
        "|---|---|---|",
    ]
    return [*head, *rows, ""]


def _round(
    situation: Situation,
    batch: Round,
    proposals: dict[str, Proposal],
    predictions: dict[str, StoredPrediction],
) -> list[str]:
    measured: dict[str, list[Measurement]] = {}
    for measurement in situation.results:
        measured.setdefault(measurement.proposal_id or "", []).append(measurement)
    drawings = _drawings(
        situation, [proposals[name].candidate.conditions for name in batch.proposal_ids]
    )
    rows = [
        f"| {i + 1} | {drawings[i]} | "
        f"{conditions(proposals[name].candidate.conditions)} | "
        f"{text(proposals[name].reason)} | "
        f"{_expected(predictions.get(proposals[name].prediction_id or ''))} | "
        f"{_results(measured.get(name, []))} |"
        for i, name in enumerate(batch.proposal_ids)
    ]
    return [
        f"## Round {batch.number}: {batch.approval}, {batch.submission or 'not sent'}",
        "",
        "| | molecules | conditions | why | predicted before | measured |",
        "|---|---|---|---|---|---|",
        *rows,
        "",
    ]


def _expected(stored: StoredPrediction | None) -> str:
    if stored is None:
        return "–"
    shown = [
        f"{name} {p.mean:.3g} [{p.low90:.3g}, {p.high90:.3g}]"
        for name, p in stored.readouts.items()
    ]
    return "; ".join(shown)


def _drawings(situation: Situation, rows: list[Conditions]) -> list[str]:
    """Return the drawn molecules of each row, until the note holds enough of them."""
    names = [
        parameter.name
        for parameter in situation.protocol.parameters
        if isinstance(parameter, MoleculeParameter)
    ]
    n_free = MOST_DRAWINGS
    cells: list[str] = []
    for row in rows:
        smiles = [str(row[name]) for name in names if row.get(name) is not None]
        cells.append(" ".join(map(molecule, smiles[:n_free])) or "–")
        n_free -= len(smiles[:n_free])
    return cells


def _results(measurements: list[Measurement]) -> str:
    shown = [
        f"{name} {_value(value)}"
        for measurement in measurements
        for name, value in measurement.readouts.items()
    ]
    return "; ".join(shown) or "–"


def _value(value: Value) -> str:
    if value.value is None:
        return f"**{value.status.value}**{_why(value)}"
    return f"{value.value:.4g}"


def _why(value: Value) -> str:
    return f": {text(value.reason)}" if value.reason else ""
