"""A round's batch with its approval, its job, and whether the round is over."""

from collections.abc import Sequence
from dataclasses import dataclass

from labwm.campaign.books import Books
from labwm.schema import Job
from labwm.store import BatchView, JobView, SubmissionState
from labwm.store.machines import ENDED

CLOSING = ("round.learned", "round.closed")
"""Kinds of events that end a round."""

NEVER_ARRIVED = "never_arrived"
"""Says of a failed job that the lab has no such job and never will."""

NEEDS_PERSON = "needs_person"
"""Says of a job in doubt that the lab's own answers cannot settle it."""


@dataclass(frozen=True)
class Round:
    """One round as the ledger holds it."""

    batch: BatchView
    sent: JobView | None
    """Its job; of several, which only follow jobs that never arrived, the last."""
    is_closed: bool

    @property
    def index(self) -> int:
        """Number of the round, from 0, as records hold it."""
        return self.batch.round

    @property
    def number(self) -> int:
        """Number of the round, from 1, as people count."""
        return self.batch.round + 1

    @property
    def job(self) -> Job:
        """Exactly what is to be sent, or was sent last."""
        return self.sent.job if self.sent else self.batch.job

    @property
    def key(self) -> str:
        """Name of the batch; also the submission key of its first job."""
        return self.batch.id

    @property
    def submission_key(self) -> str:
        """Submission key of its job: of several, of the last."""
        return self.job.submission_key

    @property
    def approval(self) -> str:
        """State of the approval."""
        return self.batch.state.value

    @property
    def submission(self) -> str | None:
        """State of the job; None before one exists."""
        return self.sent.state.value if self.sent else None

    @property
    def has_ended(self) -> bool:
        """Will the lab do nothing more for it?"""
        return self.sent is not None and self.sent.state in ENDED

    @property
    def is_lost(self) -> bool:
        """Did its job certainly never reach the lab, nor ever will?"""
        return self.sent is not None and bool(self.sent.detail.get(NEVER_ARRIVED))

    @property
    def needs_person(self) -> bool:
        """Is it in doubt in a way that only a person can settle?"""
        if self.sent is None or self.sent.state is not SubmissionState.IN_DOUBT:
            return False
        return bool(self.sent.detail.get(NEEDS_PERSON))

    def next_job(self) -> Job:
        """Return the same job under a new key: the old one is refused for ever."""
        attempt = 0 if self.sent is None else self.sent.attempt + 1
        new_key = f"{self.key}-a{attempt}" if attempt else self.key
        return self.batch.job.model_copy(update={"submission_key": new_key})

    @property
    def proposal_ids(self) -> tuple[str, ...]:
        """Proposals in the batch, in order."""
        named = (well.proposal_id for well in self.job.wells)
        return tuple(dict.fromkeys(name for name in named if name is not None))

    @property
    def is_unsent(self) -> bool:
        """Does it wait to be approved or sent, so that nothing of it was sent?"""
        is_wanted = self.approval in {"drafted", "awaiting", "approved"}
        return is_wanted and (self.submission in {None, "reserved"} or self.is_lost)

    @property
    def counts_as_spent(self) -> bool:
        """Does it take from the budget?

        Rejected and voided batches do not, nor do jobs that failed or were cancelled
        before they gave any result.
        """
        if self.approval in {"rejected", "expired"}:
            return False
        if self.sent is None or self.submission not in {"failed", "cancelled"}:
            return True
        if self.is_lost and not self.is_closed:
            return True  # it is sent again
        return not self.sent.detail.get("refunded", True)


def control_wells(rounds: Sequence[Round]) -> set[tuple[str, str]]:
    """Return job and name of every well of a control: no model learns from those."""
    return {
        (past.job.submission_key, well.name)
        for past in rounds
        for well in past.job.wells
        if well.control is not None
    }


def rounds_of(books: Books, campaign_id: str) -> tuple[Round, ...]:
    """Return every round of a campaign, the first one first."""
    views = sorted(books.ledger.jobs(campaign_id), key=lambda view: view.attempt)
    jobs = {view.batch_id: view for view in views}
    closed = {
        str(event.body["submission_key"])
        for event in books.ledger.events(campaign_id, kind=CLOSING)
    }
    return tuple(
        Round(batch, jobs.get(batch.id), batch.id in closed)
        for batch in books.ledger.batches(campaign_id)
    )
