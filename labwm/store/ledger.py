"""The ledger: labwm's one stateful place, append-only, in SQLite or PostgreSQL."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Engine

from labwm import settings
from labwm.schema import (
    AccountInfo,
    CampaignSpec,
    Conditions,
    Measurement,
    ModelCard,
    Origin,
    Proposal,
    Protocol,
    StoredPrediction,
)
from labwm.store import (
    accounts,
    datasets,
    leases,
    observations,
    principals,
    queries,
    result_queries,
)
from labwm.store.chain import Author, Json, utc_now
from labwm.store.engine import connect, reading, writing
from labwm.store.machines import ApprovalState, SubmissionState, WellState
from labwm.store.migrate import make_ready
from labwm.store.opening import open_campaign, store_protocol
from labwm.store.survey import Survey
from labwm.store.tracing import Tracer
from labwm.store.verify import verify_campaign
from labwm.store.views import (
    BatchView,
    CampaignView,
    EventView,
    JobView,
    Principal,
    Revision,
    Verified,
)
from labwm.store.writer import Writer


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

    def add_protocol(self, protocol: Protocol) -> str:
        """Store a protocol and return its digest; the same again changes nothing.

        Raises:
            DuplicateError: If this name and version was stored with other content.
        """
        with self._writing() as connection:
            return store_protocol(connection, protocol)

    def open_campaign(
        self,
        campaign_id: str,
        spec: CampaignSpec,
        protocol: Protocol,
        *,
        origins: Collection[Origin],
        actor: str,
        prepared: tuple[str, Json] | None = None,
    ) -> CampaignView:
        """Store a campaign, its protocol, its data set and its first events; once.

        Args:
            campaign_id: Its name for ever; also the name of its data set.
            spec: As the scientist gave it.
            protocol: What an experiment is.
            origins: Origins of observations that its data set admits.
            actor: Principal that opens it.
            prepared: Kind and body of an event of the caller's own that belongs to the
                opening: no campaign is ever without it.

        Raises:
            DuplicateError: If the name is taken by another campaign, or the protocol's
                version by other content.
        """
        with self._writing() as connection:
            author = Author(campaign_id, actor, None, utc_now(connection))
            is_new = open_campaign(
                connection, author, spec, protocol, frozenset(origins)
            )
            if is_new and prepared is not None:
                Writer(connection, author).event(*prepared)
        return self.campaign(campaign_id)

    def add_dataset(
        self, dataset_id: str, origins: Collection[Origin], *, actor: str
    ) -> None:
        """Declare a data set beside the campaigns' own, with the origins it admits.

        Raises:
            DuplicateError: If there is one of that name.
        """
        with self._writing() as connection:
            datasets.declare(connection, dataset_id, origins, actor=actor)

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
    def visit(self, campaign_id: str, *, actor: str) -> Iterator[Writer]:
        """Write outside the lease: approvals, agents' proposals, results that arrive.

        One transaction, all or nothing, in turn with every other writer.

        Raises:
            NotFoundError: If there is no such campaign.
        """
        with self._writing() as connection:
            leases.lock_campaign(connection, campaign_id)
            now = utc_now(connection)
            yield Writer(connection, Author(campaign_id, actor, None, now))

    def acquire_lease(self, campaign_id: str, *, holder: str, ttl_s: float) -> int:
        """Take the lease and return its token; see `leases.acquire_lease`."""
        return leases.acquire_lease(
            self.engine, campaign_id, holder=holder, ttl_s=ttl_s
        )

    def renew_lease(self, campaign_id: str, *, token: int, ttl_s: float) -> None:
        """Prolong the lease; see `leases.renew_lease`."""
        leases.renew_lease(self.engine, campaign_id, token=token, ttl_s=ttl_s)

    def release_lease(self, campaign_id: str, *, token: int) -> None:
        """Give the lease back; see `leases.release_lease`."""
        leases.release_lease(self.engine, campaign_id, token=token)

    def hold_lease(
        self, campaign_id: str, *, holder: str, ttl_s: float
    ) -> AbstractContextManager[int]:
        """Hold the lease over a block, renewed by a thread; see `leases.hold_lease`."""
        return leases.hold_lease(self.engine, campaign_id, holder=holder, ttl_s=ttl_s)

    def lease(self, campaign_id: str) -> leases.Lease:
        """Return who moves the campaign now."""
        with self._reading() as connection:
            return leases.read_lease(connection, campaign_id)

    def now(self) -> datetime:
        """Return the time by the database's clock, the one that stored times are of."""
        with self._reading() as connection:
            return datetime.fromisoformat(utc_now(connection))

    def accounts(self, shelves: Sequence[str]) -> tuple[AccountInfo, ...]:
        """Return how the accounts of some shelves stand, by shelf and name."""
        with self._reading() as connection:
            return accounts.read_accounts(connection, shelves)

    def has_count(self, shelf: str, account: str, key: str) -> bool:
        """Was a count of this key entered into the account?"""
        name = accounts.count_name(account, key)
        with self._reading() as connection:
            return accounts.has_entry(connection, shelf, name)

    def campaign(self, campaign_id: str) -> CampaignView:
        """Return one campaign, or raise NotFoundError."""
        with self._reading() as connection:
            return queries.campaign(connection, campaign_id)

    def campaigns(self) -> tuple[CampaignView, ...]:
        """Return every campaign, the oldest first."""
        with self._reading() as connection:
            return queries.all_campaigns(connection)

    def protocol(self, name: str, version: int) -> Protocol:
        """Return a stored protocol, or raise NotFoundError."""
        with self._reading() as connection:
            return queries.protocol(connection, name, version)

    def last_event(self, campaign_id: str) -> int:
        """Return the number of the campaign's last event, -1 where there is none."""
        with self._reading() as connection:
            return queries.last_event(connection, campaign_id)

    def events(
        self,
        campaign_id: str,
        *,
        kind: str | Collection[str] | None = None,
        after: int = -1,
    ) -> tuple[EventView, ...]:
        """Return events numbered above `after`, in order, of some kinds or of all."""
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

    def proposals_named(
        self, campaign_id: str, names: Collection[str]
    ) -> tuple[Proposal, ...]:
        """Return the proposals of these names, by round and rank; unknown ones lack."""
        with self._reading() as connection:
            return queries.named_proposals(connection, campaign_id, names)

    def predictions(self, campaign_id: str) -> tuple[StoredPrediction, ...]:
        """Return every stored prediction, in the order of storing."""
        with self._reading() as connection:
            return queries.all_predictions(connection, campaign_id)

    def model_cards(self, campaign_id: str) -> tuple[tuple[str, ModelCard], ...]:
        """Return every model card with its digest, in the order of storing."""
        with self._reading() as connection:
            return queries.all_model_cards(connection, campaign_id)

    def batches(
        self, campaign_id: str, *, states: Collection[ApprovalState] = ()
    ) -> tuple[BatchView, ...]:
        """Return batches by round, in the given states or in any."""
        with self._reading() as connection:
            return queries.campaign_batches(connection, campaign_id, states)

    def jobs(
        self, campaign_id: str, *, states: Collection[SubmissionState] = ()
    ) -> tuple[JobView, ...]:
        """Return jobs by round, in the given states or in any."""
        with self._reading() as connection:
            return queries.campaign_jobs(connection, campaign_id, states)

    def job(self, submission_key: str) -> JobView:
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

    def counting(
        self, campaign_id: str
    ) -> tuple[int, tuple[tuple[Revision, Measurement], ...]]:
        """Return the last event's number and what counts then, seen in one moment.

        In the order of `measurements`.
        """
        with self._reading() as connection:
            return result_queries.counting(connection, campaign_id)

    def observations_named(
        self, campaign_id: str, prefix: str
    ) -> tuple[tuple[Revision, Measurement], ...]:
        """Return the observations whose digest begins so, at most three of them."""
        with self._reading() as connection:
            return result_queries.observations_named(connection, [campaign_id], prefix)

    def last_of_well(
        self, campaign_id: str, submission_key: str, well: str
    ) -> tuple[tuple[Revision, Measurement], ...]:
        """Return the last revision of each replicate of a well, counting or not."""
        with self._reading() as connection:
            return result_queries.last_of_well(
                connection, campaign_id, submission_key, well
            )

    def highest_revision(self, campaign_id: str, observation_id: str) -> int:
        """Return the largest revision number of an observation's slot."""
        with self._reading() as connection:
            return result_queries.highest_revision(
                connection, campaign_id, observation_id
            )

    def next_replicate(self, campaign_id: str, conditions: Conditions) -> int:
        """Return the replicate number of the next result without a job."""
        with self._reading() as connection:
            return result_queries.next_replicate(connection, campaign_id, conditions)

    def retracted_slots(self, campaign_id: str) -> frozenset[str]:
        """Return the slots (`job/well/replicate`) that are retracted now."""
        with self._reading() as connection:
            return observations.retracted_slots(connection, [campaign_id])

    def measurements_of_job(self, submission_key: str) -> tuple[Measurement, ...]:
        """Return every observation that answers a job, superseded ones too."""
        with self._reading() as connection:
            return queries.measurements_of_job(connection, submission_key)

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

    @contextmanager
    def survey(self) -> Iterator[Survey]:
        """Look at how campaigns stand, as one moment saw it."""
        with self._reading() as connection:
            yield Survey(connection)

    @contextmanager
    def tracing(self) -> Iterator[Tracer]:
        """Follow what is stored from one thing to the next, as one moment saw it."""
        with self._reading() as connection:
            yield Tracer(connection)

    def verify(self, campaign_id: str) -> Verified:
        """Fold the chain again and compare everything; see `verify.verify_campaign`.

        Raises:
            IntegrityError: At the first thing that does not match.
        """
        with self._reading() as connection:
            return verify_campaign(connection, campaign_id)

    def create_key(
        self, name: str, *, kind: principals.Kind, scopes: Collection[str]
    ) -> str:
        """Make a key and return its secret; see `principals.create_key`."""
        with self._writing() as connection:
            return principals.create_key(connection, name, kind, scopes)

    def authenticate(self, secret: str) -> Principal:
        """Return who holds a secret, or raise UnauthenticatedError."""
        with self._reading() as connection:
            return principals.authenticate(connection, secret)

    def revoke_key(self, key_id: str) -> None:
        """Let a key open nothing from now on; NotFoundError if there is none."""
        with self._writing() as connection:
            principals.revoke_key(connection, key_id)

    def keys(self) -> tuple[Principal, ...]:
        """Return every key, revoked ones too, without secrets."""
        with self._reading() as connection:
            return principals.all_keys(connection)

    def _writing(self) -> AbstractContextManager[Connection]:
        return writing(self.engine).begin()

    def _reading(self) -> AbstractContextManager[Connection]:
        return reading(self.engine).begin()
