"""Add retractions, what models were trained on, and what names each model.

Nothing that stands is altered. Going back keeps what models were trained on, if that is
known of any, in a table that the older program does not look at: nothing else could tell
it when the ledger comes again. The rest is folded from what stands anyway.
"""

import json
from collections.abc import Iterator

import sqlalchemy as sa
from alembic import op

from labwm.errors import SchemaRevisionError
from labwm.store.triggers import protect

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

BLOCK = 500


def upgrade() -> None:
    _make_retractions()
    if not sa.inspect(op.get_bind()).has_table("trainings"):
        _make_trainings()
    _make_uses()
    _fill_uses("predictions", "prediction")
    _fill_uses("proposals", "proposal")


def _make_retractions() -> None:
    op.create_table(
        "retractions",
        sa.Column("campaign_id", sa.String(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("slot", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("observation_id", sa.String(), nullable=False),
        sa.Column("event_seq", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["campaign_id", "event_seq"], ["events.campaign_id", "events.seq"], name=op.f("fk_retractions_campaign_id_events")),
        sa.ForeignKeyConstraint(
            ["campaign_id", "observation_id"], ["observations.campaign_id", "observations.id"], name=op.f("fk_retractions_campaign_id_observations")
        ),
        sa.PrimaryKeyConstraint("campaign_id", "id", name=op.f("pk_retractions")),
        sa.UniqueConstraint("campaign_id", "slot", "number", name=op.f("uq_retractions_campaign_id_slot_number")),
    )
    op.create_index(op.f("ix_retractions_campaign_id_event_seq"), "retractions", ["campaign_id", "event_seq"], unique=False)
    protect("retractions", ("campaign_id", "id"), ("campaign_id", "slot", "number"))


def _make_trainings() -> None:
    op.create_table(
        "trainings",
        sa.Column("campaign_id", sa.String(), nullable=False),
        sa.Column("model_id", sa.String(), nullable=False),
        sa.Column("as_of", sa.Integer(), nullable=False),
        sa.Column("event_seq", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["campaign_id", "event_seq"], ["events.campaign_id", "events.seq"], name=op.f("fk_trainings_campaign_id_events")),
        sa.ForeignKeyConstraint(["campaign_id", "model_id"], ["model_cards.campaign_id", "model_cards.id"], name=op.f("fk_trainings_campaign_id_model_cards")),
        sa.ForeignKeyConstraint(["campaign_id", "as_of"], ["events.campaign_id", "events.seq"], name="fk_trainings_as_of"),
        sa.PrimaryKeyConstraint("campaign_id", "model_id", name=op.f("pk_trainings")),
    )
    op.create_index(op.f("ix_trainings_campaign_id_event_seq"), "trainings", ["campaign_id", "event_seq"], unique=False)
    op.create_index(op.f("ix_trainings_campaign_id_as_of"), "trainings", ["campaign_id", "as_of"], unique=False)
    protect("trainings", ("campaign_id", "model_id"))


def _make_uses() -> None:
    op.create_table(
        "model_uses",
        sa.Column("campaign_id", sa.String(), nullable=False),
        sa.Column("model_id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("campaign_id", "model_id", "kind", "id", name=op.f("pk_model_uses")),
    )
    op.create_index(op.f("ix_proposals_campaign_id_prediction_id"), "proposals", ["campaign_id", "prediction_id"], unique=False)
    protect("model_uses", ("campaign_id", "model_id", "kind", "id"))


def _fill_uses(table: str, kind: str) -> None:
    """Say what names each model, for the rows that an older program stored."""
    uses = sa.table("model_uses", *(sa.column(name) for name in ("campaign_id", "model_id", "kind", "id")))
    for rows in _blocks(_named(table, kind)):
        op.bulk_insert(uses, rows)


def _named(table: str, kind: str) -> list[dict[str, str]]:
    found = op.get_bind().execute(sa.text(f"SELECT campaign_id, id, body FROM {table}"))
    named = ((row.campaign_id, json.loads(row.body).get("model_sha256"), row.id) for row in found)
    return [{"campaign_id": campaign, "model_id": model, "kind": kind, "id": name} for campaign, model, name in named if model]


def _blocks(rows: list[dict[str, str]]) -> Iterator[list[dict[str, str]]]:
    for start in range(0, len(rows), BLOCK):
        yield rows[start : start + BLOCK]


def downgrade() -> None:
    if n_retracted := _count("retractions"):
        raise SchemaRevisionError(
            f"The tables of 0003 know no retraction; this ledger holds {n_retracted}. Stay with this labwm, or retracted results would count again."
        )
    op.drop_index(op.f("ix_proposals_campaign_id_prediction_id"), "proposals")
    op.drop_table("model_uses")
    op.drop_table("retractions")
    if not _count("trainings"):
        op.drop_table("trainings")


def _count(table: str) -> int:
    return op.get_bind().execute(sa.text(f"SELECT count(*) FROM {table}")).scalar_one()
