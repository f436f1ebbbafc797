"""The ledger: labwm's one stateful place, append-only, in SQLite or PostgreSQL."""

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine

from labwm import settings
from labwm.schema import (
    KeyInfo,
    Measurement,
    ModelCard,
    Origin,
    Principal,
    Proposal,
    Protocol,
    StoredPrediction,
)
from labwm.store import datasets, leases, observations, opening, principals, queries
from labwm.store.chain import Author, utc_now
from labwm.store.engine import connect, reading, writing
from labwm.store.machines import SubmissionState, WellState
from labwm.store.revision import make_ready
from labwm.store.verify import verify_campaign
from labwm.store.views import (
    Revision,
    StoredBatch,
    StoredCampaign,
    StoredEvent,
    StoredJob,
    Verified,
)
from labwm.store.writer import Writer


def _presume_alive(_holder: str) -> bool:
    return False


@dataclass(frozen=True)
class Ledger:
    """Every campaign of one database. Safe to share among threads, not across forks."""

    engine: Engine

    @classmethod
    def open(cls, url: str | None = None) -> "Ledger":
        """Open the ledger at `url`, by default where the settings say.

        An empty database gets the tables; any other is never migrated here.

        Raises:
            SchemaRevisionError: If the database is of another revision.
            StoreError: If it does not answer.
        """
        engine = connect(url or settings.database_url())
        try:
            make_ready(engine)
        except BaseException:
            engine.dispose()
            raise
        return cls(engine)

    def close(self) -> None:
        """Close every connection; the next call opens new ones."""
        self.engine.dispose()

    # Writing

    def add_protocol(self, protocol: Protocol) -> str:
        """Store a protocol and return its digest; the same again changes nothing.

        Raises:
            DuplicateError: If this name and version was stored with other content.
        """
        with self._writing() as connection:
            return opening.store_protocol(connection, protocol)

    def open_campaign(
        self,
        campaign_id: str,
        body: Mapping[str, Any],
        *,
        admits: Collection[Origin],
        actor: str,
    ) -> None:
        """Store a campaign, its data set and its first event.

        The same again changes nothing: a start that was cut off can be repeated.

        Args:
            campaign_id: Its name for ever; also the name of its data set.
            body: What it is opened with, as JSON; among it `protocol_name`,
                `protocol_version` and `protocol_sha256` of a stored protocol.
            admits: Origins of observations that its data set takes.
            actor: Principal that opens it.

        Raises:
            InvalidInputError: If the body does not name the protocol.
            DuplicateError: If the name is taken by another campaign or data set.
            ConflictError: If the protocol is not stored.
        """
        with self._writing() as connection:
            author = Author(campaign_id, actor, None, utc_now(connection))
            opening.open_campaign(connection, author, body, admits)

    def add_dataset(
        self, dataset_id: str, *, admits: Collection[Origin], actor: str
    ) -> None:
        """Declare a data set beside the campaigns' own.

        Raises:
            DuplicateError: If there is one of that name.
        """
        with self._writing() as connection:
            datasets.declare(connection, dataset_id, admits, actor=actor)

    @contextmanager
    def write(self, campaign_id: str, *, token: int, actor: str) -> Iterator[Writer]:
        """Write as the holder of the lease: one transaction, all or nothing.

        Raises:
            StaleTokenError: If the lease was lost; nothing is written.
            NotFoundError: If there is no such campaign.
        """
        with self._writing() as connection:
            leases.refuse_stale_token(connection, campaign_id, token)
            now = utc_now(connection)
            yield Writer(connection, Author(campaign_id, actor, token, now))

    @contextmanager
    def note(self, campaign_id: str, *, actor: str) -> Iterator[Writer]:
        """Write outside the lease, in turn with every other writer.

        For what may come at any time and moves nothing: predictions that were asked
        for, results that arrive. One transaction, all or nothing.

        Raises:
            NotFoundError: If there is no such campaign.
        """
        with self._writing() as connection:
            leases.lock_campaign(connection, campaign_id)
            now = utc_now(connection)
            yield Writer(connection, Author(campaign_id, actor, None, now))

    # Leases

    def acquire_lease(
        self,
        campaign_id: str,
        holder: str,
        *,
        ttl: float,
        is_dead: Callable[[str], bool] = _presume_alive,
    ) -> int:
        """Take a free lease and return its token; see `leases.acquire_lease`."""
        return leases.acquire_lease(
            self.engine, campaign_id, holder, ttl=ttl, is_dead=is_dead
        )

    def renew_lease(self, campaign_id: str, token: int, *, ttl: float) -> None:
        """Prolong the lease; see `leases.renew_lease`."""
        leases.renew_lease(self.engine, campaign_id, token, ttl=ttl)

    def release_lease(self, campaign_id: str, token: int) -> None:
        """Give the lease back; see `leases.release_lease`."""
        leases.release_lease(self.engine, campaign_id, token)

    def lease(self, campaign_id: str) -> leases.Lease:
        """Return who moves the campaign now."""
        with self._reading() as connection:
            return leases.read_lease(connection, campaign_id)

    # Reading

    def campaign(self, campaign_id: str) -> StoredCampaign:
        """Return one campaign, or raise NotFoundError."""
        with self._reading() as connection:
            return queries.campaign(connection, campaign_id)

    def campaigns(self) -> tuple[StoredCampaign, ...]:
        """Return every campaign, the oldest first."""
        with self._reading() as connection:
            return queries.all_campaigns(connection)

    def protocol(self, name: str, version: int) -> Protocol:
        """Return a stored protocol, or raise NotFoundError."""
        with self._reading() as connection:
            return queries.protocol(connection, name, version)

    def events(
        self, campaign_id: str, *, kind: str | None = None, after: int = -1
    ) -> tuple[StoredEvent, ...]:
        """Return events numbered above `after`, in order, of one kind or of all."""
        with self._reading() as connection:
            return queries.campaign_events(
                connection, campaign_id, kind=kind, after=after
            )

    def proposals(
        self, campaign_id: str, *, round: int | None = None
    ) -> tuple[Proposal, ...]:
        """Return proposals by round and rank, of one round or of all."""
        with self._reading() as connection:
            return queries.round_proposals(connection, campaign_id, round)

    def predictions(self, campaign_id: str) -> tuple[StoredPrediction, ...]:
        """Return every stored prediction, in the order of storing."""
        with self._reading() as connection:
            return queries.all_predictions(connection, campaign_id)

    def latest_model_card(self, campaign_id: str) -> ModelCard | None:
        """Return the model card that was stored last, if any."""
        with self._reading() as connection:
            return queries.latest_model_card(connection, campaign_id)

    def batches(self, campaign_id: str) -> tuple[StoredBatch, ...]:
        """Return every batch in the order of drafting, with approval and last job."""
        with self._reading() as connection:
            return queries.campaign_batches(connection, campaign_id)

    def jobs(
        self, campaign_id: str, *, states: Collection[SubmissionState] = ()
    ) -> tuple[StoredJob, ...]:
        """Return jobs in the order of reserving, in the given states or in any."""
        with self._reading() as connection:
            return queries.campaign_jobs(connection, campaign_id, states)

    def job(self, submission_key: str) -> StoredJob:
        """Return the job of one key, of whatever campaign, or raise NotFoundError."""
        with self._reading() as connection:
            return queries.job(connection, submission_key)

    def well_states(self, submission_key: str) -> dict[str, WellState]:
        """Return the state of each well of a job."""
        with self._reading() as connection:
            return queries.well_states(connection, submission_key)

    def measurements(self, campaign_id: str) -> tuple[Measurement, ...]:
        """Return the measurements that count, in an order that arrival cannot change.

        By round, job, well and replicate; of several revisions the latest.
        """
        with self._reading() as connection:
            return queries.current_measurements(connection, campaign_id)

    def revisions(self, campaign_id: str) -> tuple[tuple[Revision, Measurement], ...]:
        """Return every observation ever stored, superseded ones too, by slot."""
        with self._reading() as connection:
            return queries.revisions(connection, campaign_id)

    def n_measured(self, campaign_id: str) -> int:
        """Return how many measurements count, failures included."""
        with self._reading() as connection:
            return observations.n_measured(connection, campaign_id)

    def dataset_sha256(self, campaign_id: str) -> str:
        """Return the identity of the measurements that count."""
        with self._reading() as connection:
            return observations.dataset_sha256(connection, campaign_id)

    def verify(self, campaign_id: str) -> Verified:
        """Fold the chain again and compare everything; see `verify.verify_campaign`.

        Raises:
            IntegrityError: At the first thing that does not match.
        """
        with self._reading() as connection:
            return verify_campaign(connection, campaign_id)

    # Keys

    def add_key(self, principal: Principal, secret: str) -> None:
        """Store a key; see `principals.add_key`."""
        with self._writing() as connection:
            principals.add_key(connection, principal, secret)

    def principal_of(self, secret: str) -> Principal | None:
        """Return who holds a secret; None if nobody does or the key was revoked."""
        with self._reading() as connection:
            return principals.principal_of(connection, secret)

    def revoke_key(self, name: str) -> KeyInfo:
        """Revoke a principal's key; see `principals.revoke_key`."""
        with self._writing() as connection:
            return principals.revoke_key(connection, name)

    def keys(self) -> tuple[KeyInfo, ...]:
        """Return every key, revoked ones too, the oldest first."""
        with self._reading() as connection:
            return principals.all_keys(connection)

    def _writing(self) -> AbstractContextManager[Connection]:
        return writing(self.engine).begin()

    def _reading(self) -> AbstractContextManager[Connection]:
        return reading(self.engine).begin()
