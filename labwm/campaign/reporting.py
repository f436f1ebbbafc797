"""Tell a campaign as a report, and draw what it is about."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

import labwm
from labwm import settings
from labwm.campaign.amendments import AMENDED
from labwm.campaign.batches import Round, rounds_of
from labwm.campaign.books import Books, books
from labwm.campaign.coverage import calibration
from labwm.campaign.rounds import last_outlook
from labwm.campaign.situation import Situation, read_situation, read_table
from labwm.campaign.standing import standing_of
from labwm.errors import InvalidInputError, StoreError, UnavailableError
from labwm.schema import (
    Measurement,
    Origin,
    PredictedReadout,
    ReportSummary,
    StoredPrediction,
)

if TYPE_CHECKING:
    from labwm.evaluation.campaign_record import CampaignRecord, ReportedExperiment
    from labwm.evaluation.plate_tables import ReportedPlate


def report(campaign_id: str, folder: Path) -> ReportSummary:
    """Draw a campaign's report into a folder: PNG images and one HTML page.

    Raises:
        NotFoundError: If there is no such campaign.
        InvalidInputError: If nothing was measured yet.
        StoreError: If the folder cannot be written.
    """
    from labwm.evaluation.campaign_progress import progress_of
    from labwm.evaluation.campaign_record import outcomes_of, stated_before
    from labwm.evaluation.report import make_report
    from labwm.evaluation.report_tables import headline

    store = books()
    situation = read_situation(store, campaign_id)
    record = record_of(store, situation)
    outcomes = outcomes_of(record)
    progress = progress_of(record, outcomes)
    try:
        page = make_report(record).write(folder)
    except OSError as error:
        raise StoreError(
            f"A report needs a folder that can be written; {folder}: {error.strerror}. "
            "Free space or choose another folder."
        ) from error
    stood = standing_of(store, campaign_id)
    covered = calibration(stood.tally, stood.terms.protocol)
    figures = {f"coverage90_{c.readout}": c.coverage_90 for c in covered}
    if np.isfinite(progress.reached[-1]):  # not so where every well failed
        figures["reached"] = float(progress.reached[-1])
    if progress.expected is not None:
        figures["random_expected"] = float(progress.expected[-1])
    if progress.goal is not None:
        figures["pool_maximum"] = float(progress.goal)
    return ReportSummary(
        folder=str(folder),
        page=str(page),
        figures=figures,
        headline=tuple(headline(record, outcomes, progress, stated_before(record))),
    )


def drawing(smiles: str) -> str:
    """Return a molecule as an SVG document.

    Raises:
        MoleculeError: If it is no molecule.
    """
    from labwm.chem.draw import svg

    return svg(smiles)


def record_of(store: Books, situation: Situation) -> "CampaignRecord":
    """Put a campaign into the form that reports and plots are made from.

    Raises:
        InvalidInputError: If nothing was measured yet.
    """
    from labwm.evaluation.campaign_record import CampaignRecord, ReportedExperiment

    campaign_id = situation.campaign_id
    proposals = {p.id: p for p in store.ledger.proposals(campaign_id)}
    predictions = {p.id: p for p in store.ledger.predictions(campaign_id)}
    results: dict[str, list[Measurement]] = {}
    for measurement in situation.measurements:
        results.setdefault(measurement.proposal_id or "", []).append(measurement)
    experiments: list[ReportedExperiment] = []
    past_rounds = rounds_of(store, campaign_id)
    for past in past_rounds:
        if past.approval == "expired":
            continue  # nothing of it was sent; what stayed is in another batch
        for name in past.proposal_ids:
            proposal = proposals[name]
            stated = predictions.get(proposal.prediction_id or "")
            experiments.append(
                ReportedExperiment(
                    round=past.index,
                    conditions=proposal.candidate.conditions,
                    reason=proposal.reason,
                    policy=proposal.policy,
                    label=proposal.candidate.label,
                    prediction=_comparable(situation, stated),
                    measurements=tuple(results.get(name, ())),
                )
            )
    experiments += _typed(store, situation, ReportedExperiment)
    table = _pool_table(store, situation)
    left = last_outlook(store, campaign_id)
    return CampaignRecord(
        name=campaign_id,
        protocol=situation.protocol,
        experiments=tuple(experiments),
        budget=situation.budget,
        asked=_asked(situation),
        provenance=_provenance(store, situation),
        table=table.measurements,
        table_name=table.source,
        no_table=table.why_not,
        outlook="" if left is None else left.text(),
        plates=_plates(store, past_rounds),
    )


def _comparable(
    situation: Situation, stated: StoredPrediction | None
) -> dict[str, PredictedReadout] | None:
    """Return what was predicted, where the present version observes the same."""
    if stated is None or set(stated.readouts) != set(situation.protocol.readout_names):
        return None
    return stated.readouts


def _typed(
    store: Books, situation: Situation, experiment: "type[ReportedExperiment]"
) -> "list[ReportedExperiment]":
    """Return what people did beside the plan, in the rounds in which they said so."""
    if not situation.amendments:
        return []
    name = situation.campaign_id
    proposed = [event.seq for event in store.ledger.events(name, kind="round.proposed")]
    said = store.ledger.events(name, kind=AMENDED)
    rounds = {
        taken.observation_id: sum(seq < event.seq for seq in proposed) - 1
        for event, amendment in zip(said, situation.amendments, strict=True)
        for taken in amendment.results
    }
    known = dict(zip(situation.read_ids, situation.measurements, strict=True))
    return [
        experiment(
            round=max(0, rounds.get(found, 0)),
            conditions=measurement.conditions,
            reason="done and taken in by a person",
            policy="a person",
            measurements=(measurement,),
        )
        for found, measurement in known.items()
        if measurement.proposal_id is None
    ]


def _plates(store: Books, rounds: Sequence[Round]) -> "list[ReportedPlate]":
    from labwm.evaluation.plate_tables import ReportedPlate

    results: dict[str, dict[str, Measurement]] = {}
    sent = [one for one in rounds if one.job.plate is not None and one.sent is not None]
    for measurement in (
        store.ledger.measurements(sent[0].job.campaign_id) if sent else ()
    ):
        by_well = results.setdefault(measurement.job_key or "", {})
        by_well[measurement.well or ""] = measurement
    return [
        ReportedPlate(one.job.round, one.job, results.get(one.job.submission_key, {}))
        for one in sent
    ]


@dataclass(frozen=True)
class _PoolTable:
    """Measurements of the whole pool and their source; or why there are none."""

    measurements: tuple[Measurement, ...] | None
    source: str = ""
    why_not: str = ""


def _pool_table(store: Books, situation: Situation) -> _PoolTable:
    from labwm.data.assay import read_assay

    if situation.origin is Origin.VIRTUAL:
        return _PoolTable(None, why_not="a virtual lab plays a world, not a table")
    if situation.spec.data is not None:
        return _PoolTable(read_table(store, situation.opening), situation.spec.data)
    name = f"assay_data/{situation.protocol.name}/table.csv"
    try:
        assay = read_assay(settings.shipped(name), situation.protocol)
    except UnavailableError:
        return _PoolTable(None, why_not=f"there is no {name}")
    except InvalidInputError as error:
        return _PoolTable(None, why_not=f"{name} is of another protocol: {error}")
    return _PoolTable(assay.measurements, name)


def _asked(situation: Situation) -> dict[str, str]:
    spec = situation.spec
    table = situation.opening.curation.partition("\n")[0]
    return {
        "lab": f"{situation.opening.lab} ({situation.origin.value} results)",
        "policy": spec.policy,
        "batch size": str(spec.batch_size or situation.protocol.lab.batch_size),
        "candidates": f"{len(situation.pool):,}",
        **({"table": f"{spec.data}: {table}"} if table else {}),
        **_amended(situation),
        "opened": f"{situation.opening.opened_at:%Y-%m-%d %H:%M} UTC by "
        f"{situation.opening.opened_by}",
    }


def _amended(situation: Situation) -> dict[str, str]:
    if not situation.amendments:
        return {}
    said = f"{len(situation.amendments)}, the last: {situation.amendments[-1].reason}"
    lost = len(situation.results) - len(situation.measurements)
    if lost:
        said += f"; {lost} results are of versions that the present one cannot read"
    return {"amendments": said}


def _provenance(store: Books, situation: Situation) -> dict[str, str]:
    cards = store.ledger.model_cards(situation.campaign_id)
    name = situation.campaign_id
    (head,) = store.ledger.events(name, after=store.ledger.last_event(name) - 1)
    return {
        "labwm": labwm.__version__,
        "protocol sha256": situation.opening.protocol_sha256,
        "pool sha256": situation.pool_sha256,
        "data sha256": situation.data_sha256,
        "last model card sha256": cards[-1][0] if cards else "none",
        "model recipe": cards[-1][1].recipe if cards else "none",
        "last event": f"{head.seq}, sha256 {head.sha256}",
        "seed": str(situation.spec.seed),
    }
