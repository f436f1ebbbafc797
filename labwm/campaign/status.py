"""How campaigns stand, for every door; loads no model."""

from labwm import settings
from labwm.campaign.alarms import freeze_of
from labwm.campaign.approval import batch_infos
from labwm.campaign.batches import rounds_of
from labwm.campaign.books import Books, books
from labwm.campaign.dispatch import settles_doubt
from labwm.campaign.gates import reasons_to_ask
from labwm.campaign.inventory import accounts_of
from labwm.campaign.learning import calibration, score
from labwm.campaign.rounds import last_outlook
from labwm.campaign.situation import Situation, read_situation
from labwm.schema import (
    Best,
    CampaignState,
    CampaignStatus,
    CampaignSummary,
    MeasurementPage,
    Objective,
    Status,
    WaitsFor,
)
from labwm.world_model.reward import utility


def status(campaign_id: str) -> CampaignStatus:
    """Return how a campaign stands.

    Raises:
        NotFoundError: If there is no such campaign.
    """
    store = books()
    situation = read_situation(store, campaign_id)
    cards = store.ledger.model_cards(campaign_id)
    return CampaignStatus(
        summary=_summary(store, situation),
        spec=situation.spec,
        best=tuple(
            best
            for objective in situation.protocol.objectives
            if (best := _best(situation, objective))
        ),
        calibration=calibration(score(store, situation)),
        batches=batch_infos(store, situation),
        model=cards[-1][1] if cards else None,
        outlook=last_outlook(store, campaign_id),
        link=f"{settings.public_url()}/campaigns/{campaign_id}",
        frozen=frozen.why if (frozen := freeze_of(store, campaign_id)) else None,
        accounts=accounts_of(situation),
    )


def list_campaigns() -> tuple[CampaignSummary, ...]:
    """Return one line per campaign, the latest first."""
    store = books()
    rows = [
        _summary(store, read_situation(store, row.id))
        for row in store.ledger.campaigns()
    ]
    return tuple(sorted(rows, key=lambda row: row.opened_at, reverse=True))


def measurements(
    campaign_id: str, *, offset: int = 0, limit: int = 100
) -> MeasurementPage:
    """Return some measurements in the order in which they came, failures included."""
    rows = books().ledger.measurements(campaign_id)
    return MeasurementPage(total=len(rows), measurements=rows[offset : offset + limit])


def waits_for(store: Books, situation: Situation) -> WaitsFor:
    """Say what a campaign waits for, without moving it."""
    state = store.ledger.campaign(situation.campaign_id).state
    idle = {
        CampaignState.OPEN: WaitsFor.NOTHING,
        CampaignState.STOPPED: WaitsFor.PERSON,
    }
    past = rounds_of(store, situation.campaign_id)
    if not past or past[-1].is_closed:
        if state is CampaignState.OPEN and freeze_of(store, situation.campaign_id):
            return WaitsFor.PERSON
        return idle.get(state, WaitsFor.DONE)
    last = past[-1]
    if last.is_unsent and state is not CampaignState.OPEN:
        return idle.get(state, WaitsFor.DONE)
    if last.approval == "awaiting" and reasons_to_ask(situation, last.job.conditions):
        return WaitsFor.APPROVAL
    if last.submission in {"submitting", "in_doubt"}:
        is_settled = settles_doubt(situation.opening.lab) and not last.needs_person
        return WaitsFor.NOTHING if is_settled else WaitsFor.PERSON
    if last.submission in {"accepted", "running"}:
        return WaitsFor.LAB
    return WaitsFor.NOTHING


def _summary(store: Books, situation: Situation) -> CampaignSummary:
    counts = situation.counts
    return CampaignSummary(
        campaign_id=situation.campaign_id,
        title=situation.protocol.title or situation.protocol.name,
        protocol=f"{situation.protocol.name} version {situation.protocol.version}",
        lab=situation.opening.lab,
        state=store.ledger.campaign(situation.campaign_id).state,
        waits_for=waits_for(store, situation),
        round=situation.round,
        n_measured=len(counts.answered),
        n_failed=len(counts.failed),
        n_pending=len(counts.pending),
        n_own=counts.n_own,
        budget=situation.budget,
        opened_at=situation.opening.opened_at,
    )


def _best(situation: Situation, objective: Objective) -> Best | None:
    usable = [
        (m, value.value)
        for m in situation.measurements
        if (value := m.readouts.get(objective.readout))
        and value.status is Status.OK
        and value.value is not None
    ]
    if not usable:
        return None
    measurement, value = max(usable, key=lambda pair: utility(objective, pair[1]))
    return Best(
        readout=objective.readout,
        goal=objective.goal.value,
        value=value,
        unit=situation.protocol.readout(objective.readout).unit,
        conditions=measurement.conditions,
    )
