"""What a report says in words and tables: plain values for its page."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from labwm.design.reasons import amount
from labwm.evaluation.campaign_progress import CampaignProgress
from labwm.evaluation.campaign_record import (
    CampaignRecord,
    Outcomes,
    ReportedExperiment,
    Stated,
)
from labwm.evaluation.honesty_plots import coverage
from labwm.schema import Goal, MoleculeParameter, Objective, Value
from labwm.world_model.hypervolume import is_on_front

N_BEST = 8
LEVEL = 0.9

Pairs = list[tuple[str, str]]


@dataclass(frozen=True)
class Card:
    """One of the best experiments."""

    title: str
    lines: tuple[str, ...]
    smiles: str | None

    @property
    def svg(self) -> str | None:
        """Drawing of the molecule; None where there is not exactly one."""
        from labwm.chem.draw import svg

        return svg(self.smiles) if self.smiles else None


def headline(
    record: CampaignRecord,
    outcomes: Outcomes,
    progress: CampaignProgress,
    stated: Stated | None,
) -> list[str]:
    """Return the report's main sentences."""
    n_failed = len(outcomes.failures)
    reached = progress.reached[~np.isnan(progress.reached)]
    sentences = [
        f"{len(outcomes.experiments)} experiments of {record.budget} in "
        f"{int(outcomes.rounds.max()) + 1} rounds, {n_failed} without a value."
    ]
    if len(reached):
        text = f"{progress.label}: {reached[-1]:.3g}"
        if progress.expected is not None:
            text += f" (random search after as many: {progress.expected[-1]:.3g})"
        sentences.append(f"{text[0].upper()}{text[1:]}.")
    if record.outlook:
        sentences.append(f"Before the last round: {record.outlook}")
    if stated is not None:
        share, low, high, n = coverage(stated.is_inside(LEVEL).ravel())
        if n:
            sentences.append(
                f"{share:.0%} of {n} values measured after a prediction lie in its "
                f"90 % interval (95 % confidence: {low:.0%} to {high:.0%})."
            )
    return sentences


def asked_rows(record: CampaignRecord) -> Pairs:
    """Return what was asked for."""
    protocol = record.protocol
    wanted = "; ".join(_goal(record, objective) for objective in protocol.objectives)
    rows = [
        ("protocol", f"{protocol.name}, version {protocol.version}"),
        ("objectives", wanted),
        ("parameters", ", ".join(p.name for p in protocol.parameters)),
        ("budget", f"{record.budget} experiments"),
    ]
    return rows + list(record.asked.items())


def best_cards(record: CampaignRecord, outcomes: Outcomes) -> list[Card]:
    """Return the best experiments, drawn where they are molecules.

    With several objectives: of the front, those best in one objective first, then the
    others by the mean of their ranks.
    """
    order = _best_order(outcomes)[:N_BEST]
    return [_card(record, outcomes, int(i)) for i in order]


def molecules_png(cards: Sequence[Card]) -> bytes | None:
    """Draw the molecules of the best experiments; None where these are no molecules."""
    from labwm.chem.draw import grid_png

    drawn = [(card.smiles, card.title) for card in cards if card.smiles]
    if not drawn:
        return None
    smiles, titles = zip(*drawn, strict=True)
    return grid_png(smiles, titles)


def coverage_rows(stated: Stated) -> list[dict[str, str | int]]:
    """Return for each readout how many values its 90 % intervals held."""
    inside = stated.is_inside(LEVEL)
    rows: list[dict[str, str | int]] = []
    for j, name in enumerate(stated.readouts):
        share, low, high, n = coverage(inside[:, j])
        if n:
            rows.append(
                {
                    "name": name,
                    "hits": round(share * n),
                    "n": n,
                    "share": f"{share:.0%}",
                    "interval": f"{low:.0%} to {high:.0%}",
                }
            )
    return rows


