"""What one write transaction may append to a campaign."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, func, insert, select

from labwm.errors import ConflictError, InvalidInputError, NotFoundError
from labwm.schema import (
    CampaignState,
    Job,
    Measurement,
    ModelCard,
    Proposal,
    StoredPrediction,
)
from labwm.store import content, observations
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
from labwm.store.moves import Standing, begin, move, standings
from labwm.store.tables import batches, jobs, wells
from labwm.store.tables import observations as observations_table


@dataclass(frozen=True)
class Writer:
    """Appends to one campaign; all of it is stored when the block ends, or none.

    Do no slow work while it is open: other writers of this ledger wait.
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

    def add_predictions(self, predictions: Sequence[StoredPrediction]) -> None:
        """Append what a model expects, before the results are known."""
        self._refuse_foreign(p.campaign_id for p in predictions)
        content.append_new(
            self.connection, self.author, content.PREDICTIONS, predictions
        )

    def add_proposals(self, proposals: Sequence[Proposal]) -> None:
        """Append proposals; the predictions that they name must be stored before."""
        self._refuse_foreign(p.campaign_id for p in proposals)
        content.append_new(self.connection, self.author, content.PROPOSALS, proposals)

    def add_model_card(self, card: ModelCard) -> str:
        """Append a model card and return its digest."""
        content.append_new(self.connection, self.author, content.MODEL_CARDS, [card])
        return card.digest()

    def add_batch(self, batch_id: str, job: Job, *, proposer: str) -> None:
        """Put up for approval exactly what would be sent; it is `drafted` then.

        Raises:
            DuplicateError: If the name is taken by another batch.
        """
        self._refuse_foreign([job.campaign_id])
        draft = content.Draft(batch_id=batch_id, proposer=proposer, job=job)
        if content.append_new(self.connection, self.author, content.BATCHES, [draft]):
            begin(self.connection, self.author, APPROVAL, [(batch_id,)])

    def move_approval(
        self, batch_id: str, to: ApprovalState, detail: Json | None = None
    ) -> None:
        """Take a step of the approval, with a note or the rule that allowed it.

        Raises:
            NotFoundError, IllegalTransitionError: See `moves.move`.
        """
        self._refuse_unknown_batch(batch_id)
        wanted = {(batch_id,): str(to)}
        move(self.connection, self.author, APPROVAL, wanted, detail or {})

    def reserve_job(self, batch_id: str, job: Job) -> None:
        """Store the intent to send an approved batch under the job's submission key.

        Raises:
            ConflictError: If the batch is not approved, if an earlier job for it has
                not ended without data, or if the job is not what was approved.
            DuplicateError: If the submission key was used before.
        """
        self._refuse_foreign([job.campaign_id])
        step = self._approved_step(batch_id, job)
        reservation = content.Reservation(
            batch_id=batch_id,
            attempt=self._attempt(batch_id, job.submission_key),
            approval_step=step,
            job=job,
        )
        appended = content.append_new(
            self.connection, self.author, content.JOBS, [reservation]
        )
        if appended:
            self._plan_wells(job)

    def move_job(
        self, submission_key: str, to: SubmissionState, detail: Json | None = None
    ) -> None:
        """Take a step of the submission, with for example its `external_id`.

        Raises:
            NotFoundError, IllegalTransitionError: See `moves.move`.
        """
        self._refuse_unknown_job(submission_key)
        wanted = {(submission_key,): str(to)}
        move(self.connection, self.author, SUBMISSION, wanted, detail or {})

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
        self._refuse_unknown_job(submission_key)
        wanted = {(submission_key, well): str(state) for well, state in to.items()}
        move(self.connection, self.author, WELL, wanted, detail or {})

    def add_observations(
        self, measurements: Sequence[Measurement]
    ) -> observations.Added:
        """Take results in; what was stored before, to the byte, changes nothing.

        Raises:
            InvalidInputError, NotFoundError, ConflictError, DuplicateError: See
                `observations.add_observations`.
        """
        return observations.add_observations(self.connection, self.author, measurements)

    def admit(self, dataset_id: str, observation_ids: Sequence[str]) -> None:
        """Put observations of this campaign into another data set.

        Raises:
            ConflictError: If the data set does not admit their origin, or has them.
        """
        query = select(observations_table).where(
            observations_table.c.campaign_id == self.author.campaign_id,
            observations_table.c.id.in_(observation_ids),
        )
        rows = [dict(row) for row in self.connection.execute(query).mappings()]
        if missing := sorted(set(observation_ids) - {row["id"] for row in rows}):
            raise NotFoundError(
                f"Only stored observations can enter a data set; got {missing[:3]}. "
                "Store them first."
            )
        observations.refuse_origins(
            self.connection, dataset_id, {row["origin"] for row in rows}
        )
        observations.add_dataset_rows(self.connection, dataset_id, rows)
        digest = content.digest_of_records(observation_ids)
        body: Json = {"dataset": dataset_id, "n": len(rows), "sha256": digest}
        append_event(self.connection, self.author, "added", body)

    def move_campaign(self, to: CampaignState, detail: Json | None = None) -> None:
        """End, stop or open the campaign again, with the reason.

        Raises:
            IllegalTransitionError: If it stands so already, or is done.
        """
        wanted = {(self.author.campaign_id,): str(to)}
        move(self.connection, self.author, CAMPAIGN, wanted, detail or {})

    def _plan_wells(self, job: Job) -> None:
        key = job.submission_key
        begin(self.connection, self.author, SUBMISSION, [(key,)])
        self.connection.execute(insert(wells), content.well_rows(job))
        begin(self.connection, self.author, WELL, [(key, w.name) for w in job.wells])

    def _approved_step(self, batch_id: str, job: Job) -> int:
        approved = self._refuse_unknown_batch(batch_id)
        if approved != job.content_sha256:
            raise ConflictError(
                "A job is exactly what was approved; the content of "
                f"{job.submission_key!r} is {job.content_sha256[:12]}, that of batch "
                f"{batch_id!r} {approved[:12]}. Draft a new batch."
            )
        standing = standings(self.connection, APPROVAL, batch_id)[batch_id,]
        if standing.state != ApprovalState.APPROVED:
            raise ConflictError(
                f"Only an approved batch is sent; {batch_id!r} is {standing.state}. "
                "Have it approved."
            )
        return standing.step

    def _attempt(self, batch_id: str, submission_key: str) -> int:
        query = (
            select(jobs.c.submission_key, jobs.c.attempt)
            .where(jobs.c.batch_id == batch_id)
            .order_by(jobs.c.attempt)
        )
        earlier = self.connection.execute(query).all()
        for key, attempt in earlier:
            if key == submission_key:
                return attempt
        for key, _ in earlier:
            self._refuse_live(batch_id, standings(self.connection, SUBMISSION, key))
        return len(earlier)

    def _refuse_live(
        self, batch_id: str, standing: Mapping[tuple[str, ...], Standing]
    ) -> None:
        without_data = {SubmissionState.FAILED, SubmissionState.CANCELLED}
        for (key,), job in standing.items():
            if job.state not in without_data:
                raise ConflictError(
                    "A batch is sent again only after each earlier job failed or was "
                    f"cancelled; job {key!r} of batch {batch_id!r} is {job.state}. "
                    "Settle it first."
                )

    def _refuse_unknown_batch(self, batch_id: str) -> str:
        query = select(batches.c.content_sha256).where(
            batches.c.batch_id == batch_id,
            batches.c.campaign_id == self.author.campaign_id,
        )
        found = self.connection.execute(query).scalar_one_or_none()
        if found is None:
            raise NotFoundError(
                f"Campaign {self.author.campaign_id!r} must have the batch; it knows "
                f"none called {batch_id!r}. Draft it first."
            )
        return found

    def _refuse_unknown_job(self, submission_key: str) -> None:
        query = select(func.count()).where(
            jobs.c.submission_key == submission_key,
            jobs.c.campaign_id == self.author.campaign_id,
        )
        if not self.connection.execute(query).scalar_one():
            raise NotFoundError(
                f"Campaign {self.author.campaign_id!r} must have the job; it knows "
                f"none of key {submission_key!r}. Reserve it first."
            )

    def _refuse_foreign(self, campaign_ids: Iterable[str]) -> None:
        mine = self.author.campaign_id
        if foreign := sorted(set(campaign_ids) - {mine}):
            raise InvalidInputError(
                f"A transaction writes to one campaign, this one to {mine!r}; got "
                f"records of {foreign}. Write them to their own."
            )
