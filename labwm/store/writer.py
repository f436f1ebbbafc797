"""What one write transaction may append to a campaign."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, insert, select

from labwm.errors import ConflictError, InvalidInputError, NotFoundError
from labwm.schema import (
    AccountInfo,
    CampaignState,
    Job,
    Measurement,
    ModelCard,
    Need,
    Proposal,
    Protocol,
    StoredPrediction,
)
from labwm.store import (
    accounts,
    content,
    datasets,
    lineage,
    observations,
    queries,
    reserving,
    retracting,
)
from labwm.store.accounts import Entry
from labwm.store.chain import Author, Json, append_event
from labwm.store.machines import (
    APPROVAL,
    CAMPAIGN,
    SUBMISSION,
    WELL,
    ApprovalState,
    SubmissionState,
    WellState,
)
from labwm.store.moves import begin, move, standings
from labwm.store.opening import store_protocol
from labwm.store.tables import batches, jobs, wells
from labwm.store.views import EventView

_STARTED = {
    SubmissionState.ACCEPTED,
    SubmissionState.RUNNING,
    SubmissionState.FINISHED,
}
"""The lab has the job: what it needs counts as used."""
_WITHOUT_DATA = {SubmissionState.FAILED, SubmissionState.CANCELLED}


@dataclass(frozen=True)
class Writer:
    """Appends to one campaign; all of it is stored when the block ends, or none.

    Let errors leave the block, and do no slow work in it: other writers wait.
    """

    connection: Connection
    author: Author

    def event(self, kind: str, body: Json) -> int:
        """Append an event of the caller's own kind and return its number.

        Raises:
            InvalidInputError: If the kind is one that the store appends by itself.
        """
        if kind in content.OWN_KINDS:
            raise InvalidInputError(
                f"The store appends events of kind {sorted(content.OWN_KINDS)} by "
                f"itself; got {kind!r}. Choose another kind."
            )
        return append_event(self.connection, self.author, kind, body)

    def campaign_state(self) -> CampaignState:
        """Return where the campaign stands, as this transaction sees it."""
        found = queries.campaign(self.connection, self.author.campaign_id)
        return found.state

    def last_event(self) -> int:
        """Return the number of the last event, as this transaction sees it."""
        return queries.last_event(self.connection, self.author.campaign_id)

    def events(self, kind: str) -> tuple[EventView, ...]:
        """Return the events of one kind, as this transaction sees them."""
        return queries.campaign_events(
            self.connection, self.author.campaign_id, kind=kind, after=-1
        )

    def add_protocol(self, protocol: Protocol) -> str:
        """Store a version of a protocol and return its digest.

        Raises:
            DuplicateError: If this name and version was stored with other content.
        """
        return store_protocol(self.connection, protocol)

    def add_predictions(self, predictions: Sequence[StoredPrediction]) -> None:
        """Append what a model expects, before the results are known."""
        self._refuse_foreign(p.campaign_id for p in predictions)
        fresh = content.append_new(
            self.connection, self.author, content.PREDICTIONS, predictions
        )
        mine = self.author.campaign_id
        lineage.add_uses(self.connection, mine, predictions, fresh)

    def add_proposals(self, proposals: Sequence[Proposal]) -> None:
        """Append proposals; the predictions that they name must be stored before."""
        self._refuse_foreign(p.campaign_id for p in proposals)
        fresh = content.append_new(
            self.connection, self.author, content.PROPOSALS, proposals
        )
        mine = self.author.campaign_id
        lineage.add_uses(self.connection, mine, proposals, fresh)

    def add_model_card(self, card: ModelCard, *, as_of: int | None = None) -> str:
        """Append a model card and return its digest.

        Args:
            card: Of a fitted model.
            as_of: Number of the last event when the results that it learnt from were
                read; None where that is not known.
        """
        return lineage.add_model_card(self.connection, self.author, card, as_of)

    def add_batch(
        self, batch_id: str, job: Job, *, proposer: str, needs: Sequence[Need] = ()
    ) -> None:
        """Put up for approval exactly what would be sent; it is `drafted` then.

        Args:
            batch_id: Its name for ever.
            job: What would be sent.
            proposer: Whose idea it is.
            needs: What its approval reserves and its submission uses.

        Raises:
            DuplicateError: If the name is taken by another batch.
        """
        self._refuse_foreign([job.campaign_id])
        draft = content.Draft(
            batch_id=batch_id, proposer=proposer, job=job, needs=tuple(needs)
        )
        if content.append_new(self.connection, self.author, content.BATCHES, [draft]):
            begin(self.connection, self.author, APPROVAL, [(batch_id,)])

    def move_approval(
        self,
        batch_id: str,
        to: ApprovalState,
        detail: Json | None = None,
        *,
        was: ApprovalState | None = None,
    ) -> None:
        """Take a step of the approval, with a note or the rule that allowed it.

        Args:
            batch_id: Of the batch.
            to: Where it goes.
            detail: Who, why, by what rule.
            was: Where it must stand now, for a step that is legal from elsewhere too.

        To approve reserves what the batch needs; an approval that expires or is
        voided gives it back.

        Raises:
            NotFoundError, IllegalTransitionError: See `moves.move`.
            ConflictError: If an account has less than the batch needs, or the approval
                does not stand where it must.
        """
        self._refuse_unknown(batches.c.batch_id, batch_id)
        stands = standings(self.connection, APPROVAL, batch_id)[(batch_id,)].state
        if was is not None and stands != was:
            raise ConflictError(
                f"This step is for an approval that is {was}; that of {batch_id!r} is "
                f"{stands} by now. Read the present state and decide again."
            )
        wanted = {(batch_id,): str(to)}
        move(self.connection, self.author, APPROVAL, wanted, detail or {})
        if to is ApprovalState.APPROVED:
            self._reserve(batch_id, 0)
        elif to is ApprovalState.EXPIRED:
            self._book(accounts.refunding(self.connection, batch_id, 0))

    def reserve_job(self, batch_id: str, job: Job) -> None:
        """Store the intent to send an approved batch under the job's submission key.

        Raises:
            ConflictError: If the batch is not approved, if an earlier job for it has
                not ended without data, or if the job is not what was approved.
            DuplicateError: If the submission key was used before.
        """
        self._refuse_foreign([job.campaign_id])
        self._refuse_unknown(batches.c.batch_id, batch_id)
        reservation = reserving.reservation_for(self.connection, batch_id, job)
        if content.append_new(
            self.connection, self.author, content.JOBS, [reservation]
        ):
            key = job.submission_key
            begin(self.connection, self.author, SUBMISSION, [(key,)])
            self.connection.execute(insert(wells), content.well_rows(job))
            names = [(key, well.name) for well in job.wells]
            begin(self.connection, self.author, WELL, names)
            if reservation.attempt:
                self._reserve(batch_id, reservation.attempt)

    def move_job(
        self, submission_key: str, to: SubmissionState, detail: Json | None = None
    ) -> None:
        """Take a step of the submission, with for example its `external_id`.

        What the job reserved is used once the lab accepted it; a job that failed or
        was cancelled without any result gives it back (`refunded` in its detail).

        Raises:
            NotFoundError, IllegalTransitionError: See `moves.move`.
        """
        self._refuse_unknown(jobs.c.submission_key, submission_key)
        wanted, detail = {(submission_key,): str(to)}, dict(detail or {})
        batch_id, attempt = reserving.attempt_of(self.connection, submission_key)
        settle = accounts.using
        if to in _WITHOUT_DATA and accounts.held_by(self.connection, batch_id):
            seen = observations.has_results(self.connection, submission_key)
            detail["refunded"] = not seen
            settle = settle if seen else accounts.refunding
        move(self.connection, self.author, SUBMISSION, wanted, detail)
        if to in _STARTED | _WITHOUT_DATA:
            self._book(settle(self.connection, batch_id, attempt))

    def move_wells(
        self,
        submission_key: str,
        to: Mapping[str, WellState],
        detail: Json | None = None,
    ) -> None:
        """Take a step of some wells of one job: cancel, exclude, take back in.

        Raises:
            NotFoundError, IllegalTransitionError: See `moves.move`.
        """
        self._refuse_unknown(jobs.c.submission_key, submission_key)
        wanted = {(submission_key, well): str(state) for well, state in to.items()}
        move(self.connection, self.author, WELL, wanted, detail or {})

    def add_observations(
        self, measurements: Sequence[Measurement]
    ) -> observations.Added:
        """Take results in; what was stored before, to the byte, changes nothing.

        Other content for the same job, well and replicate is a revision: both stay,
        and `observations.latest` says which counts, whatever came first. Wells step to
        `measured` or `failed` by themselves.

        Raises:
            InvalidInputError: If a measurement names a job without a well.
            NotFoundError: If it answers a job or well that this campaign never had.
            ConflictError: If its origin is not admitted to the campaign's data set.
            DuplicateError: If two without a job contradict each other.
        """
        return observations.add_observations(self.connection, self.author, measurements)

    def retract(self, observation_id: str, *, reason: str) -> None:
        """Let a counting result count no longer; see `retracting.retract`."""
        retracting.retract(self.connection, self.author, observation_id, reason=reason)

    def reinstate(self, observation_id: str, *, reason: str) -> None:
        """Lift the retraction of a result's slot; see `retracting.reinstate`."""
        retracting.reinstate(
            self.connection, self.author, observation_id, reason=reason
        )

    def admit(self, dataset_id: str, observation_ids: Sequence[str]) -> None:
        """Put observations of this campaign into another data set.

        Raises:
            ConflictError: If the data set does not admit their origin, or has them.
        """
        datasets.admit(self.connection, self.author, dataset_id, observation_ids)

    def move_campaign(self, to: CampaignState, detail: Json | None = None) -> None:
        """End, stop or open the campaign again, with the reason.

        Raises:
            IllegalTransitionError: If it stands so already, or is done.
        """
        wanted = {(self.author.campaign_id,): str(to)}
        move(self.connection, self.author, CAMPAIGN, wanted, detail or {})

    def supply(
        self, account: tuple[str, str], amount: float, unit: str, *, key: str, note: str
    ) -> None:
        """Add to an account, named by shelf and name; the same key adds once.

        Raises:
            ConflictError: If the account is kept in another unit.
        """
        grains = accounts.grains(amount)
        self._outside(account, grains, unit, f"supplied/{account[1]}/{key}", note)

    def count(
        self, account: tuple[str, str], amount: float, unit: str, *, key: str, note: str
    ) -> None:
        """Set what is free in an account to what was counted; once for each key.

        Raises:
            ConflictError: If the account is kept in another unit.
        """
        name = accounts.count_name(account[1], key)
        free = accounts.free_in(self.connection, *account)
        if not accounts.has_entry(self.connection, account[0], name):
            change = accounts.grains(amount) - (free or 0)
            self._outside(account, change, unit, name, note)

    def _outside(
        self, account: tuple[str, str], change: int, unit: str, name: str, note: str
    ) -> None:
        entry = Entry(
            id=name,
            shelf=account[0],
            account=account[1],
            unit=unit,
            kind="supplied" if name.startswith("supplied/") else "counted",
            batch_id=None,
            free=change,
            reserved=0,
            used=0,
            note=note,
        )
        self._book([entry])

    def accounts(self, shelves: Sequence[str]) -> tuple[AccountInfo, ...]:
        """Return how accounts stand, as this transaction sees them."""
        return accounts.read_accounts(self.connection, shelves)

    def _reserve(self, batch_id: str, attempt: int) -> None:
        needs = reserving.needs_of(self.connection, batch_id)
        self._book(accounts.reserving(self.connection, batch_id, attempt, needs))

    def _book(self, entries: Sequence[Entry]) -> None:
        content.append_new(self.connection, self.author, content.ENTRIES, entries)

    def _refuse_unknown(self, column: Any, name: str) -> None:
        """Raise unless this campaign has the row that a name column of it names."""
        owner = select(column.table.c.campaign_id).where(column == name)
        found = self.connection.execute(owner).scalar_one_or_none()
        if found != self.author.campaign_id:
            what = "job" if column.table is jobs else "batch"
            raise NotFoundError(
                f"Campaign {self.author.campaign_id!r} must have the {what}; it knows "
                f"none called {name!r}. List what it has with `labwm campaign status`."
            )

    def _refuse_foreign(self, campaign_ids: Iterable[str]) -> None:
        mine = self.author.campaign_id
        if foreign := sorted(set(campaign_ids) - {mine}):
            raise InvalidInputError(
                f"A transaction writes to one campaign, this one to {mine!r}; got "
                f"records of {foreign}. Write them to their own."
            )
