"""The ledger's tables; those of the state machines stand in `machine_tables`.

Rows are appended and never changed (triggers refuse), but for leases, revoked keys,
and what is folded from the rest in the same transaction: `observation_slots`,
`tallies` and the states. Text columns named `body` and `detail` hold canonical JSON,
byte for byte what was hashed.
"""

from typing import Final

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)

VERSION_TABLE: Final = "labwm_revision"
"""Not `alembic_version`: Prefect may live in the same database."""


def _text(name: str) -> Column[str]:
    return Column(name, String, nullable=False)


def _key(name: str) -> Column[str]:
    return Column(name, String, primary_key=True)


def _content(name: str, *parts: Column[str] | Column[int] | UniqueConstraint) -> Table:
    """Return a table of records, each covered by the digest that an event holds."""
    return Table(
        name,
        metadata,
        *parts,
        Column("event_seq", Integer, nullable=False),
        _text("sha256"),
        Column("body", Text, nullable=False),
        ForeignKeyConstraint(
            ["campaign_id", "event_seq"], ["events.campaign_id", "events.seq"]
        ),
        Index(None, "campaign_id", "event_seq"),
    )


protocols = Table(
    "protocols",
    metadata,
    _key("name"),
    Column("version", Integer, primary_key=True),
    _text("sha256"),
    Column("body", Text, nullable=False),
    _text("at"),
    UniqueConstraint("name", "version", "sha256"),
)

campaigns = Table(
    "campaigns",
    metadata,
    _key("id"),
    Column("spec", Text, nullable=False),
    _text("protocol_name"),
    Column("protocol_version", Integer, nullable=False),
    _text("protocol_sha256"),
    _text("opened_at"),
    _text("opened_by"),
    ForeignKeyConstraint(
        ["protocol_name", "protocol_version", "protocol_sha256"],
        ["protocols.name", "protocols.version", "protocols.sha256"],
    ),
)

events = Table(
    "events",
    metadata,
    Column("campaign_id", ForeignKey("campaigns.id"), primary_key=True),
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("previous_seq", Integer),
    _text("kind"),
    Column("body", Text, nullable=False),
    _text("at"),
    _text("actor"),
    Column("token", BigInteger),
    _text("prev_sha256"),
    _text("sha256"),
    UniqueConstraint("campaign_id", "seq", "sha256"),
    Index(None, "campaign_id", "kind"),
    Index(None, "kind", "campaign_id", "seq"),
    CheckConstraint(
        "(seq = 0 AND previous_seq IS NULL) OR (seq > 0 AND previous_seq IS NOT NULL"
        " AND previous_seq = seq - 1)",
        name="gapless",
    ),
    # The database itself refuses an event that does not follow the last one.
    ForeignKeyConstraint(
        ["campaign_id", "previous_seq", "prev_sha256"],
        ["events.campaign_id", "events.seq", "events.sha256"],
    ),
)

leases = Table(
    "leases",
    metadata,
    Column("campaign_id", ForeignKey("campaigns.id"), primary_key=True),
    Column("holder", String),
    Column("token", BigInteger, nullable=False),
    Column("expires_ms", BigInteger, nullable=False),
)

predictions = _content("predictions", _key("campaign_id"), _key("id"))

proposals = _content(
    "proposals",
    _key("campaign_id"),
    _key("id"),
    Column("round", Integer, nullable=False),
    Column("rank", Integer, nullable=False),
    _text("proposer"),
    Column("prediction_id", String),
)
proposals.append_constraint(
    ForeignKeyConstraint(
        ["campaign_id", "prediction_id"], ["predictions.campaign_id", "predictions.id"]
    )
)
Index(None, proposals.c.campaign_id, proposals.c.round, proposals.c.rank)

model_cards = _content("model_cards", _key("campaign_id"), _key("id"))

batches = _content(
    "batches",
    _key("batch_id"),
    _text("campaign_id"),
    Column("round", Integer, nullable=False),
    _text("content_sha256"),
    _text("proposer"),
    UniqueConstraint("batch_id", "content_sha256"),
)

jobs = _content(
    "jobs",
    _key("submission_key"),
    _text("campaign_id"),
    _text("batch_id"),
    Column("attempt", Integer, nullable=False),
    _text("content_sha256"),
    Column("approval_step", Integer, nullable=False),
    _text("approval"),
    Column("round", Integer, nullable=False),
    _text("lab"),
    UniqueConstraint("batch_id", "attempt"),
)
# What is sent is what was approved, and it was approved.
jobs.append_constraint(
    ForeignKeyConstraint(
        ["batch_id", "content_sha256"], ["batches.batch_id", "batches.content_sha256"]
    )
)
jobs.append_constraint(
    ForeignKeyConstraint(
        ["batch_id", "approval_step", "approval"],
        ["approval_moves.batch_id", "approval_moves.step", "approval_moves.to_state"],
    )
)
jobs.append_constraint(CheckConstraint("approval = 'approved'", name="approved"))
Index(None, jobs.c.campaign_id, jobs.c.round)

wells = Table(
    "wells",
    metadata,
    Column("submission_key", ForeignKey("jobs.submission_key"), primary_key=True),
    _key("well"),
    _text("proposal_id"),
    Column("replicate", Integer, nullable=False),
    Index(None, "proposal_id"),
)

