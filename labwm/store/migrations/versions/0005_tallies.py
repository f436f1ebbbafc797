"""Keep counts of what became of experiments, so that no door counts results again.

What stands is not altered: all of it is folded from the results that count.
"""

import sqlalchemy as sa
from alembic import op

from labwm.store.tallies import CONTROL, count_all

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

ANSWERS = f"""
UPDATE observation_slots SET experiment = (
  SELECT coalesce(o.proposal_id, w.proposal_id)
  FROM observations o
  JOIN wells w ON w.submission_key = o.job_key AND w.well = o.well
  WHERE o.campaign_id = observation_slots.campaign_id AND o.id = observation_slots.observation_id
    AND coalesce(o.proposal_id, w.proposal_id) NOT LIKE '{CONTROL}%'
)
"""


def upgrade() -> None:
    op.add_column("observation_slots", sa.Column("experiment", sa.String(), nullable=True))
    op.execute(ANSWERS)
    op.create_index(op.f("ix_observation_slots_campaign_id_experiment"), "observation_slots", ["campaign_id", "experiment"], unique=False)
    op.create_index(op.f("ix_events_kind_campaign_id_seq"), "events", ["kind", "campaign_id", "seq"], unique=False)
    op.create_table(
        "tallies",
        sa.Column("campaign_id", sa.String(), nullable=False),
        sa.Column("what", sa.String(), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["campaign_id"], ["campaigns.id"], name=op.f("fk_tallies_campaign_id_campaigns")),
        sa.PrimaryKeyConstraint("campaign_id", "what", name=op.f("pk_tallies")),
    )
    fill()


def fill() -> None:
    """Count the results that an older program took in."""
    connection = op.get_bind()
    table = sa.table("tallies", sa.column("campaign_id"), sa.column("what"), sa.column("n"))
    for (campaign_id,) in connection.execute(sa.text("SELECT id FROM campaigns")).all():
        counted = count_all(connection, campaign_id)
        rows = [{"campaign_id": campaign_id, "what": what, "n": n} for what, n in counted.items()]
        if rows:
            op.bulk_insert(table, rows)


def downgrade() -> None:
    op.drop_table("tallies")
    op.drop_index(op.f("ix_events_kind_campaign_id_seq"), "events")
    op.drop_index(op.f("ix_observation_slots_campaign_id_experiment"), "observation_slots")
    op.drop_column("observation_slots", "experiment")
