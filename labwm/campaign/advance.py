"""The one mover: everything that moves a campaign calls `advance`."""

from collections.abc import Callable

from labwm import settings
from labwm.campaign import alarms, approval, dispatch, learning, rounds
from labwm.campaign.amendments import amendments_of
from labwm.campaign.batches import Round, rounds_of
from labwm.campaign.books import Books, books
from labwm.campaign.late import take_in_late
from labwm.campaign.lease import Lease, held
from labwm.campaign.moments import Moment, reached
from labwm.campaign.situation import Situation, read_opening, read_situation
from labwm.campaign.standing import standing_of
from labwm.errors import ConflictError, InDoubtError
from labwm.schema import CampaignState, JobState, Step, WaitsFor
from labwm.store.tallies import ANSWERED

Say = Callable[[str], None]


def advance(campaign_id: str, *, progress: Say | None = None) -> Step:
    """Move a campaign until it must wait or one more round is learnt.

    Safe to call at any time and from anywhere: one caller at a time holds the lease,
    and whatever killed the last one, the next goes on from what is stored.

    Args:
        campaign_id: Of an open campaign.
        progress: Called with a line for people whenever something happened.

    Raises:
        NotFoundError: If there is no such campaign.
        LeaseHeldError: If somebody else is moving it now.
        StaleTokenError: If the lease was lost meanwhile.
    """
    say: Say = progress or _say_nothing
    store = books()
    read_opening(store, campaign_id)
    with held(store, campaign_id, actor="advance") as lease:
        while True:
            state = store.ledger.campaign(campaign_id).state
            situation = read_situation(store, campaign_id)
            try:
                did, waits_for, is_round_over = _step(store, lease, situation, say)
            except ConflictError:
                if not _was_steered(store, situation, state):
                    raise
                say("somebody amended or stopped it meanwhile; going on from there")
                continue
            say(did)
            if is_round_over or waits_for is not WaitsFor.NOTHING:
                return _report_step(store, campaign_id, did, waits_for)


def _was_steered(store: Books, situation: Situation, state: CampaignState) -> bool:
    """Did a person change the campaign since it was read?

    She writes outside the lease; what then contradicts the mover's step was refused.
    """
    name = situation.campaign_id
    is_amended = len(amendments_of(store, name)) != len(situation.amendments)
    return is_amended or store.ledger.campaign(name).state is not state


def _say_nothing(line: str) -> None:
    """Take a line of progress that nobody asked for."""


Outcome = tuple[str, WaitsFor, bool]


def _step(store: Books, lease: Lease, situation: Situation, say: Say) -> Outcome:
    past = rounds_of(store, situation.campaign_id)
    last = past[-1] if past else None
    if last is None or last.is_closed:
        return _next_round(store, lease, situation, say)
    state = store.ledger.campaign(situation.campaign_id).state
    if last.is_unsent and state is not CampaignState.OPEN:
        return f"round {last.number} is not sent: {state}", WaitsFor.PERSON, True
    if last.approval == "awaiting":
        return approval.settle(store, lease, situation, last)
    if last.approval in {"rejected", "expired"}:
        did = f"round {last.number}: {last.approval}"
        return learning.close(store, lease, last, did=did)
    return _work_on(store, lease, situation, last, say)


def _next_round(store: Books, lease: Lease, situation: Situation, say: Say) -> Outcome:
    state = store.ledger.campaign(situation.campaign_id).state
    if state is not CampaignState.OPEN:
        n_late = take_in_late(store, lease, situation, say=say)
        came = f"; {n_late} late or corrected results were taken in" if n_late else ""
        if state is CampaignState.STOPPED:
            return f"paused{came}", WaitsFor.PERSON, True
        return _finish(store, lease, f"the campaign is closed{came}")
    queued = rounds.queued_proposals(store, situation)
    if situation.n_left == 0:
        return _finish(store, lease, "the budget is spent")
    if frozen := alarms.watch(store, lease, situation):
        return f"frozen until a person looks: {frozen.why}", WaitsFor.PERSON, True
    did = rounds.propose_round(store, lease, situation, queued, say=say)
    if did is None and (short := rounds.short_of(situation, queued)):
        return short, WaitsFor.PERSON, True
    if did is None:
        return _finish(store, lease, "every candidate was tried")
    return did, WaitsFor.NOTHING, False


def _finish(store: Books, lease: Lease, why: str) -> Outcome:
    if store.ledger.campaign(lease.campaign_id).state is CampaignState.OPEN:
        with lease.write(store) as w:
            w.move_campaign(CampaignState.DONE, {"why": why})
    return f"done: {why}", WaitsFor.DONE, True


def _work_on(
    store: Books, lease: Lease, situation: Situation, now: Round, say: Say
) -> Outcome:
    """Take the next step of an approved batch: one kind per state of its job."""
    state = now.submission
    if state is None or now.is_lost:
        job = now.next_job()
        with lease.write(store) as w:
            w.reserve_job(now.batch.id, job)
        reached(Moment.RESERVED)
        did = f"round {now.number}: reserved as {job.submission_key}"
        return did, WaitsFor.NOTHING, False
    if now.has_ended:
        return learning.learn(store, lease, situation, now)
    lab = dispatch.lab_of(store, situation, now.job)
    if state == "reserved":
        try:
            sent = dispatch.send(store, lease, lab, now.job)
        except InDoubtError as error:
            return f"round {now.number}: {error}", WaitsFor.LAB, True
        return f"round {now.number}: {sent} to {lab.name}", WaitsFor.NOTHING, False
    if state in {"submitting", "in_doubt"}:
        return _settle(store, lease, lab, now)
    return _gather(store, lease, lab, now, say)


def _gather(
    store: Books, lease: Lease, lab: dispatch.Lab, now: Round, say: Say
) -> Outcome:
    job_state = dispatch.gather(store, lease, lab, now.job, say=say)
    if job_state is JobState.UNKNOWN:
        did = f"round {now.number}: the lab lost {now.submission_key}; it is in doubt"
        return did, WaitsFor.NOTHING, False
    if job_state in {JobState.ACCEPTED, JobState.RUNNING}:
        return f"round {now.number}: the lab is working", WaitsFor.LAB, True
    return f"round {now.number}: measured", WaitsFor.NOTHING, False


def _settle(store: Books, lease: Lease, lab: dispatch.Lab, now: Round) -> Outcome:
    try:
        settled = (
            None if now.needs_person else dispatch.reconcile(store, lease, lab, now.job)
        )
    except InDoubtError as error:
        return f"round {now.number}: {error}", WaitsFor.LAB, True
    if settled is None:
        why = (
            f"round {now.number}: {now.submission_key} is in doubt; ask the lab, then "
            f"say what it said with `labwm campaign settle {lease.campaign_id}`"
        )
        return why, WaitsFor.PERSON, True
    return f"round {now.number}: {settled}", WaitsFor.NOTHING, False


def _report_step(store: Books, campaign_id: str, did: str, waits_for: WaitsFor) -> Step:
    standing = standing_of(store, campaign_id)
    return Step(
        campaign_id=campaign_id,
        did=did,
        waits_for=waits_for,
        round=standing.round,
        n_measured=standing.tally.get(ANSWERED, 0),
        budget=standing.budget,
        link=f"{settings.public_url()}/campaigns/{campaign_id}",
    )


def open_ids() -> tuple[str, ...]:
    """Return the campaigns that are not done, oldest first."""
    with books().ledger.survey() as survey:
        return survey.open_campaigns()
