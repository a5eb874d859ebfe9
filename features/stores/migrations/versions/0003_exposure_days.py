"""An experiment exposure is recorded once a day, however many processes serve the unit."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None
NAME = "uq_experiment_exposures_once_a_day"
KEY = ("experiment", "bucket_version", "unit_hash", "arm", "exposed_on")


def upgrade() -> None:
    """Add the day and its key; nothing had written the table before, so there is nothing to fill in."""
    op.add_column(
        "experiment_exposures",
        sa.Column("exposed_on", sa.Date(), nullable=False, comment="UTC day of exposed_at"),
    )
    op.create_unique_constraint(NAME, "experiment_exposures", list(KEY))
    op.drop_index("ix_experiment_exposures_arm", "experiment_exposures")


def downgrade() -> None:
    """Take them away."""
    op.create_index("ix_experiment_exposures_arm", "experiment_exposures", ["experiment", "bucket_version", "arm"])
    op.drop_constraint(NAME, "experiment_exposures")
    op.drop_column("experiment_exposures", "exposed_on")
