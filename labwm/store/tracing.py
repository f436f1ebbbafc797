"""Following what is stored from one thing to the next; every query uses an index.

One tracer reads in one transaction: it sees one moment.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Select, func, select

from labwm.schema import Measurement, ModelCard, Proposal, StoredPrediction
from labwm.store import queries
from labwm.store.chain import Json
from labwm.store.content import Retraction
from labwm.store.machine_tables import moves
from labwm.store.moves import parse
from labwm.store.observations import latest
from labwm.store.tables import (
    batches,
    campaigns,
    events,
    jobs,
    model_cards,
    model_uses,
    observation_slots,
    observations,
    predictions,
    proposals,
    retractions,
    trainings,
    wells,
)
from labwm.store.views import BatchView, JobView

_HEX: Final = frozenset("0123456789abcdef")
_SHORTEST: Final = 8


@dataclass(frozen=True)
class Found:
    """Something by its name."""

    kind: str
    campaign_id: str
    id: str


@dataclass(frozen=True)
class Stored:
    """A record, the event that stored it, and when and by whom."""

    record: Any
    seq: int
    at: str
    actor: str


@dataclass(frozen=True)
class Trained:
    """A model and what it was fitted to."""

    id: str
    card: ModelCard
    at: str
    as_of: int
    is_exact: bool
    """False where the ledger of an older program does not say what it was fitted to:
    then `as_of` is the event of the card, and what came just before may be missing."""


@dataclass(frozen=True)
class Tracer:
    """Reads one thing after another in one transaction."""

    connection: Connection

    def find(self, name: str, campaign_id: str | None) -> tuple[Found, ...]:
        """Return everything of that name; digests by their first 8 letters or more."""
        ids = [campaign_id] if campaign_id else self._campaigns()
        exact = [
            *self._named("prediction", predictions, ids, name),
            *self._named("proposal", proposals, ids, name),
            *self._jobs(name, ids),
        ]
        if exact:
            return tuple(exact)
        if not set(name) <= _HEX or len(name) < _SHORTEST:
            return ()
        return (
            *self._starting("model", model_cards, ids, name),
            *self._starting("result", observations, ids, name),
            *self._raw(name, ids),
        )

    def prediction(self, campaign_id: str, name: str) -> Stored:
        """Return a stored prediction."""
        return self._stored(predictions, campaign_id, name, StoredPrediction)

    def proposal(self, campaign_id: str, name: str) -> Stored:
        """Return a stored proposal."""
        return self._stored(proposals, campaign_id, name, Proposal)

    def citing(self, campaign_id: str, prediction_id: str, limit: int) -> list[str]:
        """Return the proposals that name a prediction."""
        query = select(proposals.c.id).where(
            proposals.c.campaign_id == campaign_id,
            proposals.c.prediction_id == prediction_id,
        )
        return list(
            self.connection.scalars(query.order_by(proposals.c.id).limit(limit))
        )

    def wells_of(self, proposal_id: str) -> list[tuple[str, str]]:
        """Return job and well of each place of a proposal."""
        query = select(wells.c.submission_key, wells.c.well).where(
            wells.c.proposal_id == proposal_id
        )
        rows = self.connection.execute(query.order_by(*query.selected_columns))
        return [(row.submission_key, row.well) for row in rows]

    def planned(self, key: str, well: str) -> str | None:
        """Return the proposal that a well was planned for."""
        query = select(wells.c.proposal_id).where(
            wells.c.submission_key == key, wells.c.well == well
        )
        return self.connection.execute(query).scalar_one_or_none()

    def wells_in(self, key: str, limit: int) -> tuple[list[str], int]:
        """Return some wells of a job and how many there are."""
        mine = wells.c.submission_key == key
        query = select(wells.c.well).where(mine).order_by(wells.c.well).limit(limit)
        total = select(func.count()).select_from(wells).where(mine)
        return (
            list(self.connection.scalars(query)),
            self.connection.execute(total).scalar_one(),
        )

    def job(self, key: str) -> JobView:
        """Return a job."""
        return queries.job(self.connection, key)

    def batch(self, batch_id: str) -> BatchView:
        """Return a batch."""
        return queries.batch(self.connection, batch_id)

    def approval(self, batch_id: str) -> list[tuple[str, Json, str, str]]:
        """Return each step of a batch's approval: state, detail, who, when."""
        table = moves["approval"]
        query = (
            select(table.c.to_state, table.c.detail, events.c.actor, events.c.at)
            .join(
                events,
                (events.c.campaign_id == table.c.campaign_id)
                & (events.c.seq == table.c.event_seq),
            )
            .where(table.c.batch_id == batch_id)
            .order_by(table.c.step)
        )
        return [
            (row.to_state, parse(row.detail), row.actor, row.at)
            for row in self.connection.execute(query)
        ]

    def result(self, campaign_id: str, name: str) -> Stored:
        """Return a stored observation."""
        return self._stored(observations, campaign_id, name, Measurement)

    def results_at(self, key: str, well: str) -> list[str]:
        """Return every result of a well, superseded ones too, as they were stored."""
        query = (
            select(observations.c.id)
            .where(observations.c.job_key == key, observations.c.well == well)
            .order_by(observations.c.event_seq, observations.c.id)
        )
        return list(self.connection.scalars(query))

    def results_of_raw(
        self, campaign_id: str, sha256: str, limit: int
    ) -> tuple[list[str], int]:
        """Return some results that were read from raw bytes, and how many there are."""
        mine = (observations.c.raw_sha256 == sha256) & (
            observations.c.campaign_id == campaign_id
        )
        query = select(observations.c.id).where(mine).order_by(observations.c.slot)
        total = select(func.count()).select_from(observations).where(mine)
        return (
            list(self.connection.scalars(query.limit(limit))),
            self.connection.execute(total).scalar_one(),
        )

    def counts_now(self, campaign_id: str, slot: str) -> str | None:
        """Return the observation that counts in a slot."""
        query = select(observation_slots.c.observation_id).where(
            observation_slots.c.campaign_id == campaign_id,
            observation_slots.c.slot == slot,
        )
        return self.connection.execute(query).scalar_one_or_none()

    def retractions(self, campaign_id: str, slot: str) -> list[Stored]:
        """Return what people said of a slot, the first first."""
        query = self._with_event(retractions).where(
            retractions.c.campaign_id == campaign_id, retractions.c.slot == slot
        )
        rows = self.connection.execute(query.order_by(retractions.c.number))
        return [_stored(row, Retraction) for row in rows]

    def counted(self, campaign_id: str, name: str) -> list[tuple[int, int | None]]:
        """Return the spans of events after which an observation counted.

        Each is its first event and the one that ended it, None where it counts now.
        """
        slot = self.slot_of(campaign_id, name)
        query = select(observations).where(
            observations.c.campaign_id == campaign_id, observations.c.slot == slot
        )
        rows = list(self.connection.execute(query).mappings())
        said = self.retractions(campaign_id, slot)
        changes = sorted({row["event_seq"] for row in rows} | {one.seq for one in said})
        spans: list[tuple[int, int | None]] = []
        for start, end in zip(changes, [*changes[1:], None], strict=True):
            there = [row for row in rows if row["event_seq"] <= start]
            last = [one.record.is_retracted for one in said if one.seq <= start]
            if there and not (last and last[-1]) and latest(there)["id"] == name:
                spans.append((start, end))
        return spans

    def slot_of(self, campaign_id: str, name: str) -> str:
        """Return the slot of an observation."""
        query = select(observations.c.slot).where(
            observations.c.campaign_id == campaign_id, observations.c.id == name
        )
        return self.connection.execute(query).scalar_one()

    def model(self, campaign_id: str, name: str) -> Trained:
        """Return a model card and what it was fitted to."""
        found = self._stored(model_cards, campaign_id, name, ModelCard)
        query = select(trainings.c.as_of).where(
            trainings.c.campaign_id == campaign_id, trainings.c.model_id == name
        )
        as_of = self.connection.execute(query).scalar_one_or_none()
        is_exact = as_of is not None
        known = found.seq if as_of is None else as_of
        return Trained(name, found.record, found.at, known, is_exact)

    def has_model(self, campaign_id: str, name: str) -> bool:
        """Is the card of a model stored?"""
        query = select(model_cards.c.id).where(
            model_cards.c.campaign_id == campaign_id, model_cards.c.id == name
        )
        return self.connection.execute(query).first() is not None

    def models_of(self, campaign_id: str, span: tuple[int, int | None]) -> list[str]:
        """Return the models fitted to what counted within a span of events."""
        start, end = span
        as_of = func.coalesce(trainings.c.as_of, model_cards.c.event_seq)
        query = (
            select(model_cards.c.id)
            .outerjoin(
                trainings,
                (trainings.c.campaign_id == model_cards.c.campaign_id)
                & (trainings.c.model_id == model_cards.c.id),
            )
            .where(model_cards.c.campaign_id == campaign_id, as_of >= start)
            .order_by(model_cards.c.event_seq)
        )
        if end is not None:
            query = query.where(as_of < end)
        return list(self.connection.scalars(query))

    def uses(
        self, campaign_id: str, model_id: str, kind: str, limit: int
    ) -> tuple[list[str], int]:
        """Return some predictions or proposals that name a model, and their number."""
        mine = (
            (model_uses.c.campaign_id == campaign_id)
            & (model_uses.c.model_id == model_id)
            & (model_uses.c.kind == kind)
        )
        query = select(model_uses.c.id).where(mine).order_by(model_uses.c.id)
        total = select(func.count()).select_from(model_uses).where(mine)
        return (
            list(self.connection.scalars(query.limit(limit))),
            self.connection.execute(total).scalar_one(),
        )

    def jobs_before(
        self, campaign_id: str, as_of: int, limit: int
    ) -> tuple[list[str], int]:
        """Return the last jobs that existed after an event, and how many there are."""
        mine = (jobs.c.campaign_id == campaign_id) & (jobs.c.event_seq <= as_of)
        query = select(jobs.c.submission_key).where(mine)
        query = query.order_by(jobs.c.event_seq.desc()).limit(limit)
        total = select(func.count()).select_from(jobs).where(mine)
        return (
            list(self.connection.scalars(query)),
            self.connection.execute(total).scalar_one(),
        )

    def _campaigns(self) -> list[str]:
        return list(self.connection.scalars(select(campaigns.c.id)))

    def _named(
        self, kind: str, table: Any, ids: Sequence[str], name: str
    ) -> list[Found]:
        # Both columns of the key are given: no scan, however many campaigns there are.
        query = select(table.c.campaign_id).where(
            table.c.campaign_id.in_(ids), table.c.id == name
        )
        return [Found(kind, each, name) for each in self.connection.scalars(query)]

    def _starting(
        self, kind: str, table: Any, ids: Sequence[str], prefix: str
    ) -> list[Found]:
        query = (
            select(table.c.campaign_id, table.c.id)
            .where(
                table.c.campaign_id.in_(ids),
                table.c.id >= prefix,
                table.c.id < f"{prefix}g",
            )
            .limit(3)
        )
        rows = self.connection.execute(query)
        return [Found(kind, row.campaign_id, row.id) for row in rows]

    def _raw(self, name: str, ids: Sequence[str]) -> list[Found]:
        query = (
            select(observations.c.campaign_id, observations.c.raw_sha256)
            .where(
                observations.c.raw_sha256 >= name,
                observations.c.raw_sha256 < f"{name}g",
            )
            .distinct()
            .limit(3)
        )
        rows = self.connection.execute(query)
        return [
            Found("raw", row.campaign_id, row.raw_sha256)
            for row in rows
            if row.campaign_id in ids
        ]

    def _jobs(self, name: str, ids: Sequence[str]) -> list[Found]:
        parts = name.split("/")
        owner = select(jobs.c.campaign_id).where(jobs.c.submission_key == parts[0])
        found = self.connection.execute(owner).scalar_one_or_none()
        if len(parts) == 1 and found is None:
            drafted = select(batches.c.campaign_id).where(batches.c.batch_id == name)
            found = self.connection.execute(drafted).scalar_one_or_none()
            return [Found("batch", found, name)] if found in ids and found else []
        if found is None or found not in ids:
            return []
        if len(parts) == 1:
            return [Found("job", found, name)]
        if self.planned(parts[0], parts[1]) is None:
            return []
        return [Found("well", found, f"{parts[0]}/{parts[1]}")]

    def _stored(
        self, table: Any, campaign_id: str, name: str, record: type[Any]
    ) -> Stored:
        query = self._with_event(table).where(
            table.c.campaign_id == campaign_id, table.c.id == name
        )
        return _stored(self.connection.execute(query).one(), record)

    def _with_event(self, table: Any) -> Select[Any]:
        return select(
            table.c.body, table.c.event_seq, events.c.at, events.c.actor
        ).join(
            events,
            (events.c.campaign_id == table.c.campaign_id)
            & (events.c.seq == table.c.event_seq),
        )


def _stored(row: Any, record: type[Any]) -> Stored:
    body = record.model_validate_json(row.body)
    return Stored(body, row.event_seq, row.at, row.actor)
