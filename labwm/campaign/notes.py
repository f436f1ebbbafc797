"""A round in Markdown, for Prefect's artifacts and for people who read text."""

from labwm.campaign.batches import Round, rounds_of
from labwm.campaign.books import books
from labwm.campaign.learning import Scored, calibration, score
from labwm.campaign.situation import Situation, read_situation
from labwm.campaign.status import status
from labwm.schema import CampaignStatus, Conditions, Measurement, Proposal, Value


def round_note(campaign_id: str) -> str:
    """Describe how a campaign stands and its latest round.

    Raises:
        NotFoundError: If there is no such campaign.
    """
    store = books()
    situation = read_situation(store, campaign_id)
    now = status(campaign_id)
    past = rounds_of(store, campaign_id)
    scored = score(store, situation)
    lines = [*_head(now), *_best(now), *_calibration(scored)]
    if past:
        proposals = {p.id: p for p in store.ledger.proposals(campaign_id)}
        lines += _round(situation, past[-1], proposals, scored)
    return "\n".join(lines) + "\n"


def _head(now: CampaignStatus) -> list[str]:
    row = now.summary
    return [
        f"# {_text(row.title)}",
        "",
        f"Campaign **{row.campaign_id}** · {row.protocol} · lab {row.lab} · "
        f"{row.waits_for.value}",
        "",
        f"{row.n_measured} of {row.budget} experiments measured, {row.n_failed} failed "
        f"wells, {row.n_pending} pending. [Open the campaign]({now.link})",
        "",
    ]


def _best(now: CampaignStatus) -> list[str]:
    if not now.best:
        return []
    rows = [
        f"| {best.readout} | {best.goal} | {best.value:.4g} {best.unit or ''} | "
        f"{_conditions(best.conditions)} |"
        for best in now.best
    ]
    return ["| best of | goal | value | conditions |", "|---|---|---|---|", *rows, ""]


def _calibration(scored: list[Scored]) -> list[str]:
    rows = [
        f"| {row.readout} | {row.n_inside_90} of {row.n} | "
        f"{row.coverage_90:.2f} [{row.low:.2f}, {row.high:.2f}] |"
        for row in calibration(scored)
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
    scored: list[Scored],
) -> list[str]:
    measured: dict[str, list[Measurement]] = {}
    for measurement in situation.measurements:
        measured.setdefault(measurement.proposal_id or "", []).append(measurement)
    expected = {
        s.proposal_id: f"{s.predicted:.3g} [{s.low90:.3g}, {s.high90:.3g}]"
        for s in scored
    }
    rows = [
        f"| {i + 1} | {_conditions(proposals[name].candidate.conditions)} | "
        f"{_text(proposals[name].reason)} | {expected.get(name, '–')} | "
        f"{_results(measured.get(name, []))} |"
        for i, name in enumerate(batch.proposal_ids)
    ]
    return [
        f"## Round {batch.number}: {batch.approval}, {batch.submission or 'not sent'}",
        "",
        "| | conditions | why | predicted before | measured |",
        "|---|---|---|---|---|",
        *rows,
        "",
    ]


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
    return f": {_text(value.reason)}" if value.reason else ""


def _conditions(conditions: Conditions) -> str:
    return ", ".join(
        f"{name} {_code(value) if isinstance(value, str) else f'{value:.4g}'}"
        for name, value in conditions.items()
    )


def _code(text: str) -> str:
    # A backtick would end the code: such a name is shown as text.
    return _text(text) if "`" in text else f"`{_row(text)}`"


def _text(text: str) -> str:
    """Return what somebody wrote as text: no HTML, link, image or code of theirs."""
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    for sign, shown in (("\\", "\\\\"), ("`", "\\`"), ("](", "]\\(")):
        text = text.replace(sign, shown)
    return _row(text)


def _row(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