observations = _content(
    "observations",
    _key("campaign_id"),
    _key("id"),
    _text("slot"),
    Column("revision", Integer, nullable=False),
    _text("measured_at"),
    _text("origin"),
    Column("job_key", String),
    Column("well", String),
    Column("proposal_id", String),
    Column("raw_sha256", String),
    UniqueConstraint("campaign_id", "id", "origin"),
)
observations.append_constraint(
    ForeignKeyConstraint(
        ["job_key", "well"], ["wells.submission_key", "wells.well"], name="fk_obs_well"
    )
)
Index(None, observations.c.campaign_id, observations.c.slot)
Index(None, observations.c.job_key)
Index(None, observations.c.raw_sha256)

retractions = _content(
    "retractions",
    _key("campaign_id"),
    _key("id"),
    _text("slot"),
    Column("number", Integer, nullable=False),
    _text("observation_id"),
    UniqueConstraint("campaign_id", "slot", "number"),
)
retractions.append_constraint(
    ForeignKeyConstraint(
        ["campaign_id", "observation_id"],
        ["observations.campaign_id", "observations.id"],
    )
)

trainings = _content(
    "trainings",
    _key("campaign_id"),
    _key("model_id"),
    Column("as_of", Integer, nullable=False),
)
trainings.append_constraint(
    ForeignKeyConstraint(
        ["campaign_id", "model_id"], ["model_cards.campaign_id", "model_cards.id"]
    )
)
trainings.append_constraint(
    ForeignKeyConstraint(
        ["campaign_id", "as_of"],
        ["events.campaign_id", "events.seq"],
        name="fk_trainings_as_of",
    )
)
Index(None, trainings.c.campaign_id, trainings.c.as_of)

# Follows from the bodies of predictions and proposals, as `wells` from those of jobs.
model_uses = Table(
    "model_uses",
    metadata,
    _key("campaign_id"),
    _key("model_id"),
    _key("kind"),
    _key("id"),
)
Index(None, proposals.c.campaign_id, proposals.c.prediction_id)

observation_slots = Table(
    "observation_slots",
    metadata,
    _key("campaign_id"),
    _key("slot"),
    _text("observation_id"),
    # The proposal that it answers; none of a control, nor of a result without a job.
    Column("experiment", String),
    ForeignKeyConstraint(
        ["campaign_id", "observation_id"],
        ["observations.campaign_id", "observations.id"],
    ),
    Index(None, "campaign_id", "experiment"),
)

tallies = Table(
    "tallies",
    metadata,
    # Folded from `observation_slots` by the transaction that changes them.
    Column("campaign_id", ForeignKey("campaigns.id"), primary_key=True),
    _key("what"),
    Column("n", Integer, nullable=False),
)

datasets = Table("datasets", metadata, _key("id"), _text("at"), _text("actor"))

dataset_origins = Table(
    "dataset_origins",
    metadata,
    Column("dataset_id", ForeignKey("datasets.id"), primary_key=True),
    _key("origin"),
)

dataset_rows = Table(
    "dataset_rows",
    metadata,
    _key("dataset_id"),
    _key("campaign_id"),
    _key("observation_id"),
    _text("origin"),
    # The origin wall: the observation's own origin must be one that is admitted.
    ForeignKeyConstraint(
        ["campaign_id", "observation_id", "origin"],
        ["observations.campaign_id", "observations.id", "observations.origin"],
    ),
    ForeignKeyConstraint(
        ["dataset_id", "origin"],
        ["dataset_origins.dataset_id", "dataset_origins.origin"],
    ),
)

accounts = Table(
    "accounts",
    metadata,
    _key("shelf"),
    _key("account"),
    _text("unit"),
    # Folded from `account_entries` by a trigger; none is ever overdrawn.
    Column("free", BigInteger, nullable=False),
    Column("reserved", BigInteger, nullable=False),
    Column("used", BigInteger, nullable=False),
    CheckConstraint("free >= 0", name="free"),
    CheckConstraint("reserved >= 0", name="reserved"),
    CheckConstraint("used >= 0", name="used"),
)

account_entries = _content(
    "account_entries",
    _key("campaign_id"),
    _key("id"),
    _text("shelf"),
    _text("account"),
    _text("unit"),
    _text("kind"),
    Column("batch_id", ForeignKey("batches.batch_id")),
    Column("free", BigInteger, nullable=False),
    Column("reserved", BigInteger, nullable=False),
    Column("used", BigInteger, nullable=False),
)
# What is supplied comes from outside; all else only moves between the three.
account_entries.append_constraint(
    CheckConstraint(
        "(kind IN ('supplied', 'counted') AND batch_id IS NULL AND reserved = 0"
        " AND used = 0 AND (kind = 'counted' OR free > 0))"
        " OR (batch_id IS NOT NULL AND free + reserved + used = 0"
        " AND ((kind = 'reserved' AND reserved > 0 AND used = 0)"
        " OR (kind = 'used' AND used > 0 AND free = 0)"
        " OR (kind = 'refunded' AND free > 0 AND reserved <= 0 AND used <= 0)))",
        name="kind",
    )
)
Index(None, account_entries.c.shelf, account_entries.c.account)
Index(None, account_entries.c.batch_id)

principals = Table(
    "principals",
    metadata,
    _key("name"),
    _text("kind"),
    _text("at"),
    CheckConstraint("kind IN ('person', 'agent', 'service')", name="kind"),
    UniqueConstraint("name", "kind"),
)

keys = Table(
    "keys",
    metadata,
    _key("id"),
    Column("principal", ForeignKey("principals.name"), nullable=False),
    _text("sha256"),
    Column("scopes", Text, nullable=False),
    _text("at"),
    Column("revoked_at", String),
    UniqueConstraint("sha256"),
)
