"""Keep the wall between origins also where nobody asks foreign keys or labwm."""

from labwm.store.triggers import drop_origin_wall, wall_origins

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    wall_origins()


def downgrade() -> None:
    drop_origin_wall()
