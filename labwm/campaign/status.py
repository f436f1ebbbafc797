"""How campaigns stand, for every door; reads no model, and no result but the best."""

import math

from labwm import settings
from labwm.campaign.batch_infos import batch_info, batch_infos
from labwm.campaign.books import Books, books
from labwm.campaign.coverage import calibration
from labwm.campaign.inventory import accounts_of
from labwm.campaign.situation import read_situation
from labwm.campaign.standing import OUTLOOK, Standing, standing_of, standings
from labwm.schema import (
    BatchInfo,
    Best,
    CampaignStatus,
    CampaignSummary,
    Goal,
    Measurement,
    MeasurementPage,
    Objective,
    Status,
)
from labwm.schema.outlook import Outlook
from labwm.store.tallies import ANSWERED, FAILED, OWN
from labwm.world_model.reward import target_of, utility

LAST_BATCHES = 20
"""Batches that a status holds; earlier ones are asked for by name."""


def status(campaign_id: str) -> CampaignStatus:
    """Return how a campaign stands, with its last batches.

    Raises:
        NotFoundError: If there is no such campaign.
    """
    store = books()
    standing = standing_of(store, campaign_id)
    with store.ledger.survey() as survey:
        card = survey.last_model_card(campaign_id)
    n_batches, batches = batch_infos(store, standing.terms, last=LAST_BATCHES)
    left = standing.seen.last.get(OUTLOOK)
    return CampaignStatus(
        summary=_summary(standing),
        spec=standing.terms.spec,
        best=_best(store, standing),
        calibration=calibration(standing.tally, standing.terms.protocol),
        batches=batches,
        n_batches=n_batches,
        model=card,
        outlook=Outlook.model_validate(left.body) if left else None,
        link=f"{settings.public_url()}/campaigns/{campaign_id}",
        frozen=standing.freeze.why if standing.freeze else None,
        accounts=accounts_of(standing.terms),
    )


def batch(campaign_id: str, batch_id: str) -> BatchInfo:
    """Return one batch of a campaign, however long ago it was.

    Raises:
        NotFoundError: If there is no such campaign, or it has no such batch.
    """
    store = books()
    return batch_info(store, standing_of(store, campaign_id).terms, batch_id)


def list_campaigns() -> tuple[CampaignSummary, ...]:
    """Return one line per campaign, the latest first."""
    rows = [_summary(standing) for standing in standings(books())]
    return tuple(sorted(rows, key=lambda row: row.opened_at, reverse=True))


def measurements(
    campaign_id: str, *, offset: int = 0, limit: int = 100
) -> MeasurementPage:
    """Return some measurements by round and place, failures included."""
    with books().ledger.survey() as survey:
        total, rows = survey.measurements(campaign_id, offset=offset, limit=limit)
    return MeasurementPage(total=total, measurements=rows)


def _summary(standing: Standing) -> CampaignSummary:
    terms, tally = standing.terms, standing.tally
    return CampaignSummary(
        campaign_id=terms.campaign_id,
        title=terms.protocol.title or terms.protocol.name,
        protocol=f"{terms.protocol.name} version {terms.protocol.version}",
        lab=terms.opening.lab,
        state=standing.seen.state,
        waits_for=standing.waits_for,
        round=standing.round,
        n_measured=tally.get(ANSWERED, 0),
        n_failed=tally.get(FAILED, 0),
        n_pending=len(standing.pending),
        n_own=tally.get(OWN, 0),
        budget=standing.budget,
        opened_at=terms.opening.opened_at,
    )


def _best(store: Books, standing: Standing) -> tuple[Best, ...]:
    """Return the best result of each objective that has one."""
    found: list[Best] = []
    for objective in standing.terms.protocol.objectives:
        if standing.is_amended:
            best = _best_as_amended(store, standing, objective)
        else:
            best = _best_as_stored(store, standing, objective)
        if best is not None:
            value, measurement = best
            readout = standing.terms.protocol.readout(objective.readout)
            found.append(
                Best(
                    readout=readout.name,
                    goal=objective.goal.value,
                    value=value,
                    unit=readout.unit,
                    conditions=measurement.conditions,
                )
            )
    return tuple(found)


def _best_as_stored(
    store: Books, standing: Standing, objective: Objective
) -> tuple[float, Measurement] | None:
    match objective.goal:
        case Goal.MAXIMISE:
            to = math.inf
        case Goal.MINIMISE:
            to = -math.inf
        case Goal.MATCH:
            to = target_of(objective)
    with store.ledger.survey() as survey:
        return survey.nearest(standing.terms.campaign_id, objective.readout, to=to)


def _best_as_amended(
    store: Books, standing: Standing, objective: Objective
) -> tuple[float, Measurement] | None:
    """As above among the results that the present version can read, in its terms."""
    usable = [
        (value.value, m)
        for m in read_situation(store, standing.terms.campaign_id).measurements
        if (value := m.readouts.get(objective.readout))
        and value.status is Status.OK
        and value.value is not None
    ]
    if not usable:
        return None
    return max(usable, key=lambda pair: float(utility(objective, pair[0])))
