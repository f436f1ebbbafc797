"""A round's batch with its approval, its job, and whether the round is over."""

from dataclasses import dataclass

from labwm.campaign.books import Books
from labwm.schema import Job
from labwm.store import BatchView, JobView
from labwm.store.machines import ENDED

CLOSING = ("round.learned", "round.closed")
"""Kinds of events that end a round."""


@dataclass(frozen=True)
class Round:
    """One round as the ledger holds it."""

    batch: BatchView
    sent: JobView | None
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
        """Exactly what is to be sent."""
        return self.batch.job

    @property
    def key(self) -> str:
        """Submission key of its job; also the name of the batch."""
        return self.batch.job.submission_key

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
    def proposal_ids(self) -> tuple[str, ...]:
        """Proposals in the batch, in order."""
        return tuple(dict.fromkeys(well.proposal_id for well in self.job.wells))

    @property
    def is_unsent(self) -> bool:
        """Does it wait to be approved or sent, so that nothing of it was sent?"""
        is_wanted = self.approval in {"drafted", "awaiting", "approved"}
        return is_wanted and self.submission in {None, "reserved"}

    @property
    def counts_as_spent(self) -> bool:
        """Does it take from the budget? Rejected and refused batches do not."""
        if self.approval in {"rejected", "expired"}:
            return False
        return self.submission not in {"failed", "cancelled"}


def rounds_of(books: Books, campaign_id: str) -> tuple[Round, ...]:
    """Return every round of a campaign, the first one first."""
    jobs = {view.batch_id: view for view in books.ledger.jobs(campaign_id)}
    closed = {
        str(event.body["submission_key"])
        for kind in CLOSING
        for event in books.ledger.events(campaign_id, kind=kind)
    }
    return tuple(
        Round(batch, jobs.get(batch.id), batch.id in closed)
        for batch in books.ledger.batches(campaign_id)
    )
