"""A round's batch with its approval, its job, and whether the round is over."""

from collections.abc import Sequence
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
    def number(self) -> int:
        """Number of the round, from 0."""
        return self.batch.round

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
        named = (well.proposal_id for well in self.job.wells)
        return tuple(dict.fromkeys(name for name in named if name is not None))

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
