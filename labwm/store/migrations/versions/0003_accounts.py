"""Add accounts: what may be spent, never overdrawn; a done campaign may open again."""

import sqlalchemy as sa
from alembic import op

from labwm.store.triggers import fold_entries, protect, unfold_entries, unprotect

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

ENTRY_KIND = (
    "(kind IN ('supplied', 'counted') AND batch_id IS NULL AND reserved = 0"
    " AND used = 0 AND (kind = 'counted' OR free > 0))"
    " OR (batch_id IS NOT NULL AND free + reserved + used = 0"
    " AND ((kind = 'reserved' AND reserved > 0 AND used = 0)"
    " OR (kind = 'used' AND used > 0 AND free = 0)"
    " OR (kind = 'refunded' AND free > 0 AND reserved <= 0 AND used <= 0)))"
)


def upgrade() -> None:
    if not sa.inspect(op.get_bind()).has_table("accounts"):
        make_accounts()
    op.execute("INSERT INTO campaign_legal (from_state, to_state) VALUES ('done', 'open')")


def make_accounts() -> None:
    op.create_table(
        "accounts",
        sa.Column("shelf", sa.String(), nullable=False),
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("unit", sa.String(), nullable=False),
        sa.Column("free", sa.BigInteger(), nullable=False),
        sa.Column("reserved", sa.BigInteger(), nullable=False),
        sa.Column("used", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("free >= 0", name=op.f("ck_accounts_free")),
        sa.CheckConstraint("reserved >= 0", name=op.f("ck_accounts_reserved")),
        sa.CheckConstraint("used >= 0", name=op.f("ck_accounts_used")),
        sa.PrimaryKeyConstraint("shelf", "account", name=op.f("pk_accounts")),
    )
    op.create_table(
        "account_entries",
        sa.Column("campaign_id", sa.String(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("shelf", sa.String(), nullable=False),
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("unit", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("batch_id", sa.String(), nullable=True),
        sa.Column("free", sa.BigInteger(), nullable=False),
        sa.Column("reserved", sa.BigInteger(), nullable=False),
        sa.Column("used", sa.BigInteger(), nullable=False),
        sa.Column("event_seq", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.CheckConstraint(ENTRY_KIND, name=op.f("ck_account_entries_kind")),
        sa.ForeignKeyConstraint(
            ["batch_id"], ["batches.batch_id"], name=op.f("fk_account_entries_batch_id_batches")
        ),
        sa.ForeignKeyConstraint(
            ["campaign_id", "event_seq"],
            ["events.campaign_id", "events.seq"],
            name=op.f("fk_account_entries_campaign_id_events"),
        ),
        sa.PrimaryKeyConstraint("campaign_id", "id", name=op.f("pk_account_entries")),
    )
    op.create_index(op.f("ix_account_entries_batch_id"), "account_entries", ["batch_id"])
    op.create_index(
        op.f("ix_account_entries_campaign_id_event_seq"), "account_entries", ["campaign_id", "event_seq"]
    )
    op.create_index(op.f("ix_account_entries_shelf_account"), "account_entries", ["shelf", "account"])
    protect("account_entries", ("campaign_id", "id"))
    fold_entries()


def downgrade() -> None:
    # Entries stay, with their tables: the chain covers them, the release before passes
    # over them, and the next upgrade finds them again.
    if op.get_bind().scalar(sa.text("SELECT count(*) FROM account_entries")) == 0:
        unfold_entries()
        op.drop_table("account_entries")
        op.drop_table("accounts")
    # Refused by the database where a campaign was opened again: its steps refer to it.
    unprotect("campaign_legal")
    op.execute("DELETE FROM campaign_legal WHERE from_state = 'done' AND to_state = 'open'")
    protect("campaign_legal", ("from_state", "to_state"))
