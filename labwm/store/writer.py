"""What one write transaction may append to a campaign."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, insert, select

from labwm.errors import InvalidInputError, NotFoundError
from labwm.schema import Job, Measurement, ModelCard, Proposal, StoredPrediction
from labwm.store import content, datasets, observations, reserving
from labwm.store.chain import Author, Json, append_event
from labwm.store.machines import APPROVAL, CAMPAIGN, ROUND, SUBMISSION, WELL, Machine
from labwm.store.moves import begin, move
from labwm.store.tables import batches, jobs, wells


@dataclass(frozen=True)
class Writer:
    """Appends to one campaign; all of it is stored when the block ends, or none.

    Let errors leave the block, and do no slow work in it: other writers wait.
    """

    connection: Connection
    author: Author

    def event(self, kind: str, body: Mapping[str, Any]) -> int:
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

    def add_prediction(self, prediction: StoredPrediction) -> None:
        """Append what a model expects; see `add_predictions`."""
        self.add_predictions([prediction])

    def add_predictions(self, predictions: Sequence[StoredPrediction]) -> None:
        """Append what a model expects, before the results are known; one event.

        Raises:
            DuplicateError: If a name is taken by another prediction.
        """
        self._refuse_foreign(p.campaign_id for p in predictions)
        content.append_new(
            self.connection, self.author, content.PREDICTIONS, predictions
        )

    def add_proposal(self, proposal: Proposal) -> None:
        """Append a proposal; see `add_proposals`."""
        self.add_proposals([proposal])

    def add_proposals(self, proposals: Sequence[Proposal]) -> None:
        """Append proposals after the predictions that they name; one event.

        Raises:
            DuplicateError: If a name is taken by another proposal.
            ConflictError: If a prediction that they name is not stored.
        """
        self._refuse_foreign(p.campaign_id for p in proposals)
        content.append_new(self.connection, self.author, content.PROPOSALS, proposals)

    def add_model_card(self, card: ModelCard) -> str:
        """Append a model card and return its digest."""
        content.append_new(self.connection, self.author, content.MODEL_CARDS, [card])
        return card.digest()

    def add_batch(self, job: Job, proposal_ids: Sequence[str]) -> None:
        """Draft a batch: exactly what would be sent. Its name is the submission key.

        Raises:
            DuplicateError: If the name is taken by another batch.
        """
        self._refuse_foreign([job.campaign_id])
        key = job.submission_key
        draft = content.Draft(batch_id=key, proposal_ids=tuple(proposal_ids), job=job)
        if content.append_new(self.connection, self.author, content.BATCHES, [draft]):
            begin(self.connection, self.author, APPROVAL, [(key,)])
            begin(self.connection, self.author, ROUND, [(key,)])

    def move_approval(
        self,
        batch_id: str,
        to: str,
        *,
        actor: str | None = None,
        detail: Json | None = None,
    ) -> None:
        """Take a step of a batch's approval.

        Args:
            batch_id: Name of the batch.
            to: An `ApprovalState`.
            actor: Who decided, where it is not the writer.
            detail: A note, or the rule that allowed it.

        Raises:
            NotFoundError: If the campaign has no such batch.
            IllegalTransitionError: If the approval has no such step now.
        """
        self._refuse_unknown(batches.c.batch_id, batch_id)
        author = replace(self.author, actor=actor or self.author.actor)
        move(self.connection, author, APPROVAL, {(batch_id,): to}, detail or {})

    def close_batch(self, batch_id: str) -> None:
        """Record that nothing is left to do for a batch.

        Raises:
            NotFoundError, IllegalTransitionError: If it is unknown, or closed before.
        """
        self._refuse_unknown(batches.c.batch_id, batch_id)
        self._move(ROUND, {(batch_id,): "closed"}, {})

    def add_job(self, job: Job, *, batch_id: str | None = None) -> None:
        """Store the intent to send an approved batch; the job is `reserved` then.

        Args:
            job: Exactly what was approved; only the submission key may be a new one.
            batch_id: Name of the batch where it is not the job's submission key.

        Raises:
            NotFoundError: If the campaign has no such batch.
            ConflictError: If the batch is not approved, if it is not what would be
                sent, or if an earlier job for it has not failed or been cancelled.
            DuplicateError: If the submission key was used before.
        """
        self._refuse_foreign([job.campaign_id])
        batch_id = batch_id or job.submission_key
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

    def move_job(
        self,
        submission_key: str,
        to: str,
        *,
        external_id: str | None = None,
        reason: str | None = None,
    ) -> None:
        """Take a step of a job's submission.

        Args:
            submission_key: Of the job.
            to: A `SubmissionState`.
            external_id: The lab's own name of the job, once it is known.
            reason: Why, where it is not plain.

        Raises:
            NotFoundError: If the campaign has no such job.
            IllegalTransitionError: If the submission has no such step now.
        """
        self._refuse_unknown(jobs.c.submission_key, submission_key)
        said = {"external_id": external_id, "reason": reason}
        detail = {name: text for name, text in said.items() if text is not None}
        self._move(SUBMISSION, {(submission_key,): to}, detail)

    def move_wells(
        self, submission_key: str, to: Mapping[str, str], *, reason: str
    ) -> None:
        """Cancel or exclude wells of one job, or take them back in.

        Raises:
            NotFoundError: If the campaign has no such job or well.
            IllegalTransitionError: If a well has no such step now.
        """
        self._refuse_unknown(jobs.c.submission_key, submission_key)
        wanted = {(submission_key, well): state for well, state in to.items()}
        self._move(WELL, wanted, {"reason": reason})

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

    def admit(self, dataset_id: str, observation_ids: Sequence[str]) -> None:
        """Put observations of this campaign into another data set.

        Raises:
            NotFoundError: If one of them is not stored.
            ConflictError: If the data set does not admit their origin, or has them.
        """
        datasets.admit(self.connection, self.author, dataset_id, observation_ids)

    def set_campaign_state(self, to: str, *, reason: str | None = None) -> None:
        """Take a step of the campaign: a `CampaignState`.

        Raises:
            IllegalTransitionError: If it stands so already, or is done.
        """
        detail = {} if reason is None else {"reason": reason}
        self._move(CAMPAIGN, {(self.author.campaign_id,): to}, detail)

    def _move(
        self, machine: Machine, wanted: Mapping[tuple[str, ...], str], detail: Json
    ) -> None:
        move(self.connection, self.author, machine, wanted, detail)

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