def failure_rows(outcomes: Outcomes) -> list[dict[str, str | int]]:
    """Return the experiments without a value and why."""
    return [
        {"round": e.round + 1, "label": label_of(e), "why": why}
        for e, why in outcomes.failures
    ]


def round_tables(record: CampaignRecord) -> list[dict[str, object]]:
    """Return every round's experiments, values and reasons."""
    numbers = sorted({experiment.round for experiment in record.experiments})
    tables: list[dict[str, object]] = []
    for number in numbers:
        rows = [e for e in record.experiments if e.round == number]
        tables.append(
            {
                "number": number + 1,
                "n": len(rows),
                "policy": ", ".join(dict.fromkeys(e.policy for e in rows)),
                "rows": [_round_row(record, e) for e in rows],
            }
        )
    return tables


def provenance_rows(record: CampaignRecord) -> Pairs:
    """Return hashes, versions and times."""
    digest = record.protocol.digest()
    return [("protocol sha256", digest), *record.provenance.items()]


def label_of(experiment: ReportedExperiment) -> str:
    """Return the name of an experiment, or its conditions."""
    if experiment.label:
        return experiment.label
    return ", ".join(
        f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}"
        for name, value in experiment.conditions.items()
    )


def _goal(record: CampaignRecord, objective: Objective) -> str:
    unit = record.protocol.readout(objective.readout).unit
    if objective.goal is Goal.MATCH and objective.target is not None:
        return f"match {objective.readout} to {amount(objective.target, unit)}"
    return f"{objective.goal} {objective.readout}"


def _best_order(outcomes: Outcomes) -> np.ndarray:
    utilities = outcomes.utilities
    known = np.flatnonzero(~np.isnan(utilities).any(axis=1))
    if utilities.shape[1] == 1:
        return known[np.argsort(-utilities[known, 0], kind="stable")]
    front = np.flatnonzero(is_on_front(utilities))
    ranks = np.argsort(np.argsort(-utilities[front], axis=0), axis=0)
    first = ranks.min(axis=1) > 0
    return front[np.lexsort((ranks.mean(axis=1), first))]


def _card(record: CampaignRecord, outcomes: Outcomes, i: int) -> Card:
    experiment = outcomes.experiments[i]
    lines = [f"round {experiment.round + 1}"]
    for j, readout in enumerate(record.protocol.readouts):
        if not np.isnan(outcomes.values[i, j]):
            value = amount(float(outcomes.values[i, j]), readout.unit)
            lines.append(f"{readout.name}: {value}")
    return Card(label_of(experiment), tuple(lines), _molecule(record, experiment))


def _molecule(record: CampaignRecord, experiment: ReportedExperiment) -> str | None:
    # Of a reaction with several molecules each has its place in the title instead.
    molecules = [
        str(experiment.conditions[p.name])
        for p in record.protocol.parameters
        if isinstance(p, MoleculeParameter) and p.name in experiment.conditions
    ]
    return molecules[0] if len(molecules) == 1 else None


def _round_row(
    record: CampaignRecord, experiment: ReportedExperiment
) -> dict[str, object]:
    cells = [_cell(experiment, name) for name in record.protocol.readout_names]
    return {
        "label": label_of(experiment),
        "values": cells,
        "reason": experiment.reason,
    }


def _cell(experiment: ReportedExperiment, name: str) -> dict[str, object]:
    found = [m.readouts[name] for m in experiment.measurements if name in m.readouts]
    if not found:
        return {
            "text": "pending" if not experiment.measurements else "missing",
            "outside": False,
        }
    texts = [_text(value) for value in found]
    stated = (experiment.prediction or {}).get(name)
    first = found[0]
    outside = (
        stated is not None
        and first.value is not None
        and not stated.low90 <= first.value <= stated.high90
    )
    return {"text": ", ".join(texts), "outside": outside}


def _text(value: Value) -> str:
    marks = {"below": "<", "above": ">"}
    if value.value is None:
        return str(value.status).replace("_", " ")
    return f"{marks.get(str(value.status), '')}{value.value:.3g}"
