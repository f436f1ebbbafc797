"""Looking at campaigns as doors show them: nothing here grows with what was measured.

One survey reads in one transaction: it sees one moment.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection

from labwm.schema import Measurement, ModelCard, Protocol
from labwm.store import observations, queries, result_queries, tallies
from labwm.store.overview import open_campaigns, overviews, with_bodies
from labwm.store.views import BatchView, JobView, Overview


@dataclass(frozen=True)
class Survey:
    """Answers how campaigns stand."""

    connection: Connection

    def overviews(
        self,
        campaign_id: str | None = None,
        *,
        last: Collection[str],
        since: Collection[str] | None,
    ) -> tuple[Overview, ...]:
        """Return how campaigns stand in numbers; see `overview.overviews`."""
        return overviews(self.connection, campaign_id, last=last, since=since)

    def with_bodies(self, seen: Collection[Overview]) -> dict[str, Overview]:
        """Return overviews whose last batch and job can be read, by campaign."""
        return with_bodies(self.connection, seen)

    def open_campaigns(self) -> tuple[str, ...]:
        """Return the campaigns that are open, the oldest first."""
        return open_campaigns(self.connection)

    def tallies(self) -> dict[str, dict[str, int]]:
        """Return what became of each campaign's experiments; see `tallies`."""
        return tallies.read_tallies(self.connection)

    def last_batches(
        self, campaign_id: str, n: int
    ) -> tuple[int, tuple[BatchView, ...]]:
        """Return how many batches there are, and the last of them by round."""
        total = queries.n_batches(self.connection, campaign_id)
        return total, queries.campaign_batches(self.connection, campaign_id, (), n)

    def batch(self, batch_id: str) -> BatchView:
        """Return the batch of one name, or raise NotFoundError."""
        return queries.batch(self.connection, batch_id)

    def jobs_for(
        self, campaign_id: str, batch_ids: Collection[str]
    ) -> tuple[JobView, ...]:
        """Return the jobs of some batches."""
        return queries.campaign_jobs(self.connection, campaign_id, (), batch_ids)

    def protocol(self, name: str, version: int) -> Protocol:
        """Return a stored protocol, or raise NotFoundError."""
        return queries.protocol(self.connection, name, version)

    def last_model_card(self, campaign_id: str) -> ModelCard | None:
        """Return the model card that was stored last, if there is one."""
        return queries.last_model_card(self.connection, campaign_id)

    def nearest(
        self, campaign_id: str, readout: str, *, to: float
    ) -> tuple[float, Measurement] | None:
        """Return the counting number that is nearest; see `result_queries`."""
        return result_queries.nearest(self.connection, campaign_id, readout, to=to)

    def answered(self, names: Mapping[str, Collection[str]]) -> frozenset[str]:
        """Return which of each campaign's proposals have a result that counts."""
        return result_queries.answered(self.connection, names)

    def retracted_slots(self, campaign_ids: Collection[str]) -> frozenset[str]:
        """Return the slots (`job/well/replicate`) that are retracted now."""
        return observations.retracted_slots(self.connection, campaign_ids)

    def measurements(
        self, campaign_id: str, *, offset: int, limit: int
    ) -> tuple[int, tuple[Measurement, ...]]:
        """Return how many results count, and some by round, job, well and replicate."""
        return result_queries.page(
            self.connection, campaign_id, offset=offset, limit=limit
        )
